// SPDX-License-Identifier: Apache-2.0

import Logging
import Streaming
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Says `online`, retained, whenever the connection for results is made; the broker says `offline` for us when it is lost.
final class StatusAnnouncer: Sendable {
    private let node: String
    private let topic: String
    private let logger: Logger
    private let health: Health
    private let connection = Mutex<(any BrokerConnection)?>(nil)

    init(node: String, topic: String, logger: Logger, health: Health) {
        self.node = node
        self.topic = topic
        self.logger = logger
        self.health = health
    }

    /// Called once, before the connection starts.
    func attach(_ connection: any BrokerConnection) { self.connection.withLock { $0 = connection } }

    func message(_ status: Status, since instant: Instant) -> Message {
        Message(
            topic: topic, payload: Payload(status.bytes(node: node, since: instant.unixNanoseconds)), qos: .atLeastOnce,
            retained: true)
    }

    func handle(_ event: ConnectionEvent) {
        switch event {
        case .connected:
            logger.info("connected", metadata: ["connection": "results"])
            health.isConnected = true
            connection.withLock { $0 }?.publish(message(.online, since: .now), deadline: nil, finalize: nil) { _ in }
        case .disconnected(let reason, let retryAfter):
            health.isConnected = false
            logger.warning(
                "not connected",
                metadata: ["connection": "results", "reason": "\(reason)", "retry_after": "\(retryAfter)"])
        case .subscribed: break
        case .subscriptionRefused(let filter, let reason):
            logger.warning(
                "no commands: subscription refused", metadata: ["filter": "\(filter)", "reason": "\(reason)"])
        }
    }
}

/// Whether the node is connected, for people and for a container's health check: a file whose age tells.
final class Health: Sendable {
    private let file: String?
    private let connected = Atomic(false)

    init(file: String?) { self.file = file }

    var isConnected: Bool {
        get { connected.load(ordering: .relaxed) }
        set { connected.store(newValue, ordering: .relaxed) }
    }

    /// Touches the file if connected.
    func touch() {
        guard let file, isConnected else { return }
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { return }
        // An empty write would not change the time of modification.
        _ = write(descriptor, "ok\n", 3)
        close(descriptor)
    }
}
