// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a detector says of a sample, before it learned from it.
package struct AnomalyScore: Sendable, Equatable {
    /// 0...1: one minus the probability, under what the detector has learned, of a sample at least as unusual. Below
    /// 10^-6 the probability is compressed; within an episode of extremes only what is new counts (see `Novelty`), so
    /// while an alarm goes on the score may fall.
    package var score: Double
    /// That probability is so small that it keeps the budget of false alarms.
    package var isAlarm: Bool
    /// Where 99 of 100 samples were expected; nil before the second sample.
    package var expected: ClosedRange<Double>?
    /// Too little was seen for an alarm.
    package var isWarmingUp: Bool

    package init(score: Double, isAlarm: Bool, expected: ClosedRange<Double>?, isWarmingUp: Bool) {
        self.score = score
        self.isAlarm = isAlarm
        self.expected = expected
        self.isWarmingUp = isWarmingUp
    }

    /// Of a sample that is no number: nothing is said and nothing learned.
    static let none = AnomalyScore(score: 0, isAlarm: false, expected: nil, isWarmingUp: false)
}

/// Finds what is unusual in one series: scores each sample, then learns from it.
///
/// A `Predictor` says where the next sample should be. Four statistics of the residual (`ResidualStatistics`) and the
/// length of repetitions (`RepeatModel`) each have a learned tail probability; the smallest, times their number, is the
/// probability of the sample (Bonferroni). Compared with the budget of false alarms (`AlarmThreshold`) it makes the
/// alarm; what is new of it within a run of unusual samples (`Novelty`) makes the score. So an alarm lasts as long as
/// the fault is not learned, while the score is high where something begins.
///
/// Finds spikes, shifts, drifts, growing or dying noise and stuck values; follows level, spread, autocorrelation and
/// slow oscillations. Deterministic; allocates nothing; 2.1 KB per series; less than a microsecond per sample.
package struct SeriesDetector: Sendable {
    package static let warmUpCount = 30

    private let budget: FalseAlarmBudget
    private var predictor: Predictor?
    private var residuals = ResidualStatistics()
    private var repeats = RepeatModel()
    private var resolution = ValueResolution()
    private var threshold = AlarmThreshold()
    private var delayLine = DelayLine()
    private var novelty = Novelty()
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
        guard var predictor else {
            predictor = Predictor(first: value)
            seen = 1
            return AnomalyScore(score: 0, isAlarm: false, expected: nil, isWarmingUp: true)
        }
        let floor = resolution.spreadFloor(near: value)
        let prediction = predictor.predict(floor: floor)
        let spread = max(residuals.spread, floor)
        let width = (spread * spread + prediction.uncertainty * prediction.uncertainty).squareRoot()
        guard prediction.value.isFinite, width.isFinite else {
            // No sequence of values is known to lead here; should there be one, learning begins anew.
            self = SeriesDetector(budget: budget)
            return .none
        }
        let standardized = (value - prediction.value) / width
        let expectedWidth = width * residuals.expectedWidth
        let statistics = residuals.advance(past: standardized, smallest: floor / width)
        let judged = residuals.judge(statistics).min()

        let isWarmingUp = seen < SeriesDetector.warmUpCount
        var logProbability = min(min(judged, logRepeat) + SeriesDetector.logStatisticCount, 0)
        if isWarmingUp { logProbability = max(logProbability, -log(Double(seen + 1))) }
        let isAlarm = !isWarmingUp && threshold.isAlarm(logProbability, allowed)
        logProbability = -novelty.take(SeriesDetector.surprise(logProbability))

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
            score: -expm1(logProbability), isAlarm: isAlarm,
            expected: (prediction.value - expectedWidth)...(prediction.value + expectedWidth), isWarmingUp: isWarmingUp)
    }

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
