// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import Streaming

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A list of MQTT 5 properties for libmosquitto, freed with its owner unless given away.
struct PropertyList: ~Copyable {
    var head: OpaquePointer?

    init() {}

    init(_ properties: MessageProperties) throws(MQTTError) {
        if let text = properties.contentType { try add(text, MQTT_PROP_CONTENT_TYPE) }
        if let seconds = properties.messageExpirySeconds { try add(seconds, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL) }
        if let topic = properties.responseTopic { try add(topic, MQTT_PROP_RESPONSE_TOPIC) }
        if let data = properties.correlationData {
            guard let count = UInt16(exactly: data.count) else {
                throw .options(reason: "correlation data is longer than 65535 bytes")
            }
            try PropertyList.check(
                mosquitto_property_add_binary(&head, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), data, count), "binary")
        }
        for (name, value) in properties.userProperties {
            try PropertyList.check(
                mosquitto_property_add_string_pair(&head, Int32(MQTT_PROP_USER_PROPERTY.rawValue), name, value),
                "string_pair")
        }
    }

    deinit {
        var head = head
        mosquitto_property_free_all(&head)
    }

    mutating func add(_ value: UInt16, _ property: mqtt5_property) throws(MQTTError) {
        try PropertyList.check(mosquitto_property_add_int16(&head, Int32(property.rawValue), value), "int16")
    }

    mutating func add(_ value: UInt32, _ property: mqtt5_property) throws(MQTTError) {
        try PropertyList.check(mosquitto_property_add_int32(&head, Int32(property.rawValue), value), "int32")
    }

    mutating func add(_ value: String, _ property: mqtt5_property) throws(MQTTError) {
        try PropertyList.check(mosquitto_property_add_string(&head, Int32(property.rawValue), value), "string")
    }

    /// The caller, or libmosquitto, owns the list from now on.
    mutating func giveAway() { head = nil }

    private static func check(_ code: Int32, _ kind: String) throws(MQTTError) {
        try MQTTError.check(code, "mosquitto_property_add_\(kind)", doing: "setting a property")
    }
}

extension MessageProperties {
    /// From what libmosquitto received. Text that is not UTF-8 is repaired with U+FFFD.
    init(_ list: OpaquePointer) {
        self.init()
        var property: OpaquePointer? = list
        while let current = property {
            let identifier = mosquitto_property_identifier(current)
            switch mqtt5_property(UInt32(bitPattern: identifier)) {
            case MQTT_PROP_CONTENT_TYPE: contentType = readString(current, identifier)
            case MQTT_PROP_RESPONSE_TOPIC: responseTopic = readString(current, identifier)
            case MQTT_PROP_MESSAGE_EXPIRY_INTERVAL:
                var seconds: UInt32 = 0
                if mosquitto_property_read_int32(current, identifier, &seconds, false) != nil {
                    messageExpirySeconds = seconds
                }
            case MQTT_PROP_CORRELATION_DATA:
                var data: UnsafeMutableRawPointer?
                var count: UInt16 = 0
                if mosquitto_property_read_binary(current, identifier, &data, &count, false) != nil {
                    correlationData = Array(UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(count)))
                    free(data)
                }
            case MQTT_PROP_USER_PROPERTY:
                var name: UnsafeMutablePointer<CChar>?
                var value: UnsafeMutablePointer<CChar>?
                if mosquitto_property_read_string_pair(current, identifier, &name, &value, false) != nil {
                    userProperties.append(
                        (name.map { String(cString: $0) } ?? "", value.map { String(cString: $0) } ?? ""))
                    free(name)
                    free(value)
                }
            default: break
            }
            property = mosquitto_property_next(current)
        }
    }

    private func readString(_ property: OpaquePointer, _ identifier: Int32) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard mosquitto_property_read_string(property, identifier, &text, false) != nil, let text else { return nil }
        defer { free(text) }
        return String(cString: text)
    }
}

extension MQTTError {
    static func check(_ code: Int32, _ function: String, doing: String) throws(MQTTError) {
        guard code != MOSQ_ERR_SUCCESS.rawValue else { return }
        throw library(code: code, function: function, doing: doing)
    }

    /// Reads `errno` where libmosquitto says that it has the reason.
    static func library(code: Int32, function: String, doing: String) -> MQTTError {
        let number = errno
        let message =
            code == MOSQ_ERR_ERRNO.rawValue
            ? strerror(number) : UnsafeMutablePointer(mutating: mosquitto_strerror(code))
        return .library(
            code: code, function: function, message: message.map { String(cString: $0) } ?? "unknown", doing: doing)
    }
}
