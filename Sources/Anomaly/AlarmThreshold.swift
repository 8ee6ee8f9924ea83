// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Turns a budget of false alarms into a threshold on the tail probability, and holds it.
///
/// With samples every T seconds on average and a rate of r alarms per second, a sample alarms at probability r T or
/// less. Should the learned probabilities be too small for the series at hand, alarms come too often; then the
/// threshold gives way: each alarm, also one soon after another, takes a sixteenth of it, and it recovers as much per
/// period in which the budget allows one alarm, never above r T. So the long-run rate keeps the budget whatever the distribution (adaptive conformal
/// inference: I. Gibbs, E. Candès, 2021).
struct AlarmThreshold: Sendable {
    /// Halvings per alarm.
    private static let step = 4.0
    /// The threshold gives way no farther: it has to come back within ten periods of the budget.
    private static let lowest = -40.0
    /// So many alarms more than the budget allows are too many.
    private static let tolerated = 5.0

    private var lastTime: Int64?
    /// Mean interval of the samples.
    private(set) var intervalSeconds = 0.0
    private var seen = 0.0
    /// <= 0
    private var log2Factor = 0.0
    /// The last sample was one of an alarm.
    private var isOn = false

    /// The time of the next sample. Returns the probability that the budget allows per sample.
    mutating func take(time: Int64, budget: FalseAlarmBudget) -> Double {
        if let lastTime, time > lastTime {
            seen = min(seen + 1, 100)
            let interval = Double(time - lastTime) * 1e-9
            intervalSeconds += (min(interval, seen < 5 ? interval : 4 * intervalSeconds) - intervalSeconds) / seen
        }
        lastTime = max(lastTime ?? time, time)
        return min(max(budget.rate * intervalSeconds, 1e-12), 0.01)
    }

    /// Alarms came so much more often than the budget allows that its rate cannot be promised: the series changes faster
    /// than it is learned. Ends when as many periods of the budget went by as there were alarms too many.
    var isOverBudget: Bool { -log2Factor > AlarmThreshold.tolerated * AlarmThreshold.step }

    /// Natural logarithm of the probability at which a sample alarms now.
    func limit(_ allowed: Double) -> Double { log(max(allowed, 1e-12)) + log2Factor * M_LN2 }

    /// `continues`: an alarm is on anyway, so this one is not another.
    mutating func isAlarm(_ logProbability: Double, _ allowed: Double, continues: Bool = false) -> Bool {
        log2Factor = min(log2Factor + AlarmThreshold.step * allowed, 0)
        let isAlarm = logProbability <= limit(allowed)
        if isAlarm && !continues && !isOn {
            log2Factor = max(log2Factor - AlarmThreshold.step, AlarmThreshold.lowest)
        }
        isOn = isAlarm || continues
        return isAlarm
    }
}

extension AlarmThreshold: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&lastTime)
        try archive.exchange(&intervalSeconds, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&seen, in: 0...100)
        try archive.exchange(&log2Factor, in: AlarmThreshold.lowest...0)
        try archive.exchange(&isOn)
    }
}
