// SPDX-License-Identifier: Apache-2.0

import Streaming
import Synchronization

/// The entrance of one source: turns messages into deliveries and hands them to the scheduler.
///
/// Runs on the serial queue of the source's connection. Finished here as failed: `too_large` (more bytes than `max_bytes`),
/// `own_result` (the source's filter matches what this node publishes), `unexpected_topic` (no filter matches). Finished as
/// shed: `duplicate` (the broker delivered again what has its results, or failed, in this run).
package final class Ingest: Sendable {
    package let section: Configuration.SourceSection
    package let ledger = Ledger()
    /// Of a source of telemetry.
    package let samples = SampleLedger()
    let link = SourceLink()
    private let lane: Int
    private let ownTopics: String
    private let links = Mutex<Links?>(nil)
    private let redeliveries: Mutex<Redeliveries>

    private struct Links: Sendable {
        var connection: any BrokerConnection
        var scheduler: Scheduler
    }

    package init(_ section: Configuration.SourceSection, lane: Int, ownTopics: String) {
        self.section = section
        self.lane = lane
        self.ownTopics = ownTopics
        // Of two windows: the one that is worked on, and the one before.
        redeliveries = Mutex(Redeliveries(capacity: 2 * section.window))
    }

    /// Called once, before the connection starts.
    package func attach(_ connection: any BrokerConnection, _ scheduler: Scheduler) {
        links.withLock { $0 = Links(connection: connection, scheduler: scheduler) }
    }

    package func pause() { links.withLock { $0?.connection }?.pause() }

    package func resume() { links.withLock { $0?.connection }?.resume() }

    package func receive(_ message: Message) {
        guard let links = links.withLock({ $0 }) else { return }
        let connection = links.connection
        if let reason = refusal(of: message) { return refuse(message, reason, connection) }
        guard let key = key(of: message.topic) else { return refuse(message, "unexpected_topic", connection) }
        guard let number = message.deliveryNumber else {
            let (scheduler, lane) = (links.scheduler, lane)
            let delivery = Delivery(message, key: key, ledger: ledger) { _ in
                connection.finished(1)
                scheduler.settled(lane: lane)
            }
            return scheduler.submit(delivery, to: lane)
        }
        receive(message, key: key, number: number, links)
    }

    private func refuse(_ message: Message, _ reason: String, _ connection: any BrokerConnection) {
        Delivery(message, key: "", ledger: ledger) { _ in connection.finished(1) }.finish(.failed(reason: reason))
    }

    /// Takes a message that the broker may have delivered before.
    private func receive(_ message: Message, key: String, number: UInt64, _ links: Links) {
        let delivery = Delivery(message, key: key, ledger: ledger) { [self] outcome in
            links.connection.finished(1)
            // Duplicates end here and were never submitted.
            if outcome == .shed(.duplicate) { return }
            links.scheduler.settled(lane: lane)
            guard let (waiting, isNext) = redeliveries.withLock({ $0.finished(number, outcome) }) else { return }
            if isNext { links.scheduler.submit(waiting, to: lane) } else { waiting.finish(.shed(.duplicate)) }
        }
        switch redeliveries.withLock({ $0.take(number, delivery) }) {
        case .first: links.scheduler.submit(delivery, to: lane)
        case .done: delivery.finish(.shed(.duplicate))
        case .waits(let replaced): replaced?.finish(.shed(.duplicate))
        }
    }

    /// What the wildcards of the source match in a topic; nil if none of its filters match.
    package func key(of topic: String) -> String? { section.key(of: topic) }

    private func refusal(of message: Message) -> String? {
        if message.discardedPayloadBytes > 0 || message.payload.count > section.maximumBytes { return "too_large" }
        return message.topic.hasPrefix(ownTopics) ? "own_result" : nil
    }
}
