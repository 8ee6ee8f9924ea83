// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Keeps what is done for messages of one key in the order in which they were taken, whichever workers took them.
///
/// Holds an entry for each key that has messages on their way and drops it with the last of them, so its size is bounded by
/// the messages on their way.
package final class Sequencer: Sendable {
    package typealias Action = @Sendable () -> Void

    private struct Line {
        /// Tickets on their way, oldest first.
        var tickets: [UInt64] = []
        var parked: [UInt64: Action] = [:]
    }

    private struct State {
        var next: UInt64 = 0
        var lines: [String: Line] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// A message of `key` is taken. Called in the order of the messages.
    package func begin(_ key: String) -> UInt64 {
        state.withLock { state in
            state.next += 1
            state.lines[key, default: Line()].tickets.append(state.next)
            return state.next
        }
    }

    /// What is to be done for a ticket is known: returns all that may be done now, in order. Each ticket ends once.
    package func end(_ ticket: UInt64, key: String, action: @escaping Action) -> [Action] {
        state.withLock { state in
            guard var line = state.lines.removeValue(forKey: key) else { return [] }
            line.parked[ticket] = action
            var ready: [Action] = []
            while let first = line.tickets.first, let action = line.parked.removeValue(forKey: first) {
                line.tickets.removeFirst()
                ready.append(action)
            }
            if !line.tickets.isEmpty { state.lines[key] = line }
            return ready
        }
    }
}
