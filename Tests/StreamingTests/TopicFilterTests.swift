// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Streaming

struct TopicFilterTests {
    @Test(arguments: [
        ("cameras/+/frame", "cameras/yard/frame", "yard"), ("plant/#", "plant/a/b/c", "a/b/c"),
        ("plant/#", "plant", ""), ("+/+", "/", "/"), ("a/b", "a/b", ""), ("#", "x/y", "x/y"),
        ("+/x/#", "k/x/1/2", "k/1/2"), ("cameras/+/frame", "cameras//frame", ""),
    ])
    func keyIsWhatTheWildcardsMatch(filter: String, topic: String, key: String) throws {
        #expect(try #require(TopicFilter(filter)).key(of: topic) == key)
    }

    @Test(arguments: [
        ("cameras/+/frame", "cameras/yard/x/frame"), ("a/b", "a/c"), ("a/+", "a"), ("#", "$SYS/x"),
        ("+/x", "$SYS/x"), ("a/b/#", "a"), ("A", "a"),
    ])
    func topicsThatDoNotMatchHaveNoKey(filter: String, topic: String) throws {
        #expect(try #require(TopicFilter(filter)).key(of: topic) == nil)
    }

    @Test(arguments: ["", "a/#/b", "a#", "a/b+", "+a/b", "a\0b", String(repeating: "x", count: 65536)])
    func invalidFiltersAreRefused(text: String) { #expect(TopicFilter(text) == nil) }
}
