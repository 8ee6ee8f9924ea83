// SPDX-License-Identifier: Apache-2.0

import Streaming
import Synchronization
import TestSupport

@testable import Pipeline

/// Another service on the bus, real or in memory: publishes, and keeps everything that it receives.
final class BrokerClient: Sendable {
    private let connection: any BrokerConnection
    private let mailbox: Mailbox
    private let accepted = Atomic(0)

    /// - Parameter isLossless: subscribes at QoS 1.
    init(
        _ broker: any Broker, id: String = "observer", filters: [String] = ["brokerside/#"], isLossless: Bool = true
    ) throws {
        let mailbox = Mailbox()
        self.mailbox = mailbox
        let qos: QualityOfService = isLossless ? .atLeastOnce : .atMostOnce
        let options = ConnectionOptions(
            clientID: id, subscriptions: filters.compactMap(TopicFilter.init).map { .init(filter: $0, qos: qos) },
            window: isLossless ? 20 : nil, publishQueueCount: 100_000, publishQueueBytes: 256 << 20)
        connection = try broker.makeConnection(options, onMessage: { mailbox.receive($0) }, onEvent: { _ in })
        mailbox.attach(connection)
        connection.start()
    }

    /// In the order in which they came.
    var messages: [Message] { mailbox.all }

    /// Results of one kind: `detections`, `scores`, `alerts`, `status` or `report`.
    func documents(_ kind: String, node: String = "gate") -> [Document] {
        let start = "brokerside/\(node)/\(kind)"
        return messages.filter { $0.topic == start || $0.topic.hasPrefix(start + "/") }.compactMap { Document($0) }
    }

    /// The states of an alert (`<pipeline>/<key>/<rule>`) as they were published, without those that the broker had kept.
    func states(_ alert: String, node: String = "gate") -> [Document] {
        messages.filter { $0.topic == "brokerside/\(node)/alerts/\(alert)" && !$0.retained }.compactMap { Document($0) }
    }

    func events(_ alert: String, node: String = "gate") -> [Document] {
        messages.filter { $0.topic == "brokerside/\(node)/alerts/\(alert)/events" }.compactMap { Document($0) }
    }

    func publish(
        _ topic: String, _ payload: Payload, qos: QualityOfService = .atMostOnce, retained: Bool = false
    ) {
        let message = Message(topic: topic, payload: payload, qos: qos, retained: retained)
        connection.publish(message, deadline: nil, finalize: nil) { [self] outcome in
            if outcome == .accepted { accepted.add(1, ordering: .relaxed) }
        }
    }

    func publish(_ message: Message) { connection.publish(message, deadline: nil, finalize: nil) { _ in } }

    func publish(_ topic: String, _ text: String, qos: QualityOfService = .atMostOnce, retained: Bool = false) {
        publish(topic, Payload(text), qos: qos, retained: retained)
    }

    /// How many of the published messages the broker has taken.
    var acceptedCount: Int { accepted.load(ordering: .relaxed) }

    func stop() { connection.stop(within: .seconds(5)) }

    private final class Mailbox: Sendable {
        private let messages = Mutex<[Message]>([])
        private let connection = Mutex<(any BrokerConnection)?>(nil)

        var all: [Message] { messages.withLock { $0 } }

        func attach(_ connection: any BrokerConnection) { self.connection.withLock { $0 = connection } }

        func receive(_ message: Message) {
            messages.withLock { $0.append(message) }
            connection.withLock { $0 }?.finished(1)
        }
    }
}
