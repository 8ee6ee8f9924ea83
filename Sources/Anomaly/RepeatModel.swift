// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Judges how long a series has repeated the same value exactly: a sensor that is stuck.
///
/// Of the n values before the run, r repeated their predecessor. With a uniform prior for the probability of a
/// repetition, a run of k has the predictive probability
///
///     (r + 1) / (n + 2) * (r + 2) / (n + 3) * ... * (r + k) / (n + k + 1)
///
/// so what moved little so far may stand still. Runs up to twice the longest seen lately are no news: only
/// repetitions beyond that count.
struct RepeatModel: Sendable {
    /// In samples; older repetitions fade.
    private static let memory = 1000.0
    /// After so many repetitions beyond the usual ones standing still is the new normal.
    private static let patience = 200.0

    /// Before so many changes of value standing still is what the series does.
    private static let fewestChanges = 3.0

    private var last = Double.nan
    private var run = 0.0
    private var longest = 0.0
    /// Before the current run.
    private var repeated = 0.0
    private var seen = 0.0
    /// Logarithm of the probability of the current run.
    private var logProbability = 0.0

    private func next(_ value: Double) -> Double {
        guard value == last else { return 0 }
        let news = run + 1 - 2 * longest
        guard news >= 1, seen - repeated >= RepeatModel.fewestChanges else { return 0 }
        return logProbability + log((repeated + news) / (seen + news + 1))
    }

    /// Logarithm of the probability of a run that goes on with `value`; 0 if it does not.
    func judge(_ value: Double) -> Double { next(value) }

    mutating func learn(_ value: Double) {
        if value == last {
            logProbability = next(value)
            run += 1
            if run >= 2 * longest + RepeatModel.patience { endRun() }
            return
        }
        endRun()
        seen += 1
        last = value
        guard seen > RepeatModel.memory else { return }
        repeated *= RepeatModel.memory / seen
        seen = RepeatModel.memory
    }

    private mutating func endRun() {
        longest = max(longest * 0.999, run)
        repeated += run
        seen += run
        run = 0
        logProbability = 0
    }
}

extension RepeatModel: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        var known: Double? = last.isNaN ? nil : last
        try archive.exchange(&known)
        last = known ?? .nan
        try archive.exchange(&run, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&longest, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&repeated, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&seen, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&logProbability, in: -Double.greatestFiniteMagnitude...0)
    }
}
