// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The books of one source: every message that came in, and what became of it.
///
/// At every moment `received == processed + shed + failed + inFlight`: entries and outcomes change under one lock.
package final class Ledger: Sendable {
    package struct Balance: Sendable {
        package var received: UInt64 = 0
        package var processed: UInt64 = 0
        package var shed: [String: UInt64] = [:]
        package var failed: [String: UInt64] = [:]
        package var inFlight: UInt64 = 0
        /// Messages that were processed although their decoder warned.
        package var warnings: UInt64 = 0
        /// From receipt to outcome, of processed messages.
        package var latency = LatencyHistogram()
        /// Monotonic time of the latest message, 0 before the first.
        package var lastReceivedNanoseconds: Int64 = 0

        package var shedTotal: UInt64 { shed.values.reduce(0, +) }
        package var failedTotal: UInt64 { failed.values.reduce(0, +) }
        package var isExact: Bool { received == processed + shedTotal + failedTotal + inFlight }
    }

    /// Reasons are codes from closed sets; should a new one come along beyond this number, it is counted as `other`.
    private static let reasonLimit = 64
    private let balance = Mutex(Balance())

    package init() {}

    package var snapshot: Balance { balance.withLock { $0 } }

    /// Counts a message as received and in flight.
    package func enter(at instant: Instant) {
        balance.withLock {
            $0.received += 1
            $0.inFlight += 1
            $0.lastReceivedNanoseconds = instant.monotonicNanoseconds
        }
    }

    /// Counts the outcome of a message that had been entered.
    package func settle(_ outcome: Outcome, latencyNanoseconds: Int64, warned: Bool) {
        balance.withLock { balance in
            precondition(balance.inFlight > 0, "an outcome without a message")
            balance.inFlight -= 1
            if warned { balance.warnings += 1 }
            switch outcome {
            case .processed:
                balance.processed += 1
                balance.latency.add(nanoseconds: latencyNanoseconds)
            case .shed(let reason): balance.shed[reason.rawValue, default: 0] += 1
            case .failed(let reason):
                let known = balance.failed[reason] != nil || balance.failed.count < Ledger.reasonLimit
                balance.failed[known ? reason : "other", default: 0] += 1
            }
        }
    }
}
