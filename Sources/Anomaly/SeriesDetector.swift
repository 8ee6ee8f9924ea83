// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Finds what is unusual in one series: scores each sample, then learns from it.
///
/// `SeriesModel` judges; its probability, compared with the budget of false alarms (`AlarmThreshold`), makes the alarm,
/// which lasts as long as the fault is not learned. Its evidence, as far as it is news (`Episode`), makes the score,
/// which is high where something begins.
///
/// Finds spikes, shifts, drifts, growing or dying noise, stuck values, and usual values at an unusual time of the day;
/// follows level, spread, autocorrelation, slow oscillations and a daily course. Deterministic; allocates nothing; 5 KB
/// per series; about a microsecond per sample.
package struct SeriesDetector: Sendable {
    package static let warmUpCount = SeriesModel.warmUpCount

    private let budget: FalseAlarmBudget
    private var model = SeriesModel()
    private var threshold = AlarmThreshold()
    private var episode = Episode()

    package init(budget: FalseAlarmBudget) { self.budget = budget }

    /// `unixNanoseconds`: the time of the sample. Values that are not finite get score 0 and are not learned; values
    /// beyond +-10^30 count as that, so that no square of them overflows.
    package mutating func score(_ value: Double, at unixNanoseconds: Int64) -> AnomalyScore {
        guard value.isFinite else { return .none }
        let allowed = threshold.take(time: unixNanoseconds, budget: budget)
        let judgement = model.judge(value, at: unixNanoseconds, intervalSeconds: threshold.intervalSeconds)
        let isAlarm = !judgement.isWarmingUp && threshold.isAlarm(judgement.logProbability, allowed)
        let news = episode.news(of: judgement.evidence)
        let scored = NoveltyModel.scoreLogProbability(news: news, surprise: judgement.surprise)
        return AnomalyScore(
            score: 0 - expm1(scored), isAlarm: isAlarm, expected: judgement.expected,
            isWarmingUp: judgement.isWarmingUp,
            isOverBudget: threshold.isOverBudget)
    }
}

extension SeriesDetector: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try model.exchange(&archive)
        try threshold.exchange(&archive)
        try episode.exchange(&archive)
    }
}
