// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Judges how fast a series changes: the step from the last sample to this one, per time,
///
///     r = |x[t] - x[t-1]| / max(1, (time[t] - time[t-1]) / T)
///
/// with T the mean interval of the samples: after a gap the change counts as spread over it, and samples that come in a
/// burst are not faster than their steps. r relative to its running mean has a learned tail (`TailModel`).
struct RateModel: Sendable {
    /// Of the mean, in samples.
    private static let memory = 500.0
    /// Rates before the first judgement.
    static let warmUpCount = 30.0

    private var last: Double?
    private var lastTime: Int64 = 0
    private var mean = 0.0
    private var seen = 0.0
    // Relative to the mean of |z| of a Gaussian: its 90 % quantile and the mean excess there.
    private var tail = TailModel(threshold: 2.06, scale: 0.51)

    /// Natural logarithm of the probability of a change at least as fast; then learns it. `floor`: half of the smallest step
    /// of the values, > 0. Nil as long as too little was seen.
    mutating func judge(_ value: Double, at time: Int64, intervalSeconds: Double, floor: Double) -> Double? {
        defer { (last, lastTime) = (value, time) }
        guard let last else { return nil }
        let (nanoseconds, overflow) = time.subtractingReportingOverflow(lastTime)
        let seconds = overflow ? 0 : Double(nanoseconds) * 1e-9
        let rate = abs(value - last) / max(1, intervalSeconds > 0 ? seconds / intervalSeconds : 1)
        let relative = rate / max(mean, floor)
        let judged = seen >= RateModel.warmUpCount ? tail.logSurvival(relative) : nil
        seen = min(seen + 1, RateModel.memory)
        let bound = seen < 5 ? rate : min(rate, 4 * max(mean, floor))
        mean += (bound - mean) / seen
        if seen > 10 { tail.learn(relative) }
        return judged
    }
}

extension RateModel: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&last)
        var time: Int64? = lastTime
        try archive.exchange(&time)
        lastTime = time ?? 0
        try archive.exchange(&mean, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&seen, in: 0...RateModel.memory)
        try tail.exchange(&archive)
    }
}
