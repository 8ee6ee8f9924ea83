// SPDX-License-Identifier: Apache-2.0

/// When a rule applies. Series and classes are numbers: positions in what the source and the model declare.
///
/// Between its threshold and its clear threshold a condition stays as it was (hysteresis).
package indirect enum Condition: Sendable, Equatable {
    /// The detector raises an alarm on the series.
    case anomaly(series: Int)
    /// The value is greater than `threshold`; no more when it is less than or equal to `clear` (<= threshold).
    case above(series: Int, threshold: Double, clear: Double)
    /// The value is less than `threshold`; no more when it is greater than or equal to `clear` (>= threshold).
    case below(series: Int, threshold: Double, clear: Double)
    /// The value is outside `range`; no more when it is at least `margin` (>= 0) within it. A range narrower than two
    /// margins clears in its middle.
    case outside(series: Int, range: ClosedRange<Double>, margin: Double)
    /// The value has moved by at least `amount` (> 0) in that direction from where it was within `time`, by the times
    /// of the samples. See `ChangeWindow`.
    case change(series: Int, direction: ChangeDirection, amount: Double, within: Duration)
    /// Nothing came for that time: no sample of the series, or no fact at all if nil. Known only of keys that were
    /// heard of once.
    case noData(series: Int?, after: Duration)
    /// What came too late, or not at all, by the judgement of who knows how often it comes.
    case tooSilent
    /// The number of detections of the class in a frame, each with at least that score, lies in the range.
    case classCount(class: Int, count: ClosedRange<Int>, score: Double)
    /// All of them hold.
    case all([Condition])
    /// At least one of them holds.
    case any([Condition])
    /// It is known not to hold.
    case not(Condition)

    /// The conditions that look at facts themselves, in the order in which they are written.
    package var leaves: [Condition] {
        switch self {
        case .all(let parts), .any(let parts): parts.flatMap(\.leaves)
        case .not(let part): part.leaves
        default: [self]
        }
    }

    /// Whether time alone can make it true.
    var isTimeDriven: Bool {
        leaves.contains { if case .noData = $0 { true } else { false } }
    }
}

package enum ChangeDirection: String, Sendable, CaseIterable { case rises, falls, changes }

/// Three-valued: nothing is known before the first fact, and after too long a time without one.
package enum Verdict: Int8, Sendable, Codable {
    case unknown = -1
    case clear = 0
    case raised = 1

    init(_ holds: Bool) { self = holds ? .raised : .clear }

    var negated: Verdict {
        switch self {
        case .unknown: .unknown
        case .clear: .raised
        case .raised: .clear
        }
    }
}

/// How the leaves of a condition make its verdict: Kleene's logic of three values.
indirect enum Logic: Sendable {
    /// Position among the leaves.
    case leaf(Int)
    case all([Logic])
    case any([Logic])
    case not(Logic)

    /// Numbers the leaves from `next` on.
    init(_ condition: Condition, next: inout Int) {
        switch condition {
        case .all(let parts): self = .all(parts.map { Logic($0, next: &next) })
        case .any(let parts): self = .any(parts.map { Logic($0, next: &next) })
        case .not(let part): self = .not(Logic(part, next: &next))
        default:
            self = .leaf(next)
            next += 1
        }
    }

    func verdict(_ leaf: (Int) -> Verdict) -> Verdict {
        switch self {
        case .leaf(let index): return leaf(index)
        case .not(let part): return part.verdict(leaf).negated
        case .all(let parts):
            var result = Verdict.raised
            for part in parts {
                switch part.verdict(leaf) {
                case .clear: return .clear
                case .unknown: result = .unknown
                case .raised: break
                }
            }
            return result
        case .any(let parts):
            var result = Verdict.clear
            for part in parts {
                switch part.verdict(leaf) {
                case .raised: return .raised
                case .unknown: result = .unknown
                case .clear: break
                }
            }
            return result
        }
    }
}
