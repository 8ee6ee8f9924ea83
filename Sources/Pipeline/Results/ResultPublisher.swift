// SPDX-License-Identifier: Apache-2.0

import Streaming
import Synchronization

/// Sends results and alerts on the connection that is for results alone, and tells their deliveries what became of them.
///
/// What waits is bounded by the connection's queue; in it a result of a source with `max_age` waits at most that long.
package final class ResultPublisher: Sendable {
    package struct Counts: Sendable {
        package var accepted: UInt64 = 0
        package var refused: UInt64 = 0
        package var queued: UInt64 = 0
    }

    private let connection: any BrokerConnection
    private let counts = Mutex(Counts())

    package init(connection: any BrokerConnection) { self.connection = connection }

    package var snapshot: Counts { counts.withLock { $0 } }

    /// Sends `document`; `completion` gets the outcome that this has for its message.
    package func publish(
        _ document: ResultDocument, qos: QualityOfService, retained: Bool = false, deadline: Int64? = nil,
        completion: @escaping @Sendable (Outcome) -> Void = { _ in }
    ) {
        var properties = MessageProperties()
        properties.contentType = "application/json"
        if let deadline, !retained {
            let remaining = max(deadline - Instant.now.monotonicNanoseconds, 0)
            properties.messageExpirySeconds = UInt32(clamping: (remaining + 999_999_999) / 1_000_000_000)
        }
        let message = Message(
            topic: document.topic, payload: Payload(document.bytes), qos: qos, retained: retained,
            properties: properties)
        let offset = document.publishedAtOffset
        // What takes a retained message away has no bytes.
        let hasTime = !document.bytes.isEmpty
        counts.withLock { $0.queued += 1 }
        connection.publish(
            message, deadline: deadline,
            finalize: { payload in
                guard hasTime else { return }
                let place = UnsafeMutableRawBufferPointer(rebasing: payload.bytes[offset..<offset + TimeText.byteCount])
                TimeText.write(unixNanoseconds: Instant.now.unixNanoseconds, to: place)
            },
            completion: { [self] outcome in
                counts.withLock {
                    $0.queued -= 1
                    if outcome == .accepted { $0.accepted += 1 } else { $0.refused += 1 }
                }
                completion(ResultPublisher.outcome(of: outcome))
            })
    }

    /// Sends a message that is no result, once; nobody waits for what becomes of it.
    package func send(_ message: Message) {
        counts.withLock { $0.queued += 1 }
        connection.publish(message, deadline: nil, finalize: nil) { [self] outcome in
            counts.withLock {
                $0.queued -= 1
                if outcome == .accepted { $0.accepted += 1 } else { $0.refused += 1 }
            }
        }
    }

    private static func outcome(of outcome: PublishOutcome) -> Outcome {
        switch outcome {
        case .accepted: .processed
        case .expired: .shed(.stale)
        case .queueFull: .shed(.publishQueueFull)
        case .refused: .failed(reason: "publish_refused")
        case .stopped: .shed(.shutdown)
        }
    }
}
