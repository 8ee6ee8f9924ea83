// SPDX-License-Identifier: Apache-2.0

/// An alert as it stands: of one rule, for one key. Times are nanoseconds on the caller's monotonic clock.
package struct Alert: Sendable, Equatable {
    /// When the condition began to hold; with no data, when the last data came.
    package var since: Int64
    /// When it had held for the minimum duration.
    package var openedAt: Int64
    /// When a fact last showed that the condition holds.
    package var lastRaisedAt: Int64
    /// When it closed; nil while it is open.
    package var closedAt: Int64?
    /// Of the last fact that raised it: the sample, the number of detections, or the seconds without data.
    package var value: Double
    /// What would have been normal then.
    package var expected: ClosedRange<Double>?
    /// The anomaly's or the best detection's, 0...1.
    package var score: Double?
    /// The worst value so far: farthest beyond the threshold, of the highest score, or of most detections.
    package var peak: Double
    /// Facts that raised it so far.
    package var count: Int

    /// From its beginning until it closed, or until `now`.
    package func durationNanoseconds(at now: Int64) -> Int64 { (closedAt ?? now) - since }
}

/// A step in the life of an alert.
package struct AlertChange: Sendable, Equatable {
    package enum Kind: String, Sendable, Codable { case opened, updated, closed }

    package var kind: Kind
    /// Position of the rule.
    package var rule: Int
    package var key: String
    package var alert: Alert
    /// When it happened.
    package var at: Int64
}
