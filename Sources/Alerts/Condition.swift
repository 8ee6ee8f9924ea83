// SPDX-License-Identifier: Apache-2.0

/// When a rule applies. Series and classes are numbers: positions in what the source and the model declare.
///
/// Between its threshold and its clear threshold a condition stays as it was (hysteresis).
package enum Condition: Sendable, Equatable {
    /// The detector raises an alarm on the series.
    case anomaly(series: Int)
    /// The value is greater than `threshold`; no more when it is less than or equal to `clear` (<= threshold).
    case above(series: Int, threshold: Double, clear: Double)
    /// The value is less than `threshold`; no more when it is greater than or equal to `clear` (>= threshold).
    case below(series: Int, threshold: Double, clear: Double)
    /// The value is outside `range`; no more when it is at least `margin` (>= 0) within it. A range narrower than two
    /// margins clears in its middle.
    case outside(series: Int, range: ClosedRange<Double>, margin: Double)
    /// Nothing came for that time: no sample of the series, or no fact at all if nil. Known only of keys that were
    /// heard of once.
    case noData(series: Int?, after: Duration)
    /// A frame shows at least `count` (>= 1) of the class, each with at least that score.
    case classPresent(class: Int, count: Int, score: Double)

    /// What a fact says to a condition.
    struct Reading: Equatable {
        enum Verdict { case raises, holds, clears }

        var verdict: Verdict
        var value: Double
        var expected: ClosedRange<Double>?
        var score: Double?
        /// The greater, the worse: decides which value is the peak.
        var extremity: Double
    }

    /// Nil if the fact is about something else.
    func read(_ fact: Fact) -> Reading? {
        switch (self, fact) {
        case (.anomaly(let wanted), .sample(let series, let value, let judgement?)) where wanted == series:
            return Reading(
                verdict: judgement.isAlarm ? .raises : .clears, value: value, expected: judgement.expected,
                score: judgement.score, extremity: judgement.score)
        case (.above(let wanted, let threshold, let clear), .sample(let series, let value, _)) where wanted == series:
            return Reading(
                verdict: value > threshold ? .raises : value <= clear ? .clears : .holds, value: value,
                extremity: value - threshold)
        case (.below(let wanted, let threshold, let clear), .sample(let series, let value, _)) where wanted == series:
            return Reading(
                verdict: value < threshold ? .raises : value >= clear ? .clears : .holds, value: value,
                extremity: threshold - value)
        case (.outside(let wanted, let range, let margin), .sample(let series, let value, _)) where wanted == series:
            let depth = min(value - range.lowerBound, range.upperBound - value)
            let halfWidth = range.upperBound / 2 - range.lowerBound / 2
            return Reading(
                verdict: depth < 0 ? .raises : depth >= min(margin, halfWidth) ? .clears : .holds, value: value,
                expected: range, extremity: -depth)
        case (.classPresent(let wanted, let count, let score), .detections(let detections)):
            var found = 0
            var best: Double?
            for detection in detections where detection.class == wanted && detection.score >= score {
                found += 1
                best = max(best ?? 0, detection.score)
            }
            return Reading(
                verdict: found >= count ? .raises : .clears, value: Double(found), score: best,
                extremity: Double(found))
        default: return nil
        }
    }

    /// Whether a fact proves that data comes.
    func isData(_ fact: Fact) -> Bool {
        guard case .noData(let wanted, _) = self else { return false }
        guard let wanted else { return true }
        if case .sample(let series, _, _) = fact { return series == wanted }
        return false
    }
}
