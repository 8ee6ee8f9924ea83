// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Logging
import Synchronization

/// Keeps what the detectors have learned over restarts: reads it when a stage begins, writes what has changed every five
/// minutes and at the end. A process that is killed loses what was learned since.
///
/// Copies are taken `SeriesKeeper.sliceCount` detectors at a time, so the stage is held up for well under a millisecond, and
/// written in transactions of `transactionCount`, on a queue of the keeper.
///
/// `@unchecked Sendable`: the timer is activated and cancelled, which any thread may do, and never replaced.
final class SeriesKeeper: @unchecked Sendable {
    private let store: StateStore
    private let logger: Logger
    private let queue = DispatchQueue(label: "brokerside.series-keeper", qos: .utility)
    private let stages = Mutex<[TelemetryStage]>([])
    private let timer: any DispatchSourceTimer

    private static let everySeconds = 300
    private static let sliceCount = 32
    private static let transactionCount = 512

    init(store: StateStore, logger: Logger) {
        self.store = store
        self.logger = logger
        timer = DispatchSource.makeTimerSource(queue: queue)
        timer.schedule(
            deadline: .now() + .seconds(SeriesKeeper.everySeconds), repeating: .seconds(SeriesKeeper.everySeconds),
            leeway: .seconds(1))
        timer.setEventHandler { [weak self] in self?.writeAll() }
    }

    deinit {
        // A source that was never activated must not be released.
        timer.activate()
        timer.cancel()
    }

    /// Gives the stage what was learned in an earlier run. Before its first message.
    func adopt(_ stage: TelemetryStage) {
        stages.withLock { $0.append(stage) }
        for (index, name) in stage.pipelineNames.enumerated() {
            var read = 0
            stage.pipelines.withLock { pipelines in
                pipelines[index].keep()
                store.loadSeries(pipeline: name) { key, series, snapshot in
                    pipelines[index].remember(SeriesName(key: key, series: series), snapshot)
                    read += 1
                }
            }
            if read > 0 {
                logger.info("learned series loaded", metadata: ["pipeline": "\(name)", "series": "\(read)"])
            }
        }
    }

    func start() { timer.activate() }

    /// Writes what has changed and stops.
    func stop() {
        timer.cancel()
        queue.sync { writeAll() }
    }

    private func writeAll() {
        for stage in stages.withLock({ $0 }) {
            for (index, name) in stage.pipelineNames.enumerated() {
                var rows = stage.pipelines.withLock { $0[index].takeForgotten() }.map {
                    StateStore.SeriesSnapshot(key: $0.key, series: $0.series, bytes: nil)
                }
                var slot: Int? = 0
                while let start = slot {
                    slot = stage.pipelines.withLock {
                        $0[index].takeSnapshots(from: start, count: SeriesKeeper.sliceCount, into: &rows)
                    }
                    if rows.count >= SeriesKeeper.transactionCount || slot == nil, !rows.isEmpty {
                        store.storeSeries(pipeline: name, rows)
                        rows.removeAll(keepingCapacity: true)
                    }
                }
            }
        }
    }
}
