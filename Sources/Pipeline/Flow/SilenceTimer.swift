// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Streaming
import Synchronization

/// Asks the stages once a second what has fallen silent.
///
/// `@unchecked Sendable`: the timer is activated and cancelled, which any thread may do, and never replaced.
final class SilenceTimer: @unchecked Sendable {
    private let stages = Mutex<[(stage: TelemetryStage, ingest: Ingest)]>([])
    private let timer: any DispatchSourceTimer

    init() {
        timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "brokerside.silence", qos: .utility))
        timer.schedule(deadline: .now() + .seconds(1), repeating: .seconds(1), leeway: .milliseconds(50))
        timer.setEventHandler { [weak self] in self?.sweep() }
    }

    deinit {
        // A source that was never activated must not be released.
        timer.activate()
        timer.cancel()
    }

    /// Before `start`.
    func add(_ stage: TelemetryStage, of ingest: Ingest) {
        if stage.watchesSilence { stages.withLock { $0.append((stage, ingest)) } }
    }

    func start() { timer.activate() }

    func stop() { timer.cancel() }

    private func sweep() {
        for (stage, ingest) in stages.withLock({ $0 }) {
            stage.sweep(at: .now, waitingCount: ingest.ledger.snapshot.inFlight)
        }
    }
}
