// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Streaming
import Synchronization

/// The way of alerts to the bus: one after the other, and again when the connection's queue was full, so that no state
/// stays on the bus that is no more.
///
/// - In: what has to go out, stored or not.
/// - Out: to the connection for results, at QoS 1, at most `inFlightLimit` at a time.
/// - Bound: `capacity` outputs wait; what comes then ends as shed (`publish_queue_full`), first of all mere updates.
/// - What the broker refuses is given up; what it accepted is told to the store.
///
/// `@unchecked Sendable`: `waiting` and what belongs to it are touched on `queue` alone.
final class AlertOutlet: @unchecked Sendable {
    struct Item: Sendable {
        var output: AlertOutput
        /// Its number in the store, if it is there.
        var sequence: Int64?
        var completion: @Sendable (Outcome) -> Void = { _ in }
    }

    private let publisher: ResultPublisher
    private let store: StateStore?
    private let queue = DispatchQueue(label: "brokerside.alerts-out")
    private var waiting: [(number: UInt64, item: Item)] = []
    private var next: UInt64 = 0
    private var inFlightCount = 0
    /// The connection's queue was full; until the next `retry`.
    private var isPaused = false
    private var isStopped = false
    private let backlog = Atomic(0)

    private static let capacity = 20_000
    private static let inFlightLimit = 64

    init(publisher: ResultPublisher, store: StateStore?) {
        self.publisher = publisher
        self.store = store
    }

    /// Outputs that wait.
    var waitingCount: Int { backlog.load(ordering: .relaxed) }

    func send(_ items: [Item]) {
        guard !items.isEmpty else { return }
        queue.async { [self] in
            for item in items {
                guard !isStopped else {
                    item.completion(.shed(.shutdown))
                    continue
                }
                guard waiting.count < AlertOutlet.capacity else {
                    item.completion(.shed(.publishQueueFull))
                    continue
                }
                next += 1
                waiting.append((next, item))
            }
            pump()
        }
    }

    /// Tries again what had no room. To be called a few times a second.
    func retry() {
        guard waitingCount > 0 else { return }
        queue.async { [self] in
            isPaused = false
            pump()
        }
    }

    /// Gives up what waits: it stays in the store.
    func stop() {
        queue.sync {
            isStopped = true
            for (_, item) in waiting { item.completion(.shed(.shutdown)) }
            waiting.removeAll()
            backlog.store(0, ordering: .relaxed)
        }
    }

    private func pump() {
        defer { backlog.store(waiting.count, ordering: .relaxed) }
        let count = isPaused ? 0 : min(AlertOutlet.inFlightLimit - inFlightCount, waiting.count)
        guard count > 0 else { return }
        let ready = waiting.prefix(count)
        waiting.removeFirst(count)
        inFlightCount += count
        for (number, item) in ready {
            publisher.publish(item.output.document, qos: .atLeastOnce, retained: item.output.isRetained) {
                [self] outcome in queue.async { [self] in ended(number, item, outcome) }
            }
        }
    }

    private func ended(_ number: UInt64, _ item: Item, _ outcome: Outcome) {
        inFlightCount -= 1
        switch outcome {
        case .shed(.publishQueueFull) where !isStopped:
            isPaused = true
            // Where it was: the order of the states of a topic matters.
            let place = waiting.firstIndex { $0.number > number } ?? waiting.count
            waiting.insert((number, item), at: place)
            backlog.store(waiting.count, ordering: .relaxed)
            return
        case .processed, .failed: if let sequence = item.sequence { store?.sent(sequence) }
        case .shed: break
        }
        item.completion(outcome)
        pump()
    }
}
