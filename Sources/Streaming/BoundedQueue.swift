// SPDX-License-Identifier: Apache-2.0

/// What a full queue does with one message more.
package enum OverflowPolicy: String, Sendable, CaseIterable {
    /// The two newest messages of each key stay: a third takes their place. With more keys than places the oldest goes.
    case latest
    case dropOldest = "drop_oldest"
    case dropNewest = "drop_newest"
    /// Nothing is dropped: whoever fills the queue is asked to stop.
    case block
}

/// A first-in first-out queue of at most `capacity` elements. A plain struct: its owner brings the lock.
package struct BoundedQueue<Element> {
    package enum Insertion {
        case inserted
        /// Inserted, and another went for it.
        case displaced(Element, ShedReason)
        /// Not inserted.
        case rejected(Element, ShedReason)
    }

    private struct Entry {
        var element: Element
        var key: String
    }

    package let capacity: Int
    package let policy: OverflowPolicy
    private var entries: [Entry?]
    /// Position of the next element to take; positions count up for ever and are taken modulo the capacity.
    private var head = 0
    private var tail = 0
    /// For `latest`: where the elements of a key wait.
    private var positions: [String: Positions] = [:]

    private struct Positions {
        var newest: Int
        var previous: Int?
    }

    package init(capacity: Int, policy: OverflowPolicy) {
        precondition(capacity > 0)
        self.capacity = capacity
        self.policy = policy
        entries = Array(repeating: nil, count: capacity)
    }

    package var count: Int { tail - head }
    package var isEmpty: Bool { head == tail }
    package var isFull: Bool { count == capacity }
    package var first: Element? { isEmpty ? nil : entries[head % capacity]?.element }

    package mutating func insert(_ element: Element, key: String) -> Insertion {
        if policy == .latest, let held = positions[key], held.previous != nil || isFull {
            // The key keeps its turns: the elements move up, their places stay.
            let oldest = held.previous ?? held.newest
            let old = entries[oldest % capacity]
            entries[oldest % capacity] = entries[held.newest % capacity]
            entries[held.newest % capacity] = Entry(element: element, key: key)
            if let old { return .displaced(old.element, .superseded) }
        }
        guard isFull else {
            append(element, key: key)
            return .inserted
        }
        switch policy {
        case .latest, .dropOldest:
            guard let oldest = popFirst() else { return .rejected(element, .queueFull) }
            append(element, key: key)
            return .displaced(oldest, .queueFull)
        case .dropNewest, .block: return .rejected(element, .queueFull)
        }
    }

    package mutating func popFirst() -> Element? {
        guard !isEmpty, let entry = entries[head % capacity] else { return nil }
        entries[head % capacity] = nil
        head += 1
        if policy == .latest, let held = positions[entry.key] {
            positions[entry.key] = held.previous == nil ? nil : Positions(newest: held.newest)
        }
        return entry.element
    }

    /// For `latest`: whether an element of the key waits.
    package func contains(key: String) -> Bool { positions[key] != nil }

    private mutating func append(_ element: Element, key: String) {
        entries[tail % capacity] = Entry(element: element, key: key)
        if policy == .latest { positions[key] = Positions(newest: tail, previous: positions[key]?.newest) }
        tail += 1
    }
}
