// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// A connection to an `InMemoryBroker`, with the windows and outcomes of a real one.
final class InMemoryConnection: BrokerConnection {
    private struct Waiting: Sendable {
        var message: Message
        var deadline: Int64
        var finalize: (@Sendable (Payload) -> Void)?
        var completion: @Sendable (PublishOutcome) -> Void
    }

    private struct State {
        var isStarted = false
        var isConnected = false
        var isStopped = false
        var pauses = 0
        var lastNumber: UInt64 = 0
        /// From the broker, not delivered yet.
        var incoming: [Message] = []
        /// Delivered and not acknowledged, in order.
        var unacknowledged: [Message] = []
        /// Delivered and not finished, over all connections.
        var open = 0
        var outgoing: [Waiting] = []
        var outgoingBytes = 0
        var rejected: [(completion: @Sendable (PublishOutcome) -> Void, outcome: PublishOutcome)] = []
    }

    let options: ConnectionOptions
    private let broker: InMemoryBroker
    private let onMessage: @Sendable (Message) -> Void
    private let onEvent: @Sendable (ConnectionEvent) -> Void
    private let queue: DispatchQueue
    private let state = Mutex(State())

    init(
        broker: InMemoryBroker, options: ConnectionOptions, onMessage: @escaping @Sendable (Message) -> Void,
        onEvent: @escaping @Sendable (ConnectionEvent) -> Void
    ) {
        self.broker = broker
        self.options = options
        self.onMessage = onMessage
        self.onEvent = onEvent
        queue = DispatchQueue(label: "in-memory.\(options.clientID)")
    }

    func start() {
        state.withLock { $0.isStarted = true }
        broker.add(self)
        connect()
    }

    func pause() { state.withLock { $0.pauses += 1 } }

    func resume() {
        state.withLock { state in
            precondition(state.pauses > 0, "more resumes than pauses")
            state.pauses -= 1
        }
        wake()
    }

    func finished(_ count: Int) {
        guard options.window != nil else { return }
        state.withLock { state in
            precondition(state.open >= count, "more messages finished than received")
            state.open -= count
            if state.open == 0 { state.unacknowledged.removeAll() }
        }
        wake()
    }

    func publish(
        _ message: Message, deadline: Int64?, finalize: (@Sendable (Payload) -> Void)?,
        completion: @escaping @Sendable (PublishOutcome) -> Void
    ) {
        state.withLock { state in
            let bytes = message.payload.count + message.topic.utf8.count
            if state.isStopped {
                state.rejected.append((completion, .stopped))
            } else if state.outgoing.count >= options.publishQueueCount
                || state.outgoingBytes + bytes > options.publishQueueBytes
            {
                state.rejected.append((completion, .queueFull))
            } else {
                state.outgoing.append(
                    Waiting(
                        message: message, deadline: deadline ?? .max, finalize: finalize, completion: completion))
                state.outgoingBytes += bytes
            }
        }
        wake()
    }

    func stop(within: Duration) {
        queue.sync {
            service()
            let waiting = state.withLock { state in
                defer { state.outgoing = [] }
                state.isStopped = true
                return state.outgoing
            }
            for publication in waiting { publication.completion(.stopped) }
            leave(publishesWill: false)
        }
    }

    // MARK: For the broker

    func enqueue(_ message: Message) { state.withLock { $0.incoming.append(message) } }

    func wake() { queue.async { [self] in service() } }

    func settle() { queue.sync { service() } }

    func connect() {
        queue.async { [self] in
            guard state.withLock({ $0.isStarted && !$0.isConnected && !$0.isStopped }) else { return }
            switch broker.connect(self) {
            case .failure(let refusal):
                onEvent(.disconnected(reason: "refused by the broker: \(refusal.reason)", retryAfter: .zero))
            case .success(let (sessionPresent, messages)):
                state.withLock { state in
                    state.isConnected = true
                    state.incoming = messages + state.incoming
                }
                onEvent(.connected(sessionPresent: sessionPresent))
                if !options.subscriptions.isEmpty { onEvent(.subscribed) }
                service()
            }
        }
    }

    /// The connection is cut; another one follows.
    func drop() {
        queue.sync {
            guard state.withLock({ $0.isConnected }) else { return }
            leave(publishesWill: true)
            onEvent(.disconnected(reason: "dropped", retryAfter: .zero))
        }
        connect()
    }

    // MARK: The queue

    private func leave(publishesWill: Bool) {
        // Incoming counts as not acknowledged; QoS 0 in it is lost, as on a socket.
        broker.disconnect(
            self,
            unacknowledged: state.withLock { state in
                defer {
                    state.unacknowledged = []
                    state.incoming = []
                    state.isConnected = false
                }
                return state.unacknowledged + state.incoming
            }, publishesWill: publishesWill)
    }

    private func service() {
        dispatchPrecondition(condition: .onQueue(queue))
        let rejected = state.withLock { state in
            defer { state.rejected = [] }
            return state.rejected
        }
        for (completion, outcome) in rejected { completion(outcome) }
        while let publication = nextOutgoing() {
            if publication.deadline <= Instant.now.monotonicNanoseconds {
                publication.completion(.expired)
            } else if publication.message.topic.isEmpty
                || publication.message.topic.contains(where: { "+#\0".contains($0) })
            {
                publication.completion(.refused(reason: "the topic is not valid"))
            } else {
                publication.finalize?(publication.message.payload)
                broker.route(copy(publication.message))
                publication.completion(.accepted)
            }
        }
        while let message = nextIncoming() { onMessage(message) }
    }

    /// Nobody shares memory with the publisher, as over a socket.
    private func copy(_ message: Message) -> Message {
        var message = message
        message.payload = Payload(copying: UnsafeRawBufferPointer(message.payload.bytes))
        return message
    }

    private func nextOutgoing() -> Waiting? {
        state.withLock { state in
            let now = Instant.now.monotonicNanoseconds
            guard let first = state.outgoing.first, state.isConnected || first.deadline <= now else { return nil }
            state.outgoingBytes -= first.message.payload.count + first.message.topic.utf8.count
            return state.outgoing.removeFirst()
        }
    }

    private func nextIncoming() -> Message? {
        state.withLock { state in
            guard state.isConnected, state.pauses == 0, !state.incoming.isEmpty else { return nil }
            if let window = options.window {
                guard state.open < window, state.unacknowledged.count < window else { return nil }
                state.open += 1
            }
            var message = state.incoming.removeFirst()
            message.receivedAt = .now
            guard options.window != nil else { return message }
            if message.qos == .atLeastOnce, message.deliveryNumber == nil {
                state.lastNumber += 1
                message.deliveryNumber = state.lastNumber
            }
            state.unacknowledged.append(message)
            return message
        }
    }
}
