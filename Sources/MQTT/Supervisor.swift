// SPDX-License-Identifier: Apache-2.0

import Streaming

/// Keeps one connection up, for ever: what to do next when something happened. Holds no socket and no clock: times are
/// monotonic nanoseconds, chance is drawn by the caller.
struct Supervisor {
    enum State: Equatable {
        case idle
        /// The name is looked up and the socket opened, elsewhere; given up at the deadline.
        case opening(deadline: Int64)
        /// The socket is there, CONNECT is on its way; given up at the same deadline.
        case handshaking(deadline: Int64)
        case connected(since: Int64)
        case waiting
        case stopped
    }

    enum Input: Equatable {
        case start
        case opened
        case accepted(sessionPresent: Bool)
        /// An attempt failed, or the connection was lost.
        case failed(reason: String)
        case retryDue
        case tick
        case stop
    }

    enum Action: Equatable {
        case open
        case subscribe
        case close
        case retry(after: Duration)
        case report(ConnectionEvent)
    }

    private(set) var state = State.idle
    private var retries = 0
    private let backoff: Backoff
    private let connectTimeout: Duration

    init(backoff: Backoff, connectTimeout: Duration) {
        self.backoff = backoff
        self.connectTimeout = connectTimeout
    }

    mutating func handle(_ input: Input, now: Int64, chance: Double = 0) -> [Action] {
        switch (input, state) {
        case (_, .stopped): return []
        case (.stop, _):
            state = .stopped
            return [.close]
        case (.start, .idle), (.retryDue, .waiting):
            state = .opening(deadline: now + connectTimeout.nanoseconds)
            return [.open]
        case (.opened, .opening(let deadline)):
            state = .handshaking(deadline: deadline)
            return []
        case (.accepted(let sessionPresent), .handshaking):
            state = .connected(since: now)
            return [.report(.connected(sessionPresent: sessionPresent)), .subscribe]
        case (.tick, .opening(let deadline)) where now >= deadline,
            (.tick, .handshaking(let deadline)) where now >= deadline:
            return fail(reason: "the broker did not answer within \(connectTimeout)", chance: chance)
        case (.failed(let reason), .connected(let since)):
            // A broker that accepts and drops at once (another client with the same id) must not be hammered.
            if now - since >= backoff.maximum.nanoseconds { retries = 0 }
            return fail(reason: reason, chance: chance)
        case (.failed(let reason), .opening), (.failed(let reason), .handshaking):
            return fail(reason: reason, chance: chance)
        default: return []
        }
    }

    private mutating func fail(reason: String, chance: Double) -> [Action] {
        let delay = backoff.delay(retry: retries, chance: chance)
        retries += 1
        state = .waiting
        return [.close, .report(.disconnected(reason: reason, retryAfter: delay)), .retry(after: delay)]
    }
}

extension Duration {
    /// Whole nanoseconds, saturated.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : product + attoseconds / 1_000_000_000
    }
}
