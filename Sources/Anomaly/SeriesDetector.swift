// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a detector says of a sample, before it learned from it.
package struct AnomalyScore: Sendable, Equatable {
    /// 0...1: one minus the probability of a sample at least as unusual in a series that goes on as it was, calibrated on
    /// heavy-tailed noise (see `NoveltyModel`) once a series has some 4000 samples; before, high scores come more often.
    /// Within an episode only what is new counts (see `Episode`), so while an alarm goes on the score falls.
    package var score: Double
    /// That probability is so small that it keeps the budget of false alarms.
    package var isAlarm: Bool
    /// Where 99 of 100 samples were expected; nil before the second sample.
    package var expected: ClosedRange<Double>?
    /// Too little was seen for an alarm.
    package var isWarmingUp: Bool
    /// Drift makes it impossible to keep the budget of false alarms: see `AlarmThreshold.isOverBudget`.
    package var isOverBudget: Bool

    package init(
        score: Double, isAlarm: Bool, expected: ClosedRange<Double>?, isWarmingUp: Bool, isOverBudget: Bool = false
    ) {
        self.score = score
        self.isAlarm = isAlarm
        self.expected = expected
        self.isWarmingUp = isWarmingUp
        self.isOverBudget = isOverBudget
    }

    /// Of a sample that is no number: nothing is said and nothing learned.
    static let none = AnomalyScore(score: 0, isAlarm: false, expected: nil, isWarmingUp: false)
}

