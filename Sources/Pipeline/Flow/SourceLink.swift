// SPDX-License-Identifier: Apache-2.0

import Streaming
import Synchronization

/// Whether the connection of a source is up, and since when.
final class SourceLink: Sendable {
    private let since = Atomic<Int64>(.max)

    /// Since when it has been up, on the clock that only runs forward; nil while it is down.
    var upSince: Int64? {
        let since = since.load(ordering: .relaxed)
        return since == .max ? nil : since
    }

    func handle(_ event: ConnectionEvent, at now: Instant = .now) {
        switch event {
        case .subscribed: since.store(now.monotonicNanoseconds, ordering: .relaxed)
        case .disconnected: since.store(.max, ordering: .relaxed)
        case .connected, .subscriptionRefused: break
        }
    }
}
