// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import MQTT

struct OutboxTests {
    private func publication(_ topic: String, bytes: Int = 0, deadline: Int64 = .max) -> Publication {
        Publication(
            message: Message(topic: topic, payload: Payload([UInt8](repeating: 0, count: bytes))), deadline: deadline,
            finalize: nil, completion: { _ in })
    }

    private func drain(_ outbox: inout Outbox) -> [String] {
        var topics: [String] = []
        while let next = outbox.popFirst() { topics.append(next.message.topic) }
        return topics
    }

    @Test func keepsTheOrder() {
        var outbox = Outbox(capacityCount: 2000, capacityBytes: 1 << 20)
        for index in 0..<1000 { #expect(outbox.add(publication("\(index)")) == nil) }
        var topics: [String] = []
        for _ in 0..<700 { topics.append(outbox.popFirst()?.message.topic ?? "") }
        for index in 1000..<1500 { #expect(outbox.add(publication("\(index)")) == nil) }
        #expect(topics + drain(&outbox) == (0..<1500).map(String.init))
        #expect(outbox.bytes == 0)
    }

    @Test func isBoundedInNumberAndBytes() {
        var outbox = Outbox(capacityCount: 2, capacityBytes: 10)
        #expect(outbox.add(publication("a", bytes: 5)) == nil)
        #expect(outbox.add(publication("b", bytes: 5)) == .queueFull)
        #expect(outbox.add(publication("c")) == nil)
        #expect(outbox.add(publication("d")) == .queueFull)
        #expect(drain(&outbox) == ["a", "c"])
        #expect(outbox.add(publication("e", bytes: 9)) == nil)
    }

    @Test func whatCameBackGoesFirstInItsOldOrder() {
        var outbox = Outbox(capacityCount: 4, capacityBytes: 100)
        for topic in ["a", "b", "c"] { _ = outbox.add(publication(topic)) }
        let sent = [outbox.popFirst(), outbox.popFirst()].compactMap(\.self)
        outbox.putBack(sent.reversed())
        #expect(outbox.bytes == 3)
        #expect(drain(&outbox) == ["a", "b", "c"])
    }

    @Test func removesOnlyWhatExpired() {
        var outbox = Outbox(capacityCount: 4, capacityBytes: 100)
        for (topic, deadline) in [("a", 10), ("b", 20), ("c", 10)] as [(String, Int64)] {
            _ = outbox.add(publication(topic, deadline: deadline))
        }
        #expect(outbox.removeExpired(now: 9).isEmpty)
        #expect(outbox.removeExpired(now: 10).map(\.message.topic) == ["a", "c"])
        #expect(outbox.bytes == 1)
        #expect(drain(&outbox) == ["b"])
    }

    @Test func takesNothingAfterClose() {
        var outbox = Outbox(capacityCount: 4, capacityBytes: 100)
        _ = outbox.add(publication("a"))
        #expect(outbox.close().map(\.message.topic) == ["a"])
        #expect(outbox.add(publication("b")) == .stopped)
        #expect(outbox.count == 0)
    }
}

struct TopicCacheTests {
    @Test func givesTheSameTextForTheSameBytes() {
        var cache = TopicCache(slotCount: 1)
        for topic in ["", "short", "plant/line-7/machine-12/telemetry", "plant/line-8/machine-12/telemetry"] {
            #expect(topic.withCString { cache.string($0) } == topic)
            #expect(topic.withCString { cache.string($0) } == topic)
        }
    }

    @Test func repairsTextThatIsNotUTF8() {
        var cache = TopicCache()
        let bytes: [CChar] = [0x61, -1, 0x62, 0]
        #expect(bytes.withUnsafeBufferPointer { $0.baseAddress.map { cache.string($0) } } == "a\u{FFFD}b")
    }
}
