// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Telemetry

/// The books of one source about the values that its messages carried, over all its pipelines.
package final class SampleLedger: Sendable {
    private struct State {
        var counts = SampleCounts()
        var series: [Int: SeriesCounts] = [:]
    }

    /// Of one pipeline.
    package struct SeriesCounts: Sendable, Equatable {
        /// Series that are remembered.
        package var known = 0
        /// Those that were forgotten for others.
        package var evicted = 0
        /// Those, and devices, of which the budget of false alarms is held only by withholding alarms now.
        package var overBudget = 0

        package init(known: Int = 0, evicted: Int = 0, overBudget: Int = 0) {
            self.known = known
            self.evicted = evicted
            self.overBudget = overBudget
        }
    }

    package struct Balance: Sendable {
        package var counts = SampleCounts()
        package var series = SeriesCounts()
    }

    private let state = Mutex(State())

    package init() {}

    package var snapshot: Balance {
        state.withLock { state in
            var balance = Balance(counts: state.counts)
            for counts in state.series.values {
                balance.series.known += counts.known
                balance.series.evicted += counts.evicted
                balance.series.overBudget += counts.overBudget
            }
            return balance
        }
    }

    /// Adds what happened in a batch of messages of a pipeline.
    func add(_ counts: SampleCounts, pipeline: Int, _ series: SeriesCounts) {
        state.withLock { state in
            state.counts.merge(counts)
            state.series[pipeline] = series
        }
    }
}
