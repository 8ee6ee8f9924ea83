// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import Telemetry

struct SampleClockTests {
    /// Judges samples of one series: time and value by the device, time received; all in seconds.
    private func judge(_ samples: [(time: Int64, value: Double, received: Int64)]) -> [TelemetryFault?] {
        var clocks = SeriesClocks(capacity: 4)
        return samples.map { time, value, received in
            clocks.judge(
                Sample(series: 0, value: value, unixNanoseconds: time * 1_000_000_000), key: "a",
                receivedAt: Instant(monotonicNanoseconds: received * 1_000_000_000, unixNanoseconds: 0))
        }
    }

    @Test func timeRunsForward() {
        #expect(judge([(100, 1, 0), (101, 1, 1), (102, 2, 2), (103, 2, 2)]) == [nil, nil, nil, nil])
    }

    @Test func theSameAgainIsRepeated() {
        #expect(judge([(100, 1, 0), (100, 1, 1), (100, 2, 2), (101, 2, 3)]) == [nil, .repeated, nil, nil])
    }

    @Test func stragglersAreLate() {
        #expect(
            judge([(100, 1, 0), (99, 1, 1), (101, 1, 2), (98, 1, 3), (102, 1, 4)]) == [nil, .late, nil, .late, nil])
    }

    @Test func aBacklogThatIsSentQuicklyIsLate() {
        var samples: [(time: Int64, value: Double, received: Int64)] = [(1000, 1, 0)]
        for number in 0..<50 { samples.append((Int64(10 * number), 1, Int64(1 + number / 25))) }
        #expect(judge(samples) == [nil] + Array(repeating: .late, count: 50))
    }

    @Test func aClockThatIsSetBackIsFollowed() {
        let verdicts = judge([(5000, 1, 0), (1000, 2, 10), (1010, 2, 20), (1020, 2, 30), (1030, 2, 40), (1040, 2, 50)])
        #expect(verdicts == [nil, .late, .late, .clockJump, nil, nil])
    }

    @Test func aClockThatIsSetForwardIsNoted() {
        #expect(judge([(1000, 1, 0), (9000, 1, 10), (9010, 1, 20)]) == [nil, .clockJump, nil])
        // A sample an hour, or many in one message: no jump.
        #expect(judge([(1000, 1, 0), (4600, 1, 3600), (90_000, 1, 3600)]) == [nil, nil, nil])
    }

    @Test func timesAtTheEndsOfTheirRangeAreNoTrouble() {
        var clocks = SeriesClocks(capacity: 1)
        let now = Instant(monotonicNanoseconds: .max, unixNanoseconds: 0)
        let start = Instant(monotonicNanoseconds: .min, unixNanoseconds: 0)
        for (time, received) in [(Int64.min, start), (.max, now), (.min, start), (.max, start), (.min, now)] {
            _ = clocks.judge(Sample(series: 0, value: 0, unixNanoseconds: time), key: "a", receivedAt: received)
        }
    }

    @Test func seriesAndKeysHaveTheirOwnClocks() {
        var clocks = SeriesClocks(capacity: 2)
        let now = Instant(monotonicNanoseconds: 0, unixNanoseconds: 0)
        func judge(_ key: String, _ series: Int) -> TelemetryFault? {
            clocks.judge(Sample(series: series, value: 1, unixNanoseconds: 5), key: key, receivedAt: now)
        }
        #expect(judge("a", 0) == nil && judge("a", 1) == nil && judge("a", 1) == .repeated)
        // A third one makes the first one be forgotten.
        #expect(judge("b", 0) == nil && judge("b", 0) == .repeated && judge("a", 0) == nil)
    }
}
