// SPDX-License-Identifier: Apache-2.0

import Streaming
import Synchronization

/// Takes commands on alerts from the bus and publishes a reply to each.
///
/// - In: messages below `<prefix>/<node>/command/alerts/`, on the queue of the connection for results.
/// - Out: a reply, at QoS 1, to the response topic of MQTT 5 with its correlation data; without one to the command's topic
///   and `/reply`.
/// - Bound: `mostWaiting` commands wait for the results queue; what comes then is refused as `busy`.
final class AlertCommandDesk: Sendable {
    private let topics: ResultTopics
    private let node: String
    private let connection = Mutex<(any BrokerConnection)?>(nil)
    private let stage = Mutex<ResultStage?>(nil)
    private let waitingCount = Atomic(0)

    private static let mostWaiting = 64

    init(node: String, topics: ResultTopics) {
        self.node = node
        self.topics = topics
    }

    /// What to subscribe to.
    var filter: TopicFilter? { TopicFilter(topics.alertCommands + "+") }

    /// Called once, before the connection starts.
    func attach(_ connection: any BrokerConnection, _ stage: ResultStage) {
        self.connection.withLock { $0 = connection }
        self.stage.withLock { $0 = stage }
    }

    func receive(_ message: Message) {
        guard message.topic.hasPrefix(topics.alertCommands), let stage = stage.withLock({ $0 }) else { return }
        let verb = String(message.topic.dropFirst(topics.alertCommands.count))
        guard waitingCount.add(1, ordering: .relaxed).newValue <= AlertCommandDesk.mostWaiting else {
            waitingCount.subtract(1, ordering: .relaxed)
            let fault = AlertCommand.Fault(refusal: .busy, message: "too many commands at a time; try again")
            return publish(
                AlertReply(node: node, command: String(verb.prefix(64)), correlation: nil, result: .failure(fault)),
                to: message)
        }
        stage.handle(verb: verb, message) { [self] reply in
            waitingCount.subtract(1, ordering: .relaxed)
            publish(reply, to: message)
        }
    }

    private func publish(_ reply: AlertReply, to command: Message) {
        let document = reply.document(topic: replyTopic(for: command))
        var properties = MessageProperties()
        properties.contentType = "application/json"
        properties.correlationData = command.properties.correlationData
        let message = Message(
            topic: document.topic, payload: Payload(document.bytes), qos: .atLeastOnce, properties: properties)
        let offset = document.publishedAtOffset
        connection.withLock { $0 }?.publish(
            message, deadline: nil,
            finalize: { payload in
                let place = UnsafeMutableRawBufferPointer(rebasing: payload.bytes[offset..<offset + TimeText.byteCount])
                TimeText.write(unixNanoseconds: Instant.now.unixNanoseconds, to: place)
            }, completion: { _ in })
    }

    /// The response topic, unless it is none to publish to or one of the node's own, where a reply would pass for a
    /// result or a command.
    private func replyTopic(for command: Message) -> String {
        let standard = command.topic + "/reply"
        guard let topic = command.properties.responseTopic, topic != standard else { return standard }
        let isValid =
            (1...1024).contains(topic.utf8.count) && !topic.hasPrefix("$") && !topic.contains { "+#\0".contains($0) }
        let isOwn =
            topic.hasPrefix(topics.root)
            && (!topic.hasPrefix(topics.commands) || filter?.key(of: topic) != nil)
        return isValid && !isOwn ? topic : standard
    }
}
