// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import Synchronization
import TestSupport
import Testing

@testable import Pipeline

/// What detectors have learned, over restarts.
struct SeriesKeeperTests {
    private func sections(_ folder: TemporaryFolder, series: String) -> String {
        """
        state_dir: \(folder.file("state"))
        sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry, timestamp: /t } }
        pipelines: { health: { from: press, anomaly: { series: \(series) } } }
        """
    }

    /// Scores of what a run says to `values`, by key `a`.
    /// - Parameter first: number of the first value; they are a minute apart.
    private func scores(
        _ folder: TemporaryFolder, series: String, _ values: [Int], first: Int = 0
    ) async throws -> [Double] {
        let bench = try FlowBench(sections(folder, series: series))
        for (index, value) in values.enumerated() {
            let time = 1_700_000_000 + 60 * (first + index)
            bench.publish("plant/a/telemetry", #"{"temp": \#(value), "t": \#(time)}"#)
        }
        #expect(await bench.settled(values.count))
        bench.stop()
        return bench.observer.documents("scores").compactMap { document in
            document.results?.first { $0.series != "t" }?.score
        }
    }

    @Test(arguments: ["auto", "{ temperature: /temp }"])
    func detectorsGoOnWhereTheyStopped(series: String) async throws {
        let values = (0..<120).map { 60 + ($0 * 7) % 11 }
        let whole = try await scores(try TemporaryFolder(), series: series, values)
        let folder = try TemporaryFolder()
        let first = try await scores(folder, series: series, Array(values.prefix(70)))
        let second = try await scores(folder, series: series, Array(values.suffix(50)), first: 70)
        #expect(whole.count > 80 && second.count == 50)
        #expect(first + second == whole)
    }

    @Test func whatWasLearnedOfOtherSeriesIsNotMixedUp() async throws {
        let folder = try TemporaryFolder()
        _ = try await scores(folder, series: "{ temperature: /temp }", (0..<100).map { 60 + $0 % 3 })
        // The same values under another name: nothing is known of it.
        #expect(try await scores(folder, series: "{ other: /temp }", [60, 61, 62]).isEmpty)
    }

    @Test func damagedSnapshotsAreLearnedAnew() async throws {
        let folder = try TemporaryFolder()
        _ = try await scores(folder, series: "auto", (0..<100).map { 60 + $0 % 3 })
        let store = try StateStore(folder: folder.file("state"), logger: .init(label: "test"))
        let rows = Mutex<[StateStore.SeriesSnapshot]>([])
        store.loadSeries(pipeline: "health") { key, series, bytes in
            var damaged = bytes
            damaged[damaged.count / 2] ^= 0x55
            rows.withLock { $0.append(.init(key: key, series: series, bytes: damaged)) }
        }
        #expect(rows.withLock { $0.count } > 0)
        store.storeSeries(pipeline: "health", rows.withLock { $0 })
        store.close()
        #expect(try await scores(folder, series: "auto", [60, 61, 62]).isEmpty)
    }
}
