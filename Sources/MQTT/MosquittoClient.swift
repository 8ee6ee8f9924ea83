// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import Streaming
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One network connection through libmosquitto, from its socket to its end; the next one is a new client. Nothing
/// happens by itself: `read`, `write` and `tick` do the work and leave what happened in `events`.
///
/// `@unchecked Sendable`: made on one thread, then used on one serial queue only.
final class MosquittoClient: @unchecked Sendable {
    enum Event {
        /// The broker's receive maximum is 65535 if it named none.
        case accepted(sessionPresent: Bool, receiveMaximum: Int)
        case refused(reason: String, isVersionUnsupported: Bool)
        case subscribed(packetID: Int32, codes: [Int32])
        /// QoS 0: written to the socket; QoS 1: acknowledged. `code` is the reason code of MQTT 5, 0 before.
        case published(packetID: Int32, code: Int32)
        case lost(reason: String)
    }

    enum PublishResult {
        case handedOver(packetID: Int32)
        case refused(reason: String)
        case lost
    }

    private(set) var events: [Event] = []
    private var handle: OpaquePointer?
    private let version: MQTTSettings.ProtocolVersion
    private let maximumPayloadBytes: Int
    private let pool: PayloadPool
    private var topics = TopicCache()
    private var onMessage: (Message, _ packetID: Int32) -> Void = { _, _ in }
    /// Calls from the library, to see whether reading did anything.
    private var activityCount = 0
    private var isLost = false
    private var lastLoggedError: String?

    /// Looks up the host, opens the socket and queues CONNECT; blocks for as long as the first two take.
    init(
        settings: MQTTSettings, options: ConnectionOptions, version: MQTTSettings.ProtocolVersion, pool: PayloadPool
    ) throws(MQTTError) {
        MosquittoClient.initializeLibrary
        guard let handle = mosquitto_new(options.clientID, options.window == nil, nil) else {
            throw .library(code: Int32(MOSQ_ERR_ERRNO.rawValue), function: "mosquitto_new", doing: "making a client")
        }
        self.handle = handle
        self.version = version
        self.pool = pool
        maximumPayloadBytes = settings.maximumPayloadBytes
        mosquitto_user_data_set(handle, Unmanaged.passUnretained(self).toOpaque())
        setCallbacks(handle)
        try configure(handle, settings, options)
        var properties = PropertyList()
        if version == .v5 {
            try properties.add(UInt16(0), MQTT_PROP_TOPIC_ALIAS_MAXIMUM)
            if let window = options.window {
                try properties.add(UInt16(clamping: window), MQTT_PROP_RECEIVE_MAXIMUM)
                try properties.add(settings.sessionExpirySeconds, MQTT_PROP_SESSION_EXPIRY_INTERVAL)
            }
        }
        let code = mosquitto_connect_bind_v5(
            handle, settings.host, Int32(settings.port), Int32(settings.keepAliveSeconds), nil, properties.head)
        let failure = MQTTError.library(
            code: code, function: "mosquitto_connect_bind_v5", doing: "connecting to \(settings.host):\(settings.port)")
        if code != MOSQ_ERR_SUCCESS.rawValue { throw failure }
    }

    deinit { close() }

    /// Frees the handle, which closes its socket without DISCONNECT if it is still open.
    func close() {
        if let handle { mosquitto_destroy(handle) }
        handle = nil
    }

    /// The packet identifier is 0 for QoS 0.
    func deliver(to onMessage: @escaping (Message, _ packetID: Int32) -> Void) { self.onMessage = onMessage }

    /// -1 when there is none.
    var descriptor: Int32 { handle.map { mosquitto_socket($0) } ?? -1 }

    /// Something is queued that the socket did not take yet.
    var wantsWrite: Bool { !isLost && handle.map { mosquitto_want_write($0) } ?? false }

    func takeEvents() -> [Event] {
        if events.isEmpty { return [] }
        defer { events.removeAll(keepingCapacity: true) }
        return events
    }

    /// Reads a packet, or what TLS has decrypted. False when there was nothing to read.
    func read() -> Bool {
        guard !isLost, let handle else { return false }
        let before = activityCount
        errno = 0
        let code = mosquitto_loop_read(handle, 1)
        // Delivering may have changed errno, so it counts only when nothing was delivered.
        let wasEmpty = errno == EAGAIN && activityCount == before
        check(code)
        return !isLost && !wasEmpty
    }

    /// Writes everything queued, or as much as the socket takes.
    func write() {
        guard !isLost, let handle else { return }
        check(mosquitto_loop_write(handle, 1))
    }

