// SPDX-License-Identifier: Apache-2.0

/// A topic filter with `+` and `#` (MQTT 5 section 4.7). Levels are compared byte by byte, without normalization.
package struct TopicFilter: Sendable, Hashable, CustomStringConvertible {
    private enum Level: Sendable, Hashable {
        case literal([UInt8])
        /// `+`
        case one
        /// `#`
        case rest
    }

    package let text: String
    private let levels: [Level]

    /// Nil when the text is not a valid filter: empty, longer than 65535 bytes, with U+0000, `#` not last, or a wildcard
    /// that shares its level. Also for `$share/...`, as the group of a shared subscription is not part of its filter.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty, bytes.count <= 65535, !bytes.contains(0), !bytes.starts(with: "$share/".utf8) else {
            return nil
        }
        var levels: [Level] = []
        for level in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            if levels.last == .rest { return nil }
            switch level {
            case [UInt8(ascii: "+")]: levels.append(.one)
            case [UInt8(ascii: "#")]: levels.append(.rest)
            default:
                guard !level.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }) else { return nil }
                levels.append(.literal(Array(level)))
            }
        }
        self.text = text
        self.levels = levels
    }

    package var description: String { text }

    package static func == (a: TopicFilter, b: TopicFilter) -> Bool { a.levels == b.levels }

    package func hash(into hasher: inout Hasher) { hasher.combine(levels) }

    /// What the wildcards match in `topic`, joined by `/`: the key of a message. Empty for a filter without wildcards;
    /// nil when the topic does not match. Topics that begin with `$` match no filter that begins with a wildcard.
    package func key(of topic: String) -> String? {
        var topic = topic
        return topic.withUTF8 { key(in: $0) }
    }

    package func matches(_ topic: String) -> Bool { key(of: topic) != nil }

    private func key(in topic: UnsafeBufferPointer<UInt8>) -> String? {
        if topic.first == UInt8(ascii: "$"), levels[0] == .one || levels[0] == .rest { return nil }
        var key = ""
        var hasKey = false
        func add(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) {
            if hasKey { key += "/" }
            hasKey = true
            key += String(decoding: UnsafeBufferPointer(rebasing: bytes), as: UTF8.self)
        }
        // Start of the level to match; past the end when the topic has no more levels.
        var start = 0
        for level in levels {
            if level == .rest {
                if start <= topic.count { add(topic[start...]) }
                return key
            }
            guard start <= topic.count else { return nil }
            let end = topic[start...].firstIndex(of: UInt8(ascii: "/")) ?? topic.count
            switch level {
            case .literal(let bytes): guard topic[start..<end].elementsEqual(bytes) else { return nil }
            case .one, .rest: add(topic[start..<end])
            }
            start = end + 1
        }
        return start > topic.count ? key : nil
    }
}
