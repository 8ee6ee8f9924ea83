// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// A broker within the process, for tests: filters, retained messages, last wills, shared groups in turn, sessions that
/// deliver again what was not acknowledged. It can drop and refuse connections on demand. Nothing is bounded but the
/// windows, and nothing expires.
///
/// Every connection calls its handlers on a queue of its own; `settle` waits until all of them have nothing to do.
package final class InMemoryBroker: Broker {
    /// What a client left behind with the broker.
    struct Session {
        var subscriptions: [ConnectionOptions.Subscription] = []
        /// Kept while the client is away; only QoS 1, for clients with a window.
        var waiting: [Message] = []
        weak var connection: InMemoryConnection?
        var will: Message?
    }

    private struct State {
        var sessions: [String: Session] = [:]
        /// Client ids in the order in which they came, so that routing does not depend on hashing.
        var order: [String] = []
        var retained: [String: Message] = [:]
        /// Which member of a group is next, by `$share/...` text.
        var turns: [String: Int] = [:]
        var refusal: String?
    }

    private let state = Mutex(State())

    package init() {}

    package func makeConnection(
        _ options: ConnectionOptions, onMessage: @escaping @Sendable (Message) -> Void,
        onEvent: @escaping @Sendable (ConnectionEvent) -> Void
    ) throws -> any BrokerConnection {
        InMemoryConnection(broker: self, options: options, onMessage: onMessage, onEvent: onEvent)
    }

    // MARK: For tests

    /// Publishes as a client that is not there otherwise.
    package func publish(_ message: Message) { route(message) }

    /// Retained messages by topic.
    package var retained: [String: Message] { state.withLock(\.retained) }

    /// Cuts the connection of the client, or all of them: wills are published, what was not acknowledged waits. They
    /// reconnect at once unless refused.
    package func drop(clientID: String? = nil) {
        let connections = state.withLock { state in
            state.sessions.filter { clientID == nil || $0.key == clientID }.compactMap { $0.value.connection }
        }
        for connection in connections { connection.drop() }
    }

    /// From now on connections are refused with this reason; with nil those refused come in.
    package func refuse(_ reason: String?) {
        state.withLock { $0.refusal = reason }
        guard reason == nil else { return }
        for connection in connections { connection.connect() }
    }

    /// Waits until no connection has anything left to do at this moment.
    package func settle() {
        // What one delivers may be published by another: three rounds cover in, through and out.
        for _ in 0..<3 { for connection in connections { connection.settle() } }
    }

    private let known = Mutex<[Weak]>([])
    private struct Weak { weak var connection: InMemoryConnection? }
    private var connections: [InMemoryConnection] { known.withLock { $0.compactMap(\.connection) } }

    // MARK: For connections

    func add(_ connection: InMemoryConnection) { known.withLock { $0.append(Weak(connection: connection)) } }

    /// Whether a session was there, and what waits for it; or why it is refused.
    func connect(_ connection: InMemoryConnection) -> Result<(sessionPresent: Bool, messages: [Message]), Refusal> {
        let options = connection.options
        return state.withLock { state in
            if let reason = state.refusal { return .failure(Refusal(reason: reason)) }
            let old = state.sessions[options.clientID]
            let keeps = options.window != nil
            if old == nil { state.order.append(options.clientID) }
            state.sessions[options.clientID] = Session(
                subscriptions: options.subscriptions, waiting: [], connection: connection, will: options.will)
            var messages = keeps ? old?.waiting ?? [] : []
            let isNew = old == nil || !keeps
            for subscription in options.subscriptions where subscription.share == nil && isNew {
                for topic in state.retained.keys.sorted() where subscription.filter.key(of: topic) != nil {
                    guard var message = state.retained[topic] else { continue }
                    message.qos = min(message.qos, subscription.qos)
                    message.retained = true
                    messages.append(message)
                }
            }
            return .success((keeps && old != nil, messages))
        }
    }

    /// `unacknowledged`: what the connection had not acknowledged, in order.
    func disconnect(_ connection: InMemoryConnection, unacknowledged: [Message], publishesWill: Bool) {
        let will = state.withLock { state -> Message? in
            let id = connection.options.clientID
            guard var session = state.sessions[id], session.connection === connection else { return nil }
            let will = session.will
            session.connection = nil
            session.will = nil
            if connection.options.window == nil {
                state.sessions[id] = nil
                state.order.removeAll { $0 == id }
            } else {
                session.waiting = unacknowledged.filter { $0.qos == .atLeastOnce } + session.waiting
                state.sessions[id] = session
            }
            return publishesWill ? will : nil
        }
        if let will { route(will) }
    }

    func route(_ message: Message) {
        let receivers = state.withLock { state -> [(InMemoryConnection, Message)] in
            if message.retained { state.retained[message.topic] = message.payload.count == 0 ? nil : message }
            var copies: [(id: String, qos: QualityOfService)] = []
            var groups: [String: [(id: String, qos: QualityOfService)]] = [:]
            for id in state.order {
                // Overlapping subscriptions of one client give one copy, with the highest quality of service.
                var own: QualityOfService?
                for subscription in state.sessions[id]?.subscriptions ?? []
                where subscription.filter.key(of: message.topic) != nil {
                    let qos = min(subscription.qos, message.qos)
                    if let share = subscription.share {
                        groups["$share/\(share)/\(subscription.filter.text)", default: []].append((id, qos))
                    } else {
                        own = max(own ?? qos, qos)
                    }
                }
                if let own { copies.append((id, own)) }
            }
            for (name, members) in groups.sorted(by: { $0.key < $1.key }) {
                let present = members.filter { state.sessions[$0.id]?.connection != nil }
                let candidates = present.isEmpty ? members : present
                let turn = state.turns[name, default: 0]
                state.turns[name] = turn &+ 1
                copies.append(candidates[turn % candidates.count])
            }
            var receivers: [(InMemoryConnection, Message)] = []
            for (id, qos) in copies {
                var copy = message
                copy.qos = qos
                copy.retained = false
                if let connection = state.sessions[id]?.connection {
                    receivers.append((connection, copy))
                } else if qos == .atLeastOnce {
                    state.sessions[id]?.waiting.append(copy)
                }
            }
            // Within the lock, so that messages reach every connection in one order; it only enqueues.
            for (connection, copy) in receivers { connection.enqueue(copy) }
            return receivers
        }
        for (connection, _) in receivers { connection.wake() }
    }

    struct Refusal: Error { let reason: String }
}

extension QualityOfService: Comparable {
    package static func < (a: QualityOfService, b: QualityOfService) -> Bool { a.rawValue < b.rawValue }
}
