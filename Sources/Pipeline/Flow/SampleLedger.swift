// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Telemetry

/// The books of one source about the values that its messages carried, over all its pipelines.
package final class SampleLedger: Sendable {
    private struct State {
        var counts = SampleCounts()
        var evicted: [Int: Int] = [:]
        var series: [Int: Int] = [:]
    }

    package struct Balance: Sendable {
        package var counts = SampleCounts()
        /// Series that are remembered, and those that were forgotten for others.
        package var seriesCount = 0
        package var evictedCount = 0
    }

    private let state = Mutex(State())

    package init() {}

    package var snapshot: Balance {
        state.withLock { state in
            Balance(
                counts: state.counts, seriesCount: state.series.values.reduce(0, +),
                evictedCount: state.evicted.values.reduce(0, +))
        }
    }

    /// Adds what happened in a batch of messages of a pipeline.
    func add(_ counts: SampleCounts, pipeline: Int, seriesCount: Int, evictedCount: Int) {
        state.withLock { state in
            state.counts.merge(counts)
            state.series[pipeline] = seriesCount
            state.evicted[pipeline] = evictedCount
        }
    }
}
