// SPDX-License-Identifier: Apache-2.0

import Streaming

@testable import Telemetry

/// What the scanner finds at `pointers` in a text; throws its fault.
func scan(_ text: [UInt8], _ pointers: [String] = []) throws -> [JSONSlot] {
    var scanner = JSONScanner(try pointers.map { try JSONPointer($0) })
    try text.withUnsafeBytes { try scanner.scan($0) }
    return scanner.leaves.map(\.slot)
}

func scan(_ text: String, _ pointers: [String] = []) throws -> [JSONSlot] { try scan(Array(text.utf8), pointers) }

/// What a parser reads in a payload.
struct Reading {
    var outcome: ParseOutcome
    var samples: [Sample]
    var names: [String]
    var faults: [SampleFault]

    /// Values by name; a name that has several has its last.
    var values: [String: Double] {
        Dictionary(samples.map { (names[$0.series], $0.value) }) { $1 }
    }

    func values(of name: String) -> [Double] { samples.filter { names[$0.series] == name }.map(\.value) }

    var times: [Int64] { samples.map(\.unixNanoseconds) }
    var reasons: [TelemetryFault] { faults.map(\.reason) }
}

extension TelemetryParser {
    static let receivedAt = Instant(monotonicNanoseconds: 1, unixNanoseconds: 42)

    mutating func read(_ payload: [UInt8], topic: String = "", receivedAt: Instant = receivedAt) -> Reading {
        var samples = [Sample(series: 9, value: 9, unixNanoseconds: 9)]
        let outcome = payload.withUnsafeBytes { parse($0, topic: topic, receivedAt: receivedAt, into: &samples) }
        return Reading(outcome: outcome, samples: samples, names: names, faults: faults)
    }

    mutating func read(_ payload: String, receivedAt: Instant = receivedAt) -> Reading {
        read(Array(payload.utf8), receivedAt: receivedAt)
    }

    /// A parser of series that are named like their pointers; without any, of all that is found.
    static func make(
        _ format: PayloadFormat, _ pointers: [String]? = nil, timestamp: String? = nil,
        _ reading: TimeReading = TimeReading(),
        samples: String? = nil, readsStrings: Bool = false, limits: Limits = Limits()
    ) throws -> TelemetryParser {
        var settings = Settings(
            format, series: try pointers?.map { SeriesDeclaration(name: $0, pointer: try JSONPointer($0)) })
        settings.timestamp = try timestamp.map { TimeField(try JSONPointer($0), reading) }
        settings.samples = try samples.map { try JSONPointer($0) }
        settings.readsStrings = readsStrings
        settings.limits = limits
        return try TelemetryParser(settings)
    }
}
