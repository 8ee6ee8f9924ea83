// SPDX-License-Identifier: Apache-2.0

import Streaming
import Synchronization
import TestSupport

/// Remembers what a connection said.
final class Recorder: Sendable {
    private struct State {
        var messages: [Message] = []
        var events: [ConnectionEvent] = []
        var outcomes: [PublishOutcome] = []
    }

    private let state = Mutex(State())

    var messages: [Message] { state.withLock(\.messages) }
    var events: [ConnectionEvent] { state.withLock(\.events) }
    var outcomes: [PublishOutcome] { state.withLock(\.outcomes) }
    var texts: [String] { messages.map { String(decoding: $0.payload.bytes, as: UTF8.self) } }
    var messageCount: Int { state.withLock { $0.messages.count } }

    var connectCount: Int {
        events.count { if case .connected = $0 { true } else { false } }
    }

    /// The last reason for which the connection was lost or refused.
    var lastReason: String? {
        for case .disconnected(let reason, _) in events.reversed() { return reason }
        return nil
    }

    func add(_ message: Message) { state.withLock { $0.messages.append(message) } }
    func add(_ event: ConnectionEvent) { state.withLock { $0.events.append(event) } }
    func add(_ outcome: PublishOutcome) { state.withLock { $0.outcomes.append(outcome) } }
}

/// A connection with its recorder; it has to be stopped.
struct Client: Sendable {
    let recorder = Recorder()
    let connection: any BrokerConnection

    /// With `onMessage` the caller looks after the messages, else they are only recorded and stay open.
    init(
        _ broker: some Broker, _ id: String, _ filters: [String] = [], qos: QualityOfService = .atMostOnce,
        share: String? = nil, window: Int? = nil, will: Message? = nil, publishQueueCount: Int = 10_000,
        onMessage: @escaping @Sendable (Message) -> Void = { _ in }
    ) throws {
        let recorder = recorder
        let options = ConnectionOptions(
            clientID: id,
            subscriptions: filters.compactMap { TopicFilter($0) }.map { .init(filter: $0, qos: qos, share: share) },
            window: window, will: will, publishQueueCount: publishQueueCount)
        connection = try broker.makeConnection(
            options,
            onMessage: { message in
                recorder.add(message)
                onMessage(message)
            }, onEvent: { recorder.add($0) })
        connection.start()
    }

    func publish(
        _ topic: String, _ text: String = "", qos: QualityOfService = .atMostOnce, retained: Bool = false,
        properties: MessageProperties = MessageProperties(), deadline: Int64? = nil
    ) {
        let message = Message(
            topic: topic, payload: Payload(text), qos: qos, retained: retained, properties: properties)
        connection.publish(message, deadline: deadline, finalize: nil) { [recorder] in recorder.add($0) }
    }

    func isConnected(times: Int = 1) async -> Bool { await eventually { recorder.connectCount >= times } }

    func isSubscribed(times: Int = 1) async -> Bool {
        await eventually { recorder.events.count { $0 == .subscribed } >= times }
    }

    func received(_ count: Int) async -> Bool { await eventually { recorder.messageCount >= count } }

    func published(_ count: Int) async -> Bool { await eventually { recorder.outcomes.count >= count } }

    /// Publishes to a topic of its own and waits for it to come back: what the broker had for this client before is
    /// here then. The client must be subscribed to `roundtrip`.
    func roundTrip() async -> Bool {
        let text = "round trip \(recorder.messageCount)"
        publish("roundtrip", text)
        return await eventually { recorder.texts.contains(text) }
    }

    func stop(within: Duration = .seconds(2)) { connection.stop(within: within) }
}
