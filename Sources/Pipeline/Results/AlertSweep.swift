// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Logging
import Streaming
import Synchronization

/// Looks once, after the start, which alerts the broker has retained: for a run that has no state of an earlier one.
///
/// A connection of its own subscribes to the node's alerts and ends when nothing more has come for a second, after ten at the
/// latest. At most `mostMessages` are taken.
final class AlertSweep: Sendable {
    private struct State {
        var messages: [Message] = []
        var connection: (any BrokerConnection)?
        var lastAt = Instant.now
        var isOver = false
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "brokerside.sweep")
    private let found: @Sendable ([Message]) -> Void

    private static let mostMessages = 100_000
    private static let mostBytes = 1 << 16
    private static let quietNanoseconds: Int64 = 1_000_000_000
    private static let longestNanoseconds: Int64 = 10_000_000_000

    /// - Parameter found: gets the retained messages, once, on a queue of its own.
    init(
        broker: any Broker, node: String, topics: ResultTopics, found: @escaping @Sendable ([Message]) -> Void
    ) throws {
        self.found = found
        guard let filter = TopicFilter(topics.root + "alerts/#") else { return }
        let options = ConnectionOptions(
            clientID: "\(node)-sweep", subscriptions: [.init(filter: filter, qos: .atMostOnce)])
        let connection = try broker.makeConnection(options, onMessage: { [weak self] in self?.receive($0) }) {
            [weak self] event in
            if case .subscribed = event { self?.wait(since: .now) }
        }
        state.withLock { $0.connection = connection }
    }

    func start() { state.withLock { $0.connection }?.start() }

    /// Ends early, with nothing found.
    func stop() {
        let connection = state.withLock { state in
            state.isOver = true
            defer { state.connection = nil }
            return state.connection
        }
        connection?.stop(within: .zero)
    }

    private func receive(_ message: Message) {
        guard message.retained, message.payload.count <= AlertSweep.mostBytes else { return }
        state.withLock { state in
            guard state.messages.count < AlertSweep.mostMessages else { return }
            state.messages.append(message)
            state.lastAt = .now
        }
    }

    private func wait(since start: Instant) {
        queue.asyncAfter(deadline: .now() + .milliseconds(100)) { [weak self] in
            guard let self else { return }
            let now = Instant.now
            let isDone = state.withLock { state in
                max(state.lastAt.monotonicNanoseconds, start.monotonicNanoseconds) + AlertSweep.quietNanoseconds
                    <= now.monotonicNanoseconds || start.nanoseconds(to: now) >= AlertSweep.longestNanoseconds
            }
            if isDone { finish() } else { wait(since: start) }
        }
    }

    private func finish() {
        let (messages, isFirst) = state.withLock { state in
            defer { state.isOver = true }
            return (state.messages, !state.isOver)
        }
        guard isFirst else { return }
        found(messages)
        let connection = state.withLock { state in
            defer { state.connection = nil }
            return state.connection
        }
        connection?.stop(within: .zero)
    }
}
