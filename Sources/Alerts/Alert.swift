// SPDX-License-Identifier: Apache-2.0

/// An alert as it stands: of one rule, for one key.
package struct Alert: Sendable, Equatable, Codable {
    /// When the condition began to hold; with no data, when the last data came.
    package var since: Moment
    /// When it had held for the minimum duration; before, as `since`.
    package var openedAt: Moment
    /// When a fact last showed that the condition holds.
    package var lastRaisedAt: Moment
    /// When it closed; nil while it is open.
    package var closedAt: Moment?
    package var severity: Severity
    /// Somebody looks after it.
    package var acknowledgement: Acknowledgement?
    /// It opened and closed so often that it now stays open until that has ended.
    package var isFlapping = false
    /// Openings that count for flapping, this one included.
    package var openings = 0
    /// Nothing but its closing is told until then; nanoseconds since 1970.
    package var silencedUntil: Int64?
    /// Of the last fact that raised it: the sample, the move, the number of detections, or the seconds without data.
    package var value: Double
    /// What would have been normal then.
    package var expected: ClosedRange<Double>?
    /// The anomaly's or the best detection's, 0...1.
    package var score: Double?
    /// Of several series judged together, the one that the value is of.
    package var series: String?
    /// The worst value so far: farthest beyond the threshold, of the highest score, or of most detections.
    package var peak: Double
    /// Facts that raised it so far.
    package var count: Int
    /// Which leaf of the condition the value belongs to.
    package var leaf = 0
    /// What the caller named the last fact that raised it.
    package var evidence: String?

    package init(since: Moment, severity: Severity, value: Double) {
        self.since = since
        openedAt = since
        lastRaisedAt = since
        self.severity = severity
        self.value = value
        peak = value
        count = 0
    }

    package struct Acknowledgement: Sendable, Equatable, Codable {
        package var at: Moment
        package var by: String?
        package var note: String?

        package init(at: Moment, by: String?, note: String?) {
            self.at = at
            self.by = by
            self.note = note
        }
    }

    package enum State: String, Sendable, Codable { case pending, open, acknowledged, closed }

    /// Of one that has opened.
    package var state: State { closedAt != nil ? .closed : acknowledgement != nil ? .acknowledged : .open }

    /// From its beginning until it closed, or until `now`.
    package func durationNanoseconds(at now: Moment) -> Int64 { max((closedAt ?? now).steady &- since.steady, 0) }

    /// The same alert of an earlier run, on the clock of this one.
    package func rebased(to now: Moment) -> Alert {
        var alert = self
        alert.since = since.rebased(to: now)
        alert.openedAt = openedAt.rebased(to: now)
        alert.lastRaisedAt = lastRaisedAt.rebased(to: now)
        alert.closedAt = closedAt?.rebased(to: now)
        alert.acknowledgement?.at = acknowledgement?.at.rebased(to: now) ?? now
        return alert
    }
}

/// A step in the life of an alert.
package struct AlertChange: Sendable, Equatable {
    package enum Kind: String, Sendable, Codable {
        case opened, acknowledged, escalated, closed
        /// It opens and closes too often: it stays open from now on, until it is steady again.
        case flapping, steady
        case silenced
        /// The time of silence is over, and it is still open.
        case unsilenced
        /// Nothing happened but news of what goes on.
        case updated
    }

    package var kind: Kind
    /// Position of the rule.
    package var rule: Int
    package var key: String
    /// Where the latest fact of the key came from.
    package var origin: String
    package var alert: Alert
    /// When it happened.
    package var at: Moment
    /// What is known of each leaf of the rule's condition.
    package var leaves: [LeafState]
    /// The last values that the alert's leaf looked at, oldest first.
    package var samples: [TimedValue]

    package init(
        kind: Kind, rule: Int, key: String, origin: String, alert: Alert, at now: Moment, leaves: [LeafState],
        samples: [TimedValue]
    ) {
        self.kind = kind
        self.rule = rule
        self.key = key
        self.origin = origin
        self.alert = alert
        at = now
        self.leaves = leaves
        self.samples = samples
    }
}
