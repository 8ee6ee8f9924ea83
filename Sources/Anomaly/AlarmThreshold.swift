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
/// threshold gives way. With n alarms more than the budget allows so far, a sample alarms at
///
///     -ln p >= -ln(r T) + n E / 8
///
/// where E is the largest excess of -ln p over -ln(r T) among the alarms lately. So with one alarm too many the next has
/// to be an eighth as unusual as the most unusual one was, with more than eight it has to be a record: several faults in one
/// period are told, and over k periods in each of which the budget allows one there are at most k + 9 alarms and a few
/// records, whatever the distribution
/// (adaptive conformal inference: I. Gibbs, E. Candès, 2021; with a step that follows the scores: A. Angelopoulos,
/// E. Candès, R. Tibshirani, "Conformal PID control for time series prediction", 2023).
struct AlarmThreshold: Sendable {
    /// So many alarms more than the budget allows want a record.
    private static let allowance = 8.0
    /// One alarm too many divides the probability by 16 at least.
    private static let leastStep = log(16.0)
    private static let leastExcess = allowance * leastStep
    /// Periods in which the memory of the largest excess fades to 1 / e.
    private static let memory = 10.0
    /// What is too many is paid back within so many periods.
    private static let mostSurplus = 10.0
    /// So many alarms more than the budget allows are what no budget can be promised for.
    private static let tolerated = 5.0

    private var lastTime: Int64?
    /// Mean interval of the samples.
    private(set) var intervalSeconds = 0.0
    private var seen = 0.0
    /// Alarms more than the budget allows so far, >= 0.
    private var surplus = 0.0
    /// Of -ln p over what the budget asks for, among alarms lately.
    private var largestExcess = AlarmThreshold.leastExcess
    /// ln p at which the alarm that is on began; nil when none is.
    private var onset: Double?
    /// Alarms more than the budget allows, were each to divide the probability by 16 only.
    private var unheldSurplus = 0.0
    private var isUnheld = false

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

    /// Dividing the probability by 16 with each alarm too many would not hold the budget: the series changes faster than
    /// it is learned, and alarms are withheld. Ends when as many periods of the budget went by as there would have been
    /// alarms too many.
    var isOverBudget: Bool { unheldSurplus > AlarmThreshold.tolerated }

    /// Natural logarithm of the probability at which a sample alarms now.
    func limit(_ allowed: Double) -> Double {
        log(max(allowed, 1e-12)) - surplus / AlarmThreshold.allowance * largestExcess
    }

    /// An alarm goes on at the limit it began with. `continues`: an alarm is on anyway, so this one is not another.
    mutating func isAlarm(_ logProbability: Double, _ allowed: Double, continues: Bool = false) -> Bool {
        let excess = log(max(allowed, 1e-12)) - logProbability
        surplus = max(surplus - allowed, 0)
        unheldSurplus = max(unheldSurplus - allowed, 0)
        largestExcess += (AlarmThreshold.leastExcess - largestExcess) * allowed / AlarmThreshold.memory
        let wasUnheld = isUnheld
        isUnheld = continues || excess >= unheldSurplus * AlarmThreshold.leastStep
        if isUnheld && !wasUnheld && !continues {
            unheldSurplus = min(unheldSurplus + 1, AlarmThreshold.mostSurplus)
        }
        let limit = onset ?? limit(allowed)
        guard logProbability <= limit else {
            if !continues { onset = nil }
            return false
        }
        if onset == nil && !continues {
            largestExcess = max(largestExcess, excess)
            surplus = min(surplus + 1, AlarmThreshold.mostSurplus)
        }
        onset = limit
        return true
    }

    /// What comes next is another alarm.
    mutating func endAlarm() { onset = nil }
}

extension AlarmThreshold: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&lastTime)
        try archive.exchange(&intervalSeconds, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&seen, in: 0...100)
        try archive.exchange(&surplus, in: 0...AlarmThreshold.mostSurplus)
        try archive.exchange(&largestExcess, in: AlarmThreshold.leastExcess...Double.greatestFiniteMagnitude)
        try archive.exchange(&onset)
        try archive.exchange(&unheldSurplus, in: 0...AlarmThreshold.mostSurplus)
        try archive.exchange(&isUnheld)
    }
}
