// SPDX-License-Identifier: Apache-2.0

import Anomaly
import Telemetry

/// What of a stage outlives the program: its detectors, as `SeriesKeeper` reads and writes them.
extension TelemetryStage {
    /// A series over restarts: by its name, since numbers of series are given anew in each run.
    struct SeriesName: Hashable, Sendable {
        var key: String
        var series: String
    }

    /// What an earlier run has learned and this one has not used yet, and what is not to be kept any longer.
    struct Memory: Sendable {
        /// Whether anything is stored at all.
        var isKept = false
        var remembered: [SeriesName: [UInt8]] = [:]
        var forgotten: Set<SeriesName> = []

        /// A detector for a series that is new to this run. Bytes that are damaged or of another version are as good as
        /// none.
        mutating func makeDetector(_ name: SeriesName, budget: FalseAlarmBudget) -> SeriesDetector {
            guard isKept, let snapshot = remembered.removeValue(forKey: name) else {
                return SeriesDetector(budget: budget)
            }
            return (try? SeriesDetector(snapshot: snapshot, budget: budget)) ?? SeriesDetector(budget: budget)
        }

        /// The series has lost its place to another one.
        mutating func forget(_ name: SeriesName) {
            // With so many series that come and go, what stays in the store is taken away at the next start.
            if isKept, forgotten.count < TelemetryStage.seriesCapacity { forgotten.insert(name) }
        }
    }

    /// From now on what is learned is wanted. Called once, before the first message.
    func keep() {
        pipelines.withLock { pipelines in for index in pipelines.indices { pipelines[index].memory.isKept = true } }
    }

    var pipelineNames: [String] { pipelines.withLock { $0.map(\.setup.header.pipeline) } }

    func remember(pipeline: Int, key: String, series: String, _ snapshot: [UInt8]) {
        pipelines.withLock { pipelines in
            let name = SeriesName(key: key, series: series)
            if pipelines[pipeline].memory.remembered.count < TelemetryStage.seriesCapacity {
                pipelines[pipeline].memory.remembered[name] = snapshot
            } else {
                pipelines[pipeline].memory.forget(name)
            }
        }
    }

    func takeForgotten(pipeline: Int) -> [StateStore.SeriesSnapshot] {
        pipelines.withLock { pipelines in
            defer { pipelines[pipeline].memory.forgotten.removeAll() }
            return pipelines[pipeline].memory.forgotten.map {
                StateStore.SeriesSnapshot(key: $0.key, series: $0.series, bytes: nil)
            }
        }
    }

    /// Adds snapshots of the detectors in the next slots that have learned since their last one. Returns where to go on;
    /// nil at the end.
    func takeSnapshots(
        pipeline: Int, from first: Int, count: Int, into rows: inout [StateStore.SeriesSnapshot]
    ) -> Int? {
        pipelines.withLock { pipelines in
            let end = min(first + count, pipelines[pipeline].detectors.count)
            guard first < end else { return nil }
            for slot in first..<end where pipelines[pipeline].recent[slot].hasLearned {
                pipelines[pipeline].recent[slot].hasLearned = false
                let name = pipelines[pipeline].recent[slot].name
                rows.append(
                    StateStore.SeriesSnapshot(
                        key: name.key, series: name.series, bytes: pipelines[pipeline].detectors[slot].snapshot))
            }
            return end
        }
    }
}
