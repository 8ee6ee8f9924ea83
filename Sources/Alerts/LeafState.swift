// SPDX-License-Identifier: Apache-2.0

/// What is known of one leaf of a condition, for one key.
package struct LeafState: Sendable, Equatable, Codable {
    package var verdict = Verdict.unknown
    /// Of the last fact: the sample, the move, the number of detections, or the seconds without data.
    package var value = 0.0
    /// What would have been normal then.
    package var expected: ClosedRange<Double>?
    /// The anomaly's or the best detection's, 0...1.
    package var score: Double?
    /// Of several series judged together, the one that the value is of.
    package var series: String?
    /// The greater, the worse: decides which value is the peak.
    var extremity = 0.0
    /// The value lies between the two thresholds: it left the verdict as it was.
    var isBetween = false
    /// When the last fact about it came; before the first, when the key became known.
    var lastFactAt: Moment

    init(knownSince moment: Moment) { lastFactAt = moment }

    /// Takes a fact in; false if it is about something else.
    ///
    /// - Parameters:
    ///   - isFresh: it tells that something came now; else only what the state is.
    ///   - window: of a condition on change.
    mutating func take(
        _ fact: Fact, isFresh: Bool, _ condition: Condition, _ window: inout ChangeWindow?, at now: Moment
    ) -> Bool {
        switch (condition, fact) {
        case (.anomaly(let wanted), .sample(let series, let value, _, let judgement?)) where wanted == series:
            set(Verdict(judgement.isAlarm), value, extremity: judgement.score)
            expected = judgement.expected
            score = judgement.score
            self.series = judgement.series
        case (.tooSilent, .silence(let seconds, let isTooLong)):
            set(Verdict(isTooLong), seconds, extremity: seconds)
        case (.above(let wanted, let threshold, let clear), .sample(let series, let value, _, _)) where wanted == series:
            set(latched(value > threshold, value <= clear), value, extremity: value - threshold)
        case (.below(let wanted, let threshold, let clear), .sample(let series, let value, _, _)) where wanted == series:
            set(latched(value < threshold, value >= clear), value, extremity: threshold - value)
        case (.outside(let wanted, let range, let margin), .sample(let series, let value, _, _)) where wanted == series:
            let depth = min(value - range.lowerBound, range.upperBound - value)
            let halfWidth = range.upperBound / 2 - range.lowerBound / 2
            set(latched(depth < 0, depth >= min(margin, halfWidth)), value, extremity: -depth)
            expected = range
        case (.change(let wanted, let direction, let amount, let within), .sample(let series, let value, let time, _))
        where wanted == series:
            var moved = window ?? ChangeWindow()
            let change = moved.take(value, at: time, within: within.nanoseconds, direction: direction)
            window = moved
            set(Verdict(change >= amount), change, extremity: change)
        case (.classCount(let wanted, let range, let least), .detections(let detections)):
            var count = 0
            var best: Double?
            for detection in detections where detection.class == wanted && detection.score >= least {
                count += 1
                best = max(best ?? 0, detection.score)
            }
            // Too few are the worse the fewer, if it is about too few.
            let isAboutFew = range.lowerBound == 0
            set(Verdict(range.contains(count)), Double(count), extremity: isAboutFew ? -Double(count) : Double(count))
            score = best
        case (.noData, _) where !isFresh: return false
        case (.noData(let wanted, _), _):
            if case .silence = fact { return false }
            if let wanted {
                guard case .sample(let series, _, _, _) = fact, series == wanted else { return false }
            }
            set(.clear, 0, extremity: 0)
        default: return false
        }
        lastFactAt = now
        return true
    }

    /// What time alone changes: data that did not come, facts that are too old to count.
    mutating func refresh(_ condition: Condition, staleAfter: Int64?, at now: Moment) {
        if case .noData(_, let after) = condition {
            let silence = now.steady &- lastFactAt.steady
            guard silence >= after.nanoseconds else { return }
            let seconds = Double(silence) / 1e9
            set(.raised, seconds, extremity: seconds)
        } else if let staleAfter, verdict != .unknown, now.steady &- lastFactAt.steady >= staleAfter {
            verdict = .unknown
        }
    }

    /// What a value between the two thresholds leaves as it was.
    private mutating func latched(_ raises: Bool, _ clears: Bool) -> Verdict {
        isBetween = !raises && !clears
        return raises ? .raised : clears ? .clear : verdict == .raised ? .raised : .clear
    }

    private mutating func set(_ verdict: Verdict, _ value: Double, extremity: Double) {
        self.verdict = verdict
        self.value = value
        self.extremity = extremity
    }
}
