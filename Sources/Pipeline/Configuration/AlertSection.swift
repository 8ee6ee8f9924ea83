// SPDX-License-Identifier: Apache-2.0

import Alerts

extension Configuration {
    /// A rule of a pipeline.
    package struct AlertSection: Sendable, Equatable {
        package var rule: String
        package var condition: Condition
        /// How long the condition must hold before the alert opens.
        package var minimumDuration: Duration = .zero
        /// How long it must be gone before the alert closes.
        package var clearAfter: Duration = .seconds(2)
        /// After an alert has closed the next one does not open for so long.
        package var coolDown: Duration = .zero
        package var severity = Severity.warning
        /// The earliest first.
        package var escalation: [AlertRule.Escalation] = []
        /// Nil: every opening is told, however many there are.
        package var flapping: AlertRule.Flapping? = AlertRule.Flapping()

        package init(rule: String, condition: Condition) {
            self.rule = rule
            self.condition = condition
        }

        /// A condition with the names that the configuration uses.
        package indirect enum Condition: Sendable, Equatable {
            /// So many detections of a class are in the frame.
            case classCount(String, count: ClosedRange<Int>)
            /// The detector raises an alarm on the series.
            case anomaly(series: String)
            case above(series: String, limit: Double, clear: Double)
            case below(series: String, limit: Double, clear: Double)
            case outside(series: String, low: Double, high: Double, margin: Double)
            case change(series: String, direction: ChangeDirection, amount: Double, within: Duration)
            /// No message of a key, or no sample of a series, for a time.
            case silence(series: String?, Duration)
            case all([Condition])
            case any([Condition])
            case not(Condition)

            /// The conditions that look at facts themselves, in the order in which they are written.
            var leaves: [Condition] {
                switch self {
                case .all(let parts), .any(let parts): parts.flatMap(\.leaves)
                case .not(let part): part.leaves
                default: [self]
                }
            }

            /// Of a leaf, the series that it is about.
            var series: String? {
                switch self {
                case .anomaly(let series), .above(let series, _, _), .below(let series, _, _),
                    .outside(let series, _, _, _), .change(let series, _, _, _):
                    series
                case .silence(let series, _): series
                case .classCount, .all, .any, .not: nil
                }
            }
        }

        /// More detections of a class than a frame can have.
        static let mostDetections = 1000
    }
}
