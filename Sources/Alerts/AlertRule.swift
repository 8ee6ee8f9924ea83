// SPDX-License-Identifier: Apache-2.0

/// How much an alert matters. Raw values are published.
package enum Severity: String, Sendable, CaseIterable, Codable { case info, warning, critical }

/// A condition, and when it makes an alert.
package struct AlertRule: Sendable, Equatable {
    /// Names the rule in topics: one level, without wildcards.
    package var id: String
    package var condition: Condition
    /// How long the condition must hold before the alert opens.
    package var minimumDuration: Duration
    /// How long the condition must not hold before the alert closes.
    package var clearDelay: Duration
    /// Without any fact about the condition for so long it counts as no longer true. Nil: it keeps its last state.
    package var staleAfter: Duration?
    package var severity: Severity

    package init(
        id: String, condition: Condition, minimumDuration: Duration = .zero, clearDelay: Duration = .seconds(5),
        staleAfter: Duration? = nil, severity: Severity = .warning
    ) {
        self.id = id
        self.condition = condition
        self.minimumDuration = minimumDuration
        self.clearDelay = clearDelay
        self.staleAfter = staleAfter
        self.severity = severity
    }
}