/// Finds what is unusual in one series: scores each sample, then learns from it.
///
/// Two judges of a different kind:
///
/// - How far a sample is from what a prediction makes of its past. A `Predictor` says where the next sample should be;
///   four statistics of the residual (`ResidualStatistics`) and the length of repetitions (`RepeatModel`) each have a
///   learned tail probability; the smallest, times their number (Bonferroni), is the surprise.
/// - Whether the series has been there lately (`NoveltyModel`): the evidence.
///
/// The smaller of both probabilities, doubled, is compared with the budget of false alarms (`AlarmThreshold`) and makes
/// the alarm, which lasts as long as the fault is not learned. Evidence, with a part of the surprise added, makes the
/// score, as far as it is news (`Episode`): the score is high where something begins.
///
/// Finds spikes, shifts, drifts, growing or dying noise, stuck values, and usual values at an unusual time of the day;
/// follows level, spread, autocorrelation, slow oscillations and a daily course. Deterministic; allocates nothing; 5 KB
/// per series; about a microsecond per sample.
package struct SeriesDetector: Sendable {
    package static let warmUpCount = 30

    private let budget: FalseAlarmBudget
    private var predictor: Predictor?
    private var residuals = ResidualStatistics()
    private var repeats = RepeatModel()
    private var novelty = NoveltyModel()
    private var resolution = ValueResolution()
    private var threshold = AlarmThreshold()
    private var delayLine = DelayLine()
    private var episode = Episode()
    private var seen = 0
    /// Samples since the last extreme one.
    private var usualRun = 0
    private var sameSideRun = 0
    private var recent = InlineArray<9, Double>(repeating: 0)

    package init(budget: FalseAlarmBudget) { self.budget = budget }

    /// `unixNanoseconds`: the time of the sample. Values that are not finite get score 0 and are not learned; values
    /// beyond +-10^30 count as that, so that no square of them overflows.
    package mutating func score(_ unbounded: Double, at unixNanoseconds: Int64) -> AnomalyScore {
        guard unbounded.isFinite else { return .none }
        let value = min(max(unbounded, -SeriesDetector.largest), SeriesDetector.largest)
        let allowed = threshold.take(time: unixNanoseconds, budget: budget)
        resolution.learn(value)
        let logRepeat = repeats.judge(value)
        repeats.learn(value)
        let floor = resolution.spreadFloor(near: value)
        let evidence = novelty.take(
            value, at: unixNanoseconds, intervalSeconds: threshold.intervalSeconds, floor: floor)
        guard var predictor else {
            predictor = Predictor(first: value)
            seen = 1
            return AnomalyScore(score: 0, isAlarm: false, expected: nil, isWarmingUp: true)
        }
        let prediction = predictor.predict(floor: floor)
        let spread = max(residuals.spread, floor)
        let width = (spread * spread + prediction.uncertainty * prediction.uncertainty).squareRoot()
        let expectedWidth = width * residuals.expectedWidth
        guard prediction.value.isFinite, width.isFinite, expectedWidth >= 0, expectedWidth.isFinite else {
            // No sequence of values is known to lead here; should there be one, learning begins anew.
            self = SeriesDetector(budget: budget)
            return .none
        }
        let standardized = (value - prediction.value) / width
        let statistics = residuals.advance(past: standardized, smallest: floor / width)
        let judged = residuals.judge(statistics).min()

        let isWarmingUp = seen < SeriesDetector.warmUpCount
        var logProbability = min(min(judged, logRepeat) + SeriesDetector.logStatisticCount, 0)
        if isWarmingUp { logProbability = max(logProbability, -log(Double(seen + 1))) }
        let noveltyProbability = isWarmingUp ? 0 : novelty.logProbability(of: evidence, isYoung: true)
        let isAlarm =
            !isWarmingUp && threshold.isAlarm(min(logProbability, noveltyProbability) + M_LN2, allowed)
        let scored = scoreLogProbability(surprise: SeriesDetector.surprise(logProbability), evidence: evidence)

        let isExtreme = judged < SeriesDetector.logExtreme && !isWarmingUp
        if isExtreme && usualRun > SeriesDetector.episodeGap { residuals.learnSize(statistics) }
        usualRun = isExtreme ? 0 : usualRun + 1
        var lesson = predictor.lesson(of: value, after: prediction, floor: floor)
        lesson.statistics = statistics
        predictor.advance(past: value, floor: floor)
        if let due = delayLine.add(lesson, isExtreme: isExtreme) {
            predictor.learn(due, spread: spread, floor: floor)
            residuals.learn(due)
        }
        followShift(value, standardized, &predictor)
        self.predictor = predictor
        seen += 1
        return AnomalyScore(
            score: -expm1(scored), isAlarm: isAlarm,
            expected: (prediction.value - expectedWidth)...(prediction.value + expectedWidth), isWarmingUp: isWarmingUp,
            isOverBudget: threshold.isOverBudget)
    }

    /// What is no news has at least the probability of any evidence at all.
    private mutating func scoreLogProbability(surprise: Double, evidence: Double) -> Double {
        let total = evidence + SeriesDetector.surpriseWeight * max(0, surprise - SeriesDetector.usualSurprise)
        let news = episode.news(of: total)
        if news > 0 { return novelty.logProbability(of: news, isYoung: false) }
        return max(-surprise, log(NoveltyModel.rate))
    }

    /// Of what goes beyond a probability of 10^-3: prediction alone raises the score, not to its top.
    private static let surpriseWeight = 0.2
    private static let usualSurprise = 7.0

    /// Of the smallest of five probabilities (four of the residuals, one of repetitions): it is multiplied by their
    /// number.
    private static let logStatisticCount = log(5.0)
    private static let largest = 1e30
    /// What is less probable is not learned like other samples.
    private static let logExtreme = log(1e-5)
    /// Extremes with fewer samples between them are one episode, of which one is learned.
    private static let episodeGap = 16

    /// -ln p. Below p = 10^-6 no experience supports the extrapolation, and the score would soon round to 1; what is
    /// beyond counts by its logarithm only, so that scores keep their order.
    private static func surprise(_ logProbability: Double) -> Double {
        let limit = -log(1e-6)
        return -logProbability < limit ? -logProbability : limit + log1p(-logProbability - limit)
    }

    /// After many residuals in a row far on one side the level has moved: learning goes on from there.
    private mutating func followShift(_ value: Double, _ standardized: Double, _ predictor: inout Predictor) {
        recent[seen % 9] = value
        let side = standardized > 2.5 ? 1 : standardized < -2.5 ? -1 : 0
        sameSideRun = side == 0 ? 0 : sameSideRun.signum() == side ? sameSideRun + side : side
        guard abs(sameSideRun) >= 12 else { return }
        sameSideRun = 0
        var sorted = recent
        for index in 1..<9 {
            var place = index
            while place > 0, sorted[place - 1] > sorted[place] {
                sorted.swapAt(place, place - 1)
                place -= 1
            }
        }
        predictor.moveLevel(to: sorted[4])
        residuals.forgetRecent()
        delayLine.forget()
    }
}

extension SeriesDetector: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        var isThere = predictor != nil
        try archive.exchange(&isThere)
        if isThere {
            var known = predictor ?? Predictor(first: 0)
            try known.exchange(&archive)
            predictor = known
        }
        try residuals.exchange(&archive)
        try repeats.exchange(&archive)
        try novelty.exchange(&archive)
        try resolution.exchange(&archive)
        try threshold.exchange(&archive)
        try delayLine.exchange(&archive)
        try episode.exchange(&archive)
        try archive.exchange(&seen, in: 0...Int.max - 1)
        try archive.exchange(&usualRun, in: 0...Int.max - 1)
        try archive.exchange(&sameSideRun, in: -12...12)
        try archive.exchange(&recent)
    }
}