    /// Queues a ping when one is due; finds out that the broker does not answer.
    func tick() {
        guard !isLost, let handle else { return }
        check(mosquitto_loop_misc(handle))
    }

    /// Queues SUBSCRIBE; its packet id, or what is wrong.
    func subscribe(_ subscription: ConnectionOptions.Subscription, keepsSession: Bool) -> Result<Int32, MQTTError> {
        var packetID: Int32 = 0
        // Retained messages come again after every reconnect unless the session, and with it the subscription, was kept.
        let sendRetainNew: Int32 = version == .v5 && keepsSession ? 0x10 : 0
        let code = mosquitto_subscribe_v5(
            handle, &packetID, subscription.text, subscription.qos.rawValue, sendRetainNew, nil)
        guard code == MOSQ_ERR_SUCCESS.rawValue else {
            return .failure(.library(code: code, function: "mosquitto_subscribe_v5", doing: "subscribing"))
        }
        return .success(packetID)
    }

    /// Queues PUBLISH; the payload is copied.
    func publish(_ message: Message) -> PublishResult {
        guard !isLost, let handle else { return .lost }
        guard !message.topic.utf8.contains(0) else { return .refused(reason: "the topic contains U+0000") }
        guard let byteCount = Int32(exactly: message.payload.count) else {
            return .refused(reason: "payload too large")
        }
        var packetID: Int32 = 0
        let code: Int32
        do {
            let properties = version == .v5 ? try PropertyList(message.properties) : PropertyList()
            code = mosquitto_publish_v5(
                handle, &packetID, message.topic, byteCount, message.payload.bytes.baseAddress, message.qos.rawValue,
                message.retained, properties.head)
        } catch {
            return .refused(reason: error.description)
        }
        switch mosq_err_t(code) {
        case MOSQ_ERR_SUCCESS: return .handedOver(packetID: packetID)
        case MOSQ_ERR_NO_CONN, MOSQ_ERR_CONN_LOST:
            lose(code)
            return .lost
        default: return .refused(reason: String(cString: mosquitto_strerror(code)))
        }
    }

    /// Queues DISCONNECT: nothing may follow, and the broker does not publish the last will.
    func disconnect() {
        guard !isLost, let handle else { return }
        mosquitto_disconnect_v5(handle, 0, nil)
    }

    private func check(_ code: Int32) { if code != MOSQ_ERR_SUCCESS.rawValue { lose(code) } }

    private func lose(_ code: Int32) {
        if isLost { return }
        isLost = true
        let reason =
            code >= 128
            ? MosquittoClient.reasonText(code)
            : MQTTError.library(code: code, function: "libmosquitto", doing: "connection lost").description
        events.append(.lost(reason: lastLoggedError.map { "\(reason); \($0)" } ?? reason))
    }

    private func configure(_ handle: OpaquePointer, _ settings: MQTTSettings, _ options: ConnectionOptions)
        throws(MQTTError)
    {
        func set(_ option: mosq_opt_t, _ value: Int, _ what: String) throws(MQTTError) {
            try MQTTError.check(
                mosquitto_int_option(handle, option, Int32(clamping: value)), "mosquitto_int_option",
                doing: "setting \(what)")
        }
        try set(
            MOSQ_OPT_PROTOCOL_VERSION, Int(version == .v5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311),
            "the protocol version")
        try set(MOSQ_OPT_TCP_NODELAY, 1, "TCP_NODELAY")
        try set(MOSQ_OPT_SEND_MAXIMUM, settings.publishInFlight, "the messages in flight")
        if let window = options.window { try set(MOSQ_OPT_RECEIVE_MAXIMUM, window, "the receive maximum") }
        // Packets are queued, and written only by `write`.
        try MQTTError.check(mosquitto_threaded_set(handle, true), "mosquitto_threaded_set", doing: "queueing packets")
        if let username = settings.username {
            try MQTTError.check(
                mosquitto_username_pw_set(handle, username, settings.password), "mosquitto_username_pw_set",
                doing: "setting user and password")
        }
        if let tls = settings.tls { try configure(handle, tls) }
        if let will = options.will {
            var properties = version == .v5 ? try PropertyList(will.properties) : PropertyList()
            try MQTTError.check(
                mosquitto_will_set_v5(
                    handle, will.topic, Int32(clamping: will.payload.count), will.payload.bytes.baseAddress,
                    will.qos.rawValue, will.retained, properties.head),
                "mosquitto_will_set_v5", doing: "setting the last will")
            properties.giveAway()
        }
    }

