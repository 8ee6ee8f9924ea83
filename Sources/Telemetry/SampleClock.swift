// SPDX-License-Identifier: Apache-2.0

import Streaming

/// Judges the times that a device gives to the samples of one series, so that what learns from them sees time run forward.
///
/// - A later time than the last counts. More than an hour further than time has passed: the clock was set forward, which is
///   noted.
/// - The same time with the same value is a message that came twice: `repeated`. With another value it counts.
/// - An earlier time is `late`: what it tells is over.
/// - Three late ones in a row that advance as time does (between half and twice as fast) are no stragglers: the clock was set
///   back. This is noted, and from then on the new time counts.
struct SampleClock: Sendable {
    enum Verdict: Equatable {
        case counts
        case countsAfterJump
        case repeated
        case late
    }

    private static let jumpNanoseconds: Int64 = 3_600_000_000_000
    private static let lateUntilJump: Int32 = 3

    /// Of the last sample that counted. `received` is monotonic.
    private var time: Int64
    private var received: Int64
    private var value: Double
    /// The late ones since then, in a row.
    private var lateCount: Int32 = 0
    private var firstLate: Int64 = 0
    private var firstLateReceived: Int64 = 0
    private var lastLate: Int64 = 0

    /// The first sample of a series counts.
    init(_ sample: Sample, receivedAt: Instant) {
        time = sample.unixNanoseconds
        received = receivedAt.monotonicNanoseconds
        value = sample.value
    }

    mutating func judge(_ sample: Sample, receivedAt: Instant) -> Verdict {
        let elapsed = receivedAt.monotonicNanoseconds &- received
        let (step, overflow) = sample.unixNanoseconds.subtractingReportingOverflow(time)
        if !overflow, step < 0 {
            guard isSetBack(sample.unixNanoseconds, receivedAt.monotonicNanoseconds) else { return .late }
            accept(sample, receivedAt)
            return .countsAfterJump
        }
        if step == 0, sample.value == value { return .repeated }
        accept(sample, receivedAt)
        // Within one message time may run as it likes.
        return overflow || elapsed > 0 && step &- elapsed > SampleClock.jumpNanoseconds ? .countsAfterJump : .counts
    }

    private mutating func accept(_ sample: Sample, _ receivedAt: Instant) {
        time = sample.unixNanoseconds
        received = receivedAt.monotonicNanoseconds
        value = sample.value
        lateCount = 0
    }

    /// Whether the late sample shows, with those before it, that the clock was set back.
    private mutating func isSetBack(_ late: Int64, _ now: Int64) -> Bool {
        if lateCount == 0 || late < lastLate {
            lateCount = 0
            firstLate = late
            firstLateReceived = now
        }
        lastLate = late
        lateCount += 1
        let elapsed = now &- firstLateReceived
        let advance = late &- firstLate
        return lateCount >= SampleClock.lateUntilJump && elapsed > 0 && advance >= elapsed / 2 && advance / 2 <= elapsed
    }
}

/// The clocks of at most `capacity` series of all devices; of the one that was silent for longest is forgotten what it knew.
/// About 180 bytes a series and the text of its key.
package struct SeriesClocks: Sendable {
    private var registry: SeriesRegistry
    private var clocks: [SampleClock] = []

    package init(capacity: Int) { registry = SeriesRegistry(capacity: capacity) }

    /// Whether a sample counts, and what there is to say about it.
    package mutating func judge(_ sample: Sample, key: String, receivedAt: Instant) -> TelemetryFault? {
        let place = registry.place(of: SeriesID(key: key, series: sample.series))
        if place.isNew {
            let clock = SampleClock(sample, receivedAt: receivedAt)
            if place.slot == clocks.count { clocks.append(clock) } else { clocks[place.slot] = clock }
            return nil
        }
        switch clocks[place.slot].judge(sample, receivedAt: receivedAt) {
        case .counts: return nil
        case .countsAfterJump: return .clockJump
        case .repeated: return .repeated
        case .late: return .late
        }
    }
}
