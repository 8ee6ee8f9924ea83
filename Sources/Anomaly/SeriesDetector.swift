// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Finds what is unusual in one series: scores each sample, then learns from it.
///
/// `SeriesModel` judges; its probability, compared with the budget of false alarms (`AlarmThreshold`), makes the alarm,
/// which lasts as long as the fault is not learned. With the method `auto` its evidence, as far as it is news (`Episode`),
/// makes the score, which is high where something begins. With other methods only what they look for counts: the smallest of
/// their probabilities, times their number, makes alarm and score.
///
/// Finds spikes, shifts, drifts, growing or dying noise, stuck values, and usual values at an unusual time of the day;
/// follows level, spread, autocorrelation, slow oscillations, a daily and a weekly course. Deterministic; about a microsecond
/// per sample. Takes 3.2 KB at first; more as there is more to remember, by a few allocations: 5 KB after 4096 samples,
/// 7 KB from the second day on and never more.
package struct SeriesDetector: Sendable {
    package static let warmUpCount = SeriesModel.warmUpCount

    private let budget: FalseAlarmBudget
    private let methods: Set<DetectionMethod>
    private var model = SeriesModel()
    /// One with the method `rate`, else none: it takes no room then.
    private var rates: [RateModel] = []
    private var threshold = AlarmThreshold()
    private var episode = Episode()

    /// - Parameter methods: of one series; `auto` stands for all it needs and takes none beside it but `rate`.
    package init(budget: FalseAlarmBudget, methods: Set<DetectionMethod> = [.auto]) {
        precondition(!methods.isEmpty && methods.allSatisfy(\.isOfOneSeries))
        self.budget = budget
        self.methods = methods
        if methods.contains(.rate) { rates = [RateModel()] }
    }

    /// `unixNanoseconds`: the time of the sample. Values that are not finite get score 0 and are not learned; values
    /// beyond +-10^30 count as that, so that no square of them overflows.
    package mutating func score(_ value: Double, at unixNanoseconds: Int64) -> AnomalyScore {
        guard value.isFinite else { return .none }
        let allowed = threshold.take(time: unixNanoseconds, budget: budget)
        let judgement = model.judge(value, at: unixNanoseconds, intervalSeconds: threshold.intervalSeconds)
        let logRate =
            rates.isEmpty
            ? nil
            : rates[0].judge(
                value, at: unixNanoseconds, intervalSeconds: threshold.intervalSeconds, floor: judgement.floor)
        guard methods.contains(.auto) else { return score(judgement, logRate: logRate, allowed: allowed) }
        let others = logRate == nil ? judgement.logProbability : min(judgement.logProbability, logRate ?? 0) + M_LN2
        let isAlarm = !judgement.isWarmingUp && threshold.isAlarm(others, allowed)
        let news = episode.news(of: judgement.evidence)
        let scored = NoveltyModel.scoreLogProbability(news: news, surprise: judgement.surprise)
        return AnomalyScore(
            score: 0 - expm1(scored), isAlarm: isAlarm, expected: judgement.expected,
            isWarmingUp: judgement.isWarmingUp, isOverBudget: threshold.isOverBudget)
    }

    /// By what the methods look for alone.
    private mutating func score(_ judgement: SeriesJudgement, logRate: Double?, allowed: Double) -> AnomalyScore {
        var logProbability = 0.0
        var isWarmingUp = true
        func add(_ method: DetectionMethod, _ logarithm: Double, _ isKnown: Bool) {
            guard methods.contains(method), isKnown else { return }
            logProbability = min(logProbability, logarithm)
            isWarmingUp = false
        }
        let isKnown = !judgement.isWarmingUp
        add(.level, judgement.logLevel, isKnown)
        add(.seasonal, judgement.logSeason, isKnown && judgement.knowsSeason)
        add(.flatLine, judgement.logRepeat, isKnown)
        add(.rate, logRate ?? 0, logRate != nil)
        logProbability = min(logProbability + log(Double(methods.count)), 0)
        return AnomalyScore(
            score: 0 - expm1(logProbability), isAlarm: !isWarmingUp && threshold.isAlarm(logProbability, allowed),
            expected: judgement.expected, isWarmingUp: isWarmingUp, isOverBudget: threshold.isOverBudget)
    }
}

extension SeriesDetector: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try model.exchange(&archive)
        var hasRate = !rates.isEmpty
        try archive.exchange(&hasRate)
        guard hasRate != rates.isEmpty else { throw .outOfRange(offset: archive.position) }
        for index in rates.indices { try rates[index].exchange(&archive) }
        try threshold.exchange(&archive)
        try episode.exchange(&archive)
    }
}
