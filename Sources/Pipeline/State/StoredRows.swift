// SPDX-License-Identifier: Apache-2.0

import Alerts

/// The alert of a rule for a key (and a series, where the rule exists for each), as it is stored.
package struct StoredAlertRow: Sendable {
    var pipeline: String
    var desk: Int
    var rule: String
    var key: String
    var series: String?
    /// Nil: nothing is to be remembered any more.
    var state: StoredAlert?
}

/// A key that rules on missing data know of, with a topic of it.
package struct StoredKeyRow: Sendable {
    var pipeline: String
    var desk: Int
    var key: String
    var topic: String
    var isKnown: Bool
}

/// For some time nothing new is told of the alerts that it covers. What is nil covers all.
package struct StoredSilence: Sendable, Equatable {
    var pipeline: String?
    var key: String?
    var rule: String?
    /// Nanoseconds since 1970.
    var until: Int64
    var by: String?
    var note: String?

    func covers(same other: StoredSilence) -> Bool {
        pipeline == other.pipeline && key == other.key && rule == other.rule
    }
}

/// Everything that one moment changes: stored together, or not at all.
struct StateChange: Sendable {
    var alerts: [StoredAlertRow] = []
    var keys: [StoredKeyRow] = []
    /// All that are in force; nil when that did not change.
    var silences: [StoredSilence]?
    /// What must reach the bus.
    var outputs: [AlertOutput] = []
}

/// A topic that may hold a retained alert, and what it is about.
struct RetainedTopic: Sendable {
    var topic: String
    var pipeline: String
    var desk: Int
    var rule: String
}

/// What an earlier run has left.
struct StoredState: Sendable {
    var alerts: [StoredAlertRow] = []
    var keys: [StoredKeyRow] = []
    var silences: [StoredSilence] = []
    /// What was not known to have reached the bus, oldest first.
    var unsent: [(sequence: Int64, output: AlertOutput)] = []
    /// Topics that may hold a retained alert.
    var retained: [RetainedTopic] = []
    /// Rows that could not be read.
    var unreadableCount = 0

    /// Alerts were told before.
    var isOfAnEarlierRun: Bool { !alerts.isEmpty || !retained.isEmpty }
}
