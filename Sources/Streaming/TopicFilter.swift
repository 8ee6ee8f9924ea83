// SPDX-License-Identifier: Apache-2.0

/// A topic filter with `+` and `#` (MQTT 5 section 4.7).
package struct TopicFilter: Sendable, Hashable, CustomStringConvertible {
    package let text: String
    private let levels: [String]

    /// Nil when the text is not a valid filter: empty, longer than 65535 bytes, with U+0000, `#` not last, or a wildcard
    /// that shares its level.
    package init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= 65535, !text.utf8.contains(0) else { return nil }
        levels = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        for (index, level) in levels.enumerated() where level.contains("#") || level.contains("+") {
            guard level.utf8.count == 1, level == "+" || index == levels.count - 1 else { return nil }
        }
        self.text = text
    }

    package var description: String { text }

    /// What the wildcards match in `topic`, joined by `/`: the key of a message. Empty for a filter without wildcards;
    /// nil when the topic does not match. Topics that begin with `$` match no filter that begins with a wildcard.
    package func key(of topic: String) -> String? {
        let parts = topic.split(separator: "/", omittingEmptySubsequences: false)
        if topic.hasPrefix("$"), let first = levels.first, first == "+" || first == "#" { return nil }
        var matched: [Substring] = []
        for (index, level) in levels.enumerated() {
            if level == "#" {
                if index < parts.count { matched += parts[index...] }
                return matched.joined(separator: "/")
            }
            guard index < parts.count else { return nil }
            if level == "+" { matched.append(parts[index]) } else if level != parts[index] { return nil }
        }
        return parts.count == levels.count ? matched.joined(separator: "/") : nil
    }
}
