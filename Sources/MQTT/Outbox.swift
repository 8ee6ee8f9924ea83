// SPDX-License-Identifier: Apache-2.0

import Streaming

/// A message on its way out.
struct Publication: Sendable {
    var message: Message
    /// Monotonic nanoseconds.
    var deadline: Int64
    var finalize: (@Sendable (Payload) -> Void)?
    var completion: @Sendable (PublishOutcome) -> Void
    /// Order of `publish` calls.
    var number: UInt64 = 0

    /// What it counts against the bound of the queue: payload and topic.
    var bytes: Int { message.payload.count + message.topic.utf8.count }
}

/// What waits for being sent, in order, bounded in number and bytes. What was sent and came back because the connection
/// was lost is taken again beyond the bound; that is at most what a connection holds in flight.
struct Outbox: ~Copyable {
    private(set) var bytes = 0
    private(set) var isClosed = false
    private var waiting: [Publication?] = []
    /// Index of the first one waiting; before it are only nils.
    private var head = 0
    private var nextNumber: UInt64 = 0
    private let capacityCount: Int
    private let capacityBytes: Int

    init(capacityCount: Int, capacityBytes: Int) {
        self.capacityCount = capacityCount
        self.capacityBytes = capacityBytes
    }

    var count: Int { waiting.count - head }

    /// Nil: it waits now. Else how it ended.
    mutating func add(_ publication: consuming Publication) -> PublishOutcome? {
        if isClosed { return .stopped }
        guard count < capacityCount, bytes + publication.bytes <= capacityBytes else { return .queueFull }
        publication.number = nextNumber
        nextNumber += 1
        bytes += publication.bytes
        waiting.append(publication)
        return nil
    }

    var first: Publication? { head < waiting.count ? waiting[head] : nil }

    mutating func popFirst() -> Publication? {
        guard head < waiting.count, let publication = waiting[head] else { return nil }
        waiting[head] = nil
        head += 1
        bytes -= publication.bytes
        if head == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 256, head * 2 >= waiting.count {
            waiting.removeFirst(head)
            head = 0
        }
        return publication
    }

    /// Takes back what was sent in vain; it goes first, in its old order.
    mutating func putBack(_ publications: [Publication]) {
        let rest = waiting[head...]
        waiting = publications.sorted { $0.number < $1.number } + rest
        head = 0
        bytes += publications.reduce(0) { $0 + $1.bytes }
    }

    /// Removes those whose deadline has passed.
    mutating func removeExpired(now: Int64) -> [Publication] {
        var expired: [Publication] = []
        guard waiting[head...].contains(where: { ($0?.deadline ?? .max) <= now }) else { return [] }
        var kept: [Publication?] = []
        for case let publication? in waiting[head...] {
            if publication.deadline <= now {
                expired.append(publication)
                bytes -= publication.bytes
            } else {
                kept.append(publication)
            }
        }
        waiting = kept
        head = 0
        return expired
    }

    /// Nothing is taken any more. Returns what was left.
    mutating func close() -> [Publication] {
        isClosed = true
        let rest = waiting[head...].compactMap(\.self)
        waiting = []
        head = 0
        bytes = 0
        return rest
    }
}
