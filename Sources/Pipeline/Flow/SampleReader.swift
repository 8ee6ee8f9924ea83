// SPDX-License-Identifier: Apache-2.0

import Streaming
import Telemetry

/// Reads the samples of a message, and of those that come with their own time leaves out what is not news.
///
/// Nothing is allocated once the working memory has grown; see `TelemetryParser`.
struct SampleReader: Sendable {
    /// Whether something was wrong with a part of the last message.
    private(set) var hasFaults = false
    private var parser: TelemetryParser
    private var clocks: SeriesClocks?
    private var counts = SampleCounts()
    private let isAutomatic: Bool

    /// - Parameter clockCapacity: series of all devices of which the last time is remembered, for sources that tell time.
    init(_ parser: TelemetryParser, clockCapacity: Int) {
        self.parser = parser
        isAutomatic = parser.settings.series == nil
        let tellsTime = parser.settings.timestamp != nil || parser.settings.format.hasOwnTime
        clocks = tellsTime ? SeriesClocks(capacity: clockCapacity) : nil
    }

    /// Names of the series, by `Sample.series`. Grows as series are found.
    var names: [String] { parser.names }

    /// The number of a series of that name, found or not; nil if there are too many.
    mutating func number(of name: String) -> Int? { parser.number(of: name) }

    /// A sample that was read is left out after all.
    mutating func refuse(_ reason: TelemetryFault) {
        counts.add(reason)
        counts.accepted -= 1
    }

    /// Edge nodes that are to send their births again, since the last message.
    var rebirths: [SparkplugNode] { parser.rebirths }

    /// What was counted since it was last taken.
    mutating func takeCounts() -> SampleCounts {
        defer { counts = SampleCounts() }
        return counts
    }

    /// Replaces the content of `samples` (empty after `failed`). Those with their own time come in the order of time.
    ///
    /// A message of which all samples are old fails with `late` or `repeated`.
    mutating func read(_ delivery: Delivery, into samples: inout [Sample]) -> ParseOutcome {
        var outcome = parser.parse(
            UnsafeRawBufferPointer(delivery.message.payload.bytes), topic: delivery.message.topic,
            receivedAt: delivery.receivedAt, into: &samples)
        let faults = parser.faults
        counts.add(faults)
        hasFaults = faults.contains { isWorthAWarning($0.reason) }
        if outcome == .processed, !samples.isEmpty, let old = dropOld(&samples, of: delivery), samples.isEmpty {
            outcome = .failed(old)
        }
        counts.accepted += UInt64(samples.count)
        return outcome
    }

    /// Leaves out samples that are late or came before; why the last one was.
    private mutating func dropOld(_ samples: inout [Sample], of delivery: Delivery) -> TelemetryFault? {
        guard clocks != nil else { return nil }
        // Some devices send the newest first.
        let isOrdered = zip(samples, samples.dropFirst()).allSatisfy { $0.unixNanoseconds <= $1.unixNanoseconds }
        if !isOrdered { samples.sort { ($0.unixNanoseconds, $0.series) < ($1.unixNanoseconds, $1.series) } }
        var reason: TelemetryFault?
        var kept = 0
        for index in samples.indices {
            let sample = samples[index]
            // What has no time of its own says nothing about the device's clock.
            let hasOwnTime = sample.unixNanoseconds != delivery.receivedAt.unixNanoseconds
            let verdict = !hasOwnTime ? nil : clocks?.judge(sample, key: delivery.key, receivedAt: delivery.receivedAt)
            if let verdict {
                counts.add(verdict)
                if !verdict.isNote {
                    reason = verdict
                    continue
                }
            }
            samples[kept] = sample
            kept += 1
        }
        samples.removeLast(samples.count - kept)
        return reason
    }

    /// A device does not send what another one does, and says so when it has no value.
    private func isWorthAWarning(_ reason: TelemetryFault) -> Bool {
        switch reason {
        case .missingSeries, .wrongType, .nullValue, .unavailable: !isAutomatic
        case .rounded, .historical, .staleDeath: false
        default: true
        }
    }
}

extension TelemetryFault {
    /// How a message ends that gave no sample for this reason.
    var outcome: Outcome {
        switch self {
        case .late: .shed(.late)
        case .repeated: .shed(.repeated)
        case .historical: .shed(.historical)
        default: .failed(reason: rawValue)
        }
    }
}
