// SPDX-License-Identifier: Apache-2.0

import Streaming
import Synchronization

/// The entrance of one source: turns messages into deliveries and hands them to the scheduler.
///
/// Runs on the serial queue of the source's connection. Finished here as failed: `too_large` (more bytes than `max_bytes`),
/// `own_result` (the source's filter matches what this node publishes), `unexpected_topic` (no filter matches).
package final class Ingest: Sendable {
    package let section: Configuration.SourceSection
    package let ledger = Ledger()
    private let lane: Int
    private let ownTopics: String
    private let links = Mutex<Links?>(nil)

    private struct Links {
        var connection: any BrokerConnection
        var scheduler: Scheduler
    }

    package init(_ section: Configuration.SourceSection, lane: Int, ownTopics: String) {
        self.section = section
        self.lane = lane
        self.ownTopics = ownTopics
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
        if let reason = refusal(of: message) {
            Delivery(message, key: "", ledger: ledger) { connection.finished(1) }.finish(.failed(reason: reason))
            return
        }
        guard let key = key(of: message.topic) else {
            Delivery(message, key: "", ledger: ledger) { connection.finished(1) }
                .finish(.failed(reason: "unexpected_topic"))
            return
        }
        let scheduler = links.scheduler
        let lane = lane
        let delivery = Delivery(message, key: key, ledger: ledger) {
            connection.finished(1)
            scheduler.settled(lane: lane)
        }
        scheduler.submit(delivery, to: lane)
    }

    /// What the wildcards of the source match in a topic; nil if none of its filters match.
    package func key(of topic: String) -> String? {
        for filter in section.topics { if let key = filter.key(of: topic) { return key } }
        return nil
    }

    private func refusal(of message: Message) -> String? {
        if message.discardedPayloadBytes > 0 || message.payload.count > section.maximumBytes { return "too_large" }
        return message.topic.hasPrefix(ownTopics) ? "own_result" : nil
    }
}