    private func configure(_ handle: OpaquePointer, _ tls: MQTTSettings.TLS) throws(MQTTError) {
        try MQTTError.check(
            mosquitto_tls_set(
                handle, tls.certificateAuthorityFile, tls.certificateAuthorityFile == nil ? "/etc/ssl/certs" : nil,
                tls.certificateFile, tls.keyFile, nil),
            "mosquitto_tls_set", doing: "reading the certificate files")
        guard tls.insecure else { return }
        try MQTTError.check(
            mosquitto_tls_insecure_set(handle, true), "mosquitto_tls_insecure_set", doing: "accepting any name")
        try MQTTError.check(
            mosquitto_tls_opts_set(handle, 0, nil, nil), "mosquitto_tls_opts_set", doing: "accepting any certificate")
    }

    private func setCallbacks(_ handle: OpaquePointer) {
        // Until it is connected only: the library formats a text for every packet.
        mosquitto_log_callback_set(handle) { _, context, level, text in
            guard level == MOSQ_LOG_ERR, let text else { return }
            MosquittoClient.from(context)?.lastLoggedError = String(cString: text)
        }
        mosquitto_connect_v5_callback_set(handle) { handle, context, code, flags, properties in
            mosquitto_log_callback_set(handle, nil)
            MosquittoClient.from(context)?.connected(code, flags, properties)
        }
        mosquitto_disconnect_v5_callback_set(handle) { _, context, code, _ in MosquittoClient.from(context)?.lose(code)
        }
        mosquitto_publish_v5_callback_set(handle) { _, context, packetID, code, _ in
            guard let client = MosquittoClient.from(context) else { return }
            client.activityCount += 1
            client.events.append(.published(packetID: packetID, code: code))
        }
        mosquitto_subscribe_v5_callback_set(handle) { _, context, packetID, count, codes, _ in
            guard let client = MosquittoClient.from(context) else { return }
            client.activityCount += 1
            let codes = Array(UnsafeBufferPointer(start: codes, count: codes == nil ? 0 : Int(count)))
            client.events.append(.subscribed(packetID: packetID, codes: codes))
        }
        mosquitto_message_v5_callback_set(handle) { _, context, message, properties in
            guard let message else { return }
            MosquittoClient.from(context)?.received(message.pointee, properties)
        }
    }

    /// Of a reason code of MQTT 5.
    static func reasonText(_ code: Int32) -> String {
        mosquitto_reason_string(code).map { String(cString: $0) } ?? "reason \(code)"
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> MosquittoClient? {
        context.map { Unmanaged<MosquittoClient>.fromOpaque($0).takeUnretainedValue() }
    }

    private func connected(_ code: Int32, _ flags: Int32, _ properties: OpaquePointer?) {
        activityCount += 1
        guard code == 0 else {
            let isVersion = version == .v5 && (code == 132 || code == 1)
            let text = version == .v5 ? mosquitto_reason_string(code) : mosquitto_connack_string(code)
            events.append(
                .refused(reason: text.map { String(cString: $0) } ?? "reason \(code)", isVersionUnsupported: isVersion))
            return
        }
        var receiveMaximum: UInt16 = 65535
        mosquitto_property_read_int16(properties, Int32(MQTT_PROP_RECEIVE_MAXIMUM.rawValue), &receiveMaximum, false)
        events.append(.accepted(sessionPresent: flags & 1 != 0, receiveMaximum: Int(receiveMaximum)))
    }

    private func received(_ message: mosquitto_message, _ properties: OpaquePointer?) {
        activityCount += 1
        guard let topic = message.topic else { return }
        let source = UnsafeRawBufferPointer(
            start: message.payload, count: message.payload == nil ? 0 : Int(message.payloadlen))
        let isTooLong = source.count > maximumPayloadBytes
        var result = Message(
            topic: topics.string(topic),
            payload: pool.makePayload(copying: isTooLong ? UnsafeRawBufferPointer(rebasing: source[..<0]) : source),
            // A broker must not send QoS 2, as no subscription asks for it.
            qos: message.qos == 0 ? .atMostOnce : .atLeastOnce, retained: message.retain, receivedAt: .now)
        if isTooLong { result.discardedPayloadBytes = source.count }
        if let properties { result.properties = MessageProperties(properties) }
        onMessage(result, message.qos == 0 ? 0 : message.mid)
    }

    /// Once per process. A socket that the broker has closed must end in an error, not in SIGPIPE: libmosquitto leaves
    /// that to the program.
    private static let initializeLibrary: Void = {
        signal(SIGPIPE, SIG_IGN)
        mosquitto_lib_init()
    }()
}

extension ConnectionOptions.Subscription {
    /// As it stands in SUBSCRIBE.
    var text: String { share.map { "$share/\($0)/\(filter.text)" } ?? filter.text }
}
