// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

struct TopicFilterTests {
    @Test(arguments: [
        ("a/b", "a/b", ""), ("cameras/+/frame", "cameras/yard/frame", "yard"), ("a/+/b/+", "a/1/b/2", "1/2"),
        ("a/#", "a/b/c", "b/c"), ("a/#", "a", ""), ("#", "a/b", "a/b"), ("+/#", "a/b/c", "a/b/c"), ("+", "", ""),
        ("+/+", "/", "/"), ("a/+", "a/", ""), ("/+", "/x", "x"), ("+/b", "é/b", "é"), ("$SYS/#", "$SYS/x", "x"),
    ])
    func keyIsWhatTheWildcardsMatched(filter: String, topic: String, key: String) throws {
        #expect(try #require(TopicFilter(filter)).key(of: topic) == key)
    }

    @Test(arguments: [
        ("a/b", "a/b/c"), ("a/b", "a"), ("a/+", "a"), ("a/+", "a/b/c"), ("+", "a/b"), ("#", "$SYS/x"),
        ("+/x", "$SYS/x"),
        ("a", "A"), ("a/#", "ab"), ("a/b", "a/b/"), ("\u{e9}", "e\u{301}"),
    ])
    func otherTopicsDoNotMatch(filter: String, topic: String) throws {
        #expect(try !#require(TopicFilter(filter)).matches(topic))
    }

    @Test(arguments: [
        "", "a/#/b", "a#", "#a", "a+/b", "++", "a\0b", "a/#\u{301}", "$share/group/a",
        String(repeating: "a", count: 65536),
    ])
    func refusesInvalidFilters(text: String) { #expect(TopicFilter(text) == nil) }

    /// A combining character after the separator makes one Character of both in Swift, but not in MQTT.
    @Test func separatorsAreBytes() throws {
        #expect(try #require(TopicFilter("a/+")).key(of: "a/\u{301}") == "\u{301}")
    }
}
