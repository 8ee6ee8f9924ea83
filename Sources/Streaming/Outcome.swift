// SPDX-License-Identifier: Apache-2.0

/// How the way of a message ended. Every message received has exactly one outcome.
package enum Outcome: Sendable, Equatable {
    /// All its results were accepted by the broker, or it had none to publish.
    case processed
    /// Given up on purpose, to keep the fresh ones on time.
    case shed(ShedReason)
    /// Could not be processed. The reason is a short stable code in snake case.
    case failed(reason: String)

    /// Of two outcomes of parts of one message, the one that counts for the whole.
    package func merged(with other: Outcome) -> Outcome { rank >= other.rank ? self : other }

    private var rank: Int {
        switch self {
        case .processed: 0
        case .shed: 1
        case .failed: 2
        }
    }
}

package enum ShedReason: String, Sendable, CaseIterable {
    /// A newer message of the same key took its place (`overload: latest`).
    case superseded
    /// The source's queue was full (`drop_oldest`, `drop_newest`, or `latest` with more keys than places).
    case queueFull = "queue_full"
    /// Older than the source's `max_age` before its result could be published.
    case stale
    /// The queue of results was full: the broker takes them more slowly than they come.
    case publishQueueFull = "publish_queue_full"
    /// The broker sent again what was already processed in this run.
    case duplicate
    /// All values of the message are older than others of the same series.
    case late
    /// All values of the message were there before, with the same times.
    case repeated
    /// The device had stored all values of the message; they are no news.
    case historical
    /// The program stopped and its deadline passed.
    case shutdown
}
