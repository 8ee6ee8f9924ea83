// SPDX-License-Identifier: Apache-2.0

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
    /// The budget of false alarms is held only by withholding alarms: see `AlarmThreshold.isOverBudget`.
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
