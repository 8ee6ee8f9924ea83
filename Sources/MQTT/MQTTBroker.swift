// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import Streaming

/// A real broker, spoken to through libmosquitto.
package final class MQTTBroker: Broker {
    private let settings: MQTTSettings
    private let pool: PayloadPool

    /// Throws what is wrong with the settings. Connects to nothing.
    package init(_ settings: MQTTSettings) throws(MQTTError) {
        try settings.validate()
        self.settings = settings
        pool = PayloadPool(capacityBytes: settings.payloadPoolBytes)
    }

    package func makeConnection(
        _ options: ConnectionOptions, onMessage: @escaping @Sendable (Message) -> Void,
        onEvent: @escaping @Sendable (ConnectionEvent) -> Void
    ) throws -> any BrokerConnection {
        try validate(options)
        return MQTTConnection(settings: settings, options: options, pool: pool, onMessage: onMessage, onEvent: onEvent)
    }

    private func validate(_ options: ConnectionOptions) throws(MQTTError) {
        if options.clientID.isEmpty && options.window != nil {
            throw .options(reason: "a connection with a window needs a client id, for the broker to keep its session")
        }
        if mosquitto_validate_utf8(options.clientID, Int32(clamping: options.clientID.utf8.count)) != 0 {
            throw .options(reason: "the client id contains characters that MQTT forbids")
        }
        if let window = options.window, !(1...65535).contains(window) {
            throw .options(reason: "a window of \(window) messages is not between 1 and 65535")
        }
        if options.publishQueueCount < 1 || options.publishQueueBytes < 1 {
            throw .options(reason: "the queue for publishing must hold at least one message and one byte")
        }
        for subscription in options.subscriptions {
            if mosquitto_sub_topic_check(subscription.text) != 0 || subscription.share?.contains("/") == true {
                throw .options(reason: "\"\(subscription.text)\" is not a valid subscription")
            }
        }
        if let will = options.will {
            if will.topic.isEmpty || mosquitto_pub_topic_check(will.topic) != 0 {
                throw .options(reason: "the topic of the last will, \"\(will.topic)\", is not valid")
            }
            if will.payload.count > 65535 { throw .options(reason: "the last will is longer than 65535 bytes") }
        }
    }
}
