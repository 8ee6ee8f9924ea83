// SPDX-License-Identifier: Apache-2.0

/// How much an alert matters. Raw values are published.
package enum Severity: String, Sendable, CaseIterable, Codable, Comparable {
    case info, warning, critical

    package static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }

    private var rank: Int { self == .info ? 0 : self == .warning ? 1 : 2 }
}

/// A condition, and when it makes an alert.
package struct AlertRule: Sendable, Equatable {
    /// Names the rule in topics: one level, without wildcards.
    package var id: String
    package var condition: Condition
    /// How long the condition must hold before the alert opens.
    package var minimumDuration: Duration
    /// How long the condition must not hold before the alert closes.
    package var clearDelay: Duration
    /// After an alert has closed the next one does not open for so long.
    package var coolDown = Duration.zero
    /// Without any fact about a part of the condition for so long nothing is known of that part. Nil: it keeps its last
    /// state. What waits for data (`noData`) is not concerned.
    package var staleAfter: Duration?
    package var severity: Severity
    /// When the alert has lasted so long, without having been acknowledged, it has that severity.
    package var escalation: [Escalation] = []
    package var flapping: Flapping? = Flapping()

    package struct Escalation: Sendable, Equatable {
        package var severity: Severity
        package var after: Duration

        package init(severity: Severity, after: Duration) {
            self.severity = severity
            self.after = after
        }
    }

    /// An alert that opens for the `openings`-th time within the time is flapping: it stays open until its condition has
    /// not changed for that time.
    package struct Flapping: Sendable, Equatable {
        /// >= 2
        package var openings: Int
        package var within: Duration

        package init(openings: Int = 5, within: Duration = .seconds(300)) {
            self.openings = openings
            self.within = within
        }
    }

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

/// The durations of a rule, in nanoseconds.
struct AlertTiming: Sendable {
    var minimumDuration: Int64
    var clearDelay: Int64
    var coolDown: Int64
    var staleAfter: Int64?
    var updateInterval: Int64
    var severity: Severity
    /// The earliest first.
    var escalation: [(severity: Severity, after: Int64)]
    var flapping: (openings: Int, within: Int64)?

    init(_ rule: AlertRule, updateInterval: Duration) {
        minimumDuration = rule.minimumDuration.nanoseconds
        clearDelay = rule.clearDelay.nanoseconds
        coolDown = rule.coolDown.nanoseconds
        staleAfter = rule.staleAfter?.nanoseconds
        severity = rule.severity
        escalation = rule.escalation.map { ($0.severity, $0.after.nanoseconds) }.sorted { $0.after < $1.after }
        flapping = rule.flapping.map { (max($0.openings, 2), $0.within.nanoseconds) }
        self.updateInterval = updateInterval.nanoseconds
    }
}

extension Duration {
    /// Between zero and 292 years; what lies beyond counts as these.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 0 }
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowed) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || overflowed ? .max : sum
    }
}
