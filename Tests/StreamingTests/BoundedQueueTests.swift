// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Streaming

struct BoundedQueueTests {
    private func drain(_ queue: inout BoundedQueue<Int>) -> [Int] {
        var elements: [Int] = []
        while let element = queue.popFirst() { elements.append(element) }
        return elements
    }

    private func dropped(_ insertion: BoundedQueue<Int>.Insertion) -> (Int, ShedReason)? {
        switch insertion {
        case .inserted: nil
        case .displaced(let element, let reason), .rejected(let element, let reason): (element, reason)
        }
    }

    @Test func keepsTheOrder() {
        var queue = BoundedQueue<Int>(capacity: 3, policy: .dropOldest)
        for round in 0..<5 {
            for element in 0..<3 { #expect(dropped(queue.insert(round * 3 + element, key: "")) == nil) }
            #expect(drain(&queue) == [round * 3, round * 3 + 1, round * 3 + 2])
        }
    }

    @Test func fullQueueDropsOldest() throws {
        var queue = BoundedQueue<Int>(capacity: 2, policy: .dropOldest)
        _ = queue.insert(1, key: "")
        _ = queue.insert(2, key: "")
        let (element, reason) = try #require(dropped(queue.insert(3, key: "")))
        #expect(element == 1 && reason == .queueFull)
        #expect(drain(&queue) == [2, 3])
    }

    @Test(arguments: [OverflowPolicy.dropNewest, .block])
    func fullQueueRejectsTheNewest(policy: OverflowPolicy) throws {
        var queue = BoundedQueue<Int>(capacity: 2, policy: policy)
        _ = queue.insert(1, key: "")
        _ = queue.insert(2, key: "")
        let (element, reason) = try #require(dropped(queue.insert(3, key: "")))
        #expect(element == 3 && reason == .queueFull)
        #expect(drain(&queue) == [1, 2])
    }

    @Test func latestKeepsTheTwoNewestOfEachKeyInTheirPlaces() throws {
        var queue = BoundedQueue<Int>(capacity: 5, policy: .latest)
        for (element, key) in [(1, "a"), (2, "b"), (3, "a"), (4, "b")] {
            #expect(dropped(queue.insert(element, key: key)) == nil)
        }
        let (element, reason) = try #require(dropped(queue.insert(5, key: "a")))
        #expect(element == 1 && reason == .superseded)
        #expect(drain(&queue) == [3, 2, 5, 4])
    }

    @Test func latestKnowsWhoseNewerElementsWait() {
        var queue = BoundedQueue<Int>(capacity: 3, policy: .latest)
        for (element, key) in [(1, "a"), (2, "b"), (3, "a")] { _ = queue.insert(element, key: key) }
        var waits: [Bool] = []
        for key in ["a", "b", "a"] {
            _ = queue.popFirst()
            waits.append(queue.contains(key: key))
        }
        #expect(waits == [true, false, false])
    }

    @Test func latestKeepsOneOfEachKeyWhenPlacesAreFew() throws {
        var queue = BoundedQueue<Int>(capacity: 2, policy: .latest)
        _ = queue.insert(1, key: "a")
        _ = queue.insert(2, key: "b")
        let (element, reason) = try #require(dropped(queue.insert(3, key: "a")))
        #expect(element == 1 && reason == .superseded)
        #expect(drain(&queue) == [3, 2])
    }

    @Test func latestWithMoreKeysThanPlacesDropsTheOldest() throws {
        var queue = BoundedQueue<Int>(capacity: 2, policy: .latest)
        _ = queue.insert(1, key: "a")
        _ = queue.insert(2, key: "b")
        let (element, reason) = try #require(dropped(queue.insert(3, key: "c")))
        #expect(element == 1 && reason == .queueFull)
        _ = queue.insert(4, key: "a")
        #expect(drain(&queue) == [3, 4])
    }

    @Test func latestForgetsKeysThatWereTaken() {
        var queue = BoundedQueue<Int>(capacity: 2, policy: .latest)
        for element in 0..<10 {
            #expect(dropped(queue.insert(element, key: "a")) == nil)
            #expect(queue.popFirst() == element)
        }
    }
}
