// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a detector says of a sample, before it learned from it.
package struct AnomalyScore: Sendable, Equatable {
    /// 0...1: one minus the probability, under what the detector has learned, of a sample at least as unusual.
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
package struct SeriesDetector: Sendable {
    package static let warmUpCount = 30

    private let budget: FalseAlarmBudget
    private var predictor = Predictor()
    private var residuals = ResidualStatistics()
    private var repeats = RepeatModel()
    private var resolution = ValueResolution()
    private var threshold = AlarmThreshold()
    private var seen = 0
    private var sameSideRun = 0
    private var recent = InlineArray<9, Double>(repeating: 0)

    package init(budget: FalseAlarmBudget) { self.budget = budget }

    /// `unixNanoseconds`: the time of the sample. Values that are not finite get score 0 and are not learned.
    package mutating func score(_ value: Double, at unixNanoseconds: Int64) -> AnomalyScore {
        guard value.isFinite else { return .none }
        let probability = threshold.take(time: unixNanoseconds, budget: budget)
        resolution.learn(value)
        let floor = resolution.spreadFloor(near: value)
        let prediction = seen == 0 ? value : predictor.prediction(floor: floor)
        let spread = max(residuals.spread, floor)
        let residual = value - prediction
        let judged = residuals.judge(residual / spread, smallest: floor / spread)
        var logProbability = min(judged.min(), repeats.judge(value)) + log(5.0)
        logProbability = min(logProbability, 0)
        let isWarmingUp = seen < SeriesDetector.warmUpCount
        if isWarmingUp { logProbability = max(logProbability, -log(Double(seen + 1))) }
        let isAlarm = !isWarmingUp && threshold.isAlarm(logProbability, probability)
        let width = spread * residuals.expectedWidth
        let result = AnomalyScore(
            score: SeriesDetector.score(logProbability), isAlarm: isAlarm,
            expected: seen < 2 ? nil : (prediction - width)...(prediction + width), isWarmingUp: isWarmingUp)

        let isExtreme = judged.min() < log(1e-5) && !isWarmingUp
        if seen > 0 { residuals.learn(residual / spread, smallest: floor / spread, unit: spread, isExtreme: isExtreme) }
        repeats.learn(value)
        predictor.learn(value, residual: residual, spread: spread, floor: floor)
        followShift(value, residual / spread)
        seen += 1
        return result
    }

    /// One minus the probability. Below 10^-6 no experience supports the extrapolation, and the score would soon round to 1; there the
    /// excess of -ln p counts by its logarithm only, so that scores keep their order.
    private static func score(_ logProbability: Double) -> Double {
        let limit = log(1e-6)
        guard logProbability < limit else { return -expm1(logProbability) }
        return -expm1(limit - log1p(limit - logProbability))
    }

    /// After many residuals in a row far on one side the level has moved: learning goes on from there.
    private mutating func followShift(_ value: Double, _ standardized: Double) {
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
    }
}
