// SPDX-License-Identifier: Apache-2.0

/// How many false alarms are tolerable, instead of a threshold: `1/day`, `2/week`, `5/1h`. An alarm that goes on over
/// several samples counts once.
package struct FalseAlarmBudget: Sendable, Hashable, CustomStringConvertible {
    package enum Fault: Error, Equatable, CustomStringConvertible {
        case malformed(String)

        package var description: String {
            switch self {
            case .malformed(let text):
                "\"\(text)\" is no false alarm budget; write it like 1/day, 2/week or 0.5/hour"
            }
        }
    }

    /// Above 0.
    package let count: Double
    package let seconds: Double

    package init(count: Double, per duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.count = count
        self.seconds = Double(seconds) + Double(attoseconds) * 1e-18
        precondition(count > 0 && count.isFinite && self.seconds > 0)
    }

    private static let units: [(name: String, seconds: Double)] = [
        ("s", 1), ("second", 1), ("m", 60), ("min", 60), ("minute", 60), ("h", 3600), ("hour", 3600), ("d", 86400),
        ("day", 86400), ("w", 604_800), ("week", 604_800), ("month", 2_629_746), ("year", 31_556_952),
    ]

    /// A number, a slash, and a unit with an optional whole number before it: `1/day`, `1/7d`.
    package init(_ text: String) throws(Fault) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Double(parts[0]), count > 0, count <= 1e6 else { throw .malformed(text) }
        let digits = parts[1].prefix { $0.isASCII && $0.isNumber }
        guard let multiple = digits.isEmpty ? 1 : Double(digits), multiple >= 1, multiple <= 1e6,
            let unit = FalseAlarmBudget.units.first(where: { $0.name == parts[1].dropFirst(digits.count) })
        else { throw .malformed(text) }
        self.count = count
        seconds = multiple * unit.seconds
    }

    package var description: String { "\(count) in \(seconds) s" }

    /// Of false alarms, per second.
    package var rate: Double { count / seconds }
}
