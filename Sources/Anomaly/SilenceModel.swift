// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Learns how long a series is silent between its samples, and says from when on it is silent for too long: a sensor that
/// died, or lost its way to the broker.
///
/// The silences r relative to their running mean have a learned tail (`TailModel`, at first that of samples that come at
/// random), but none lighter than
///
///     P(silence > r) = 0.1 r^-4
///
/// since what interrupts the way to the broker has nothing to do with how regular a sensor is. A silence is too long when
/// its probability keeps the budget of false alarms (`AlarmThreshold`), and it has lasted for three usual ones and
/// `leastSeconds`. A plain value of about 300 bytes; time comes from outside.
package struct SilenceModel: Sendable {
    /// Silences before the first judgement.
    static let warmUpCount = 20
    /// Shorter ones happen to any network.
    private static let leastSeconds = 2.0
    private static let leastRatio = 3.0
    private static let exponent = 4.0
    /// Samples closer together came in one go.
    private static let burstNanoseconds: Int64 = 1_000_000

    private var threshold = AlarmThreshold()
    // Of exponentially distributed silences: their 90 % quantile and the mean excess there.
    private var tail = TailModel(threshold: 2.303, scale: 1)
    private var allowed = 0.0
    private var seen = 0
    private var last: Int64?

    package init() {}

    /// Mean time between samples.
    package var intervalSeconds: Double { threshold.intervalSeconds }

    /// A sample came. `time`: nanoseconds on a clock that runs forward.
    package mutating func take(time: Int64, budget: FalseAlarmBudget) {
        guard let last else {
            self.last = time
            allowed = threshold.take(time: time, budget: budget)
            return
        }
        let (silence, overflow) = time.subtractingReportingOverflow(last)
        guard !overflow, silence > SilenceModel.burstNanoseconds else { return }
        let mean = threshold.intervalSeconds
        allowed = threshold.take(time: time, budget: budget)
        self.last = time
        guard mean > 0 else { return }
        let seconds = Double(silence) * 1e-9
        if seen >= SilenceModel.warmUpCount {
            let isLongEnough = seconds >= max(SilenceModel.leastRatio * mean, SilenceModel.leastSeconds)
            _ = threshold.isAlarm(isLongEnough ? logSurvival(seconds / mean) : 0, allowed)
            threshold.endAlarm()
        }
        seen = min(seen + 1, SilenceModel.warmUpCount)
        tail.learn(seconds / mean)
    }

    /// The series goes on after a time in which nobody listened: that was no silence.
    package mutating func resume(at time: Int64) { if last != nil { last = max(last ?? time, time) } }

    /// For how long it may be silent before that is too long; nil as long as too little is known.
    package var longestSeconds: Double? {
        guard seen >= SilenceModel.warmUpCount else { return nil }
        // What `TailModel` tells apart, and what a 64-bit float holds.
        let probability = exp(max(threshold.limit(allowed), -700))
        return max(
            quantile(min(probability, 0.1)) * intervalSeconds, SilenceModel.leastRatio * intervalSeconds,
            SilenceModel.leastSeconds)
    }

    /// Natural logarithm of P(silence > ratio).
    private func logSurvival(_ ratio: Double) -> Double {
        max(tail.logSurvival(ratio), log(0.1) - SilenceModel.exponent * log(ratio))
    }

    /// The ratio that is exceeded with `probability`, at most 0.1.
    private func quantile(_ probability: Double) -> Double {
        max(tail.quantile(probability), pow(0.1 / probability, 1 / SilenceModel.exponent))
    }

    /// For how long it has been silent, if that is too long.
    package func silence(at now: Int64) -> Double? {
        guard let last, let longestSeconds else { return nil }
        let seconds = Double(now &- last) * 1e-9
        return seconds > longestSeconds ? seconds : nil
    }
}

extension SilenceModel: Snapshotting {
    /// When the last sample came is not part of it: clocks that only run forward begin anew.
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try threshold.exchange(&archive)
        try tail.exchange(&archive)
        try archive.exchange(&allowed, in: 0...1)
        try archive.exchange(&seen, in: 0...SilenceModel.warmUpCount)
    }
}
