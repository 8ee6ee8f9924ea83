// SPDX-License-Identifier: Apache-2.0

/// Quality of service of a delivery, MQTT 5 section 4.3. QoS 2 is refused at configuration.
package enum QualityOfService: Int32, Sendable, Codable { case atMostOnce = 0, atLeastOnce = 1 }

/// Properties of a PUBLISH packet (MQTT 5 section 3.3.2.3). All empty on a 3.1.1 connection.
package struct MessageProperties: Sendable, Equatable {
    package var contentType: String?
    package var messageExpirySeconds: UInt32?
    package var responseTopic: String?
    package var correlationData: [UInt8]?
    package var userProperties: [(name: String, value: String)] = []

    package init() {}

    package static func == (a: MessageProperties, b: MessageProperties) -> Bool {
        a.contentType == b.contentType && a.messageExpirySeconds == b.messageExpirySeconds
            && a.responseTopic == b.responseTopic && a.correlationData == b.correlationData
            && a.userProperties.elementsEqual(b.userProperties, by: ==)
    }
}

/// A message as it came from a broker or goes to one.
package struct Message: Sendable {
    package var topic: String
    package var payload: Payload
    package var qos: QualityOfService
    package var retained: Bool
    package var properties: MessageProperties
    /// When the last byte was read, on this machine's clocks.
    package var receivedAt: Instant
    /// Only from a connection with a window: what the broker delivers again after a reconnect has the number that it had
    /// the first time, everything else a new one.
    package var deliveryNumber: UInt64?
    /// Length of a payload that was longer than the connection accepts. `payload` is empty then; else this is zero.
    package var discardedPayloadBytes = 0

    package init(
        topic: String, payload: Payload, qos: QualityOfService = .atMostOnce, retained: Bool = false,
        properties: MessageProperties = MessageProperties(), receivedAt: Instant = .now
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retained = retained
        self.properties = properties
        self.receivedAt = receivedAt
    }
}
