// SPDX-License-Identifier: Apache-2.0

/// For some time nothing new is told of some alerts: none opens, escalates or is updated. What closes is told.
package struct AlertSilence: Sendable {
    /// Nanoseconds since 1970.
    package var until: Int64
    /// Whether it covers the alert of a rule (by position) and key.
    package var matches: @Sendable (_ rule: Int, _ key: String) -> Bool

    package init(until: Int64, matches: @escaping @Sendable (_ rule: Int, _ key: String) -> Bool) {
        self.until = until
        self.matches = matches
    }
}
