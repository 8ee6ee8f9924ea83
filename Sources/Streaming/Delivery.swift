// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A message on its way through the program. Whoever ends its way finishes it, exactly once: that settles its entry in the
/// ledger of its source and, for a source of QoS 1, allows the broker's acknowledgement.
package final class Delivery: Sendable {
    package let message: Message
    /// What the wildcards of the source matched.
    package let key: String
    private let ledger: Ledger
    private let settled: @Sendable (Outcome) -> Void
    private let state: Mutex<State>

    private struct State {
        var openParts = 1
        var outcome = Outcome.processed
        var warned = false
        var isFinished = false
    }

    /// Enters the message into the ledger. `settled` gets its outcome, once, after that is in the
    /// ledger.
    package init(_ message: Message, key: String, ledger: Ledger, settled: @escaping @Sendable (Outcome) -> Void) {
        self.message = message
        self.key = key
        self.ledger = ledger
        self.settled = settled
        state = Mutex(State())
        ledger.enter(at: message.receivedAt)
    }

    package var receivedAt: Instant { message.receivedAt }

    /// The message has `count` parts in all (results to publish); it is finished when each of them is.
    /// Called by the one who holds the delivery, before any part can end.
    package func split(into count: Int) {
        precondition(count > 0)
        state.withLock { $0.openParts = count }
    }

    /// The decoder could use the message but found faults in it.
    package func warn() { state.withLock { $0.warned = true } }

    /// Ends one part; the worst outcome of all parts counts for the message.
    package func finish(_ outcome: Outcome) {
        let result = state.withLock { state -> (outcome: Outcome, warned: Bool)? in
            precondition(!state.isFinished, "a delivery is finished exactly once")
            state.outcome = state.outcome.merged(with: outcome)
            state.openParts -= 1
            guard state.openParts == 0 else { return nil }
            state.isFinished = true
            return (state.outcome, state.warned)
        }
        guard let result else { return }
        ledger.settle(result.outcome, latencyNanoseconds: receivedAt.nanoseconds(to: .now), warned: result.warned)
        settled(result.outcome)
    }

    deinit {
        assert(state.withLock { $0.isFinished }, "a delivery was dropped without an outcome")
    }
}
