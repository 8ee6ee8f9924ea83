// SPDX-License-Identifier: Apache-2.0

import Streaming
import Telemetry

/// Reads the samples of a message: of declared series, or of all that are found (`series: auto`).
struct SampleReader: Sendable {
    /// Names of the series, by `Sample.series`. Grows as series are found.
    private(set) var names: [String]
    /// Whether something was wrong with a part of the last message.
    private(set) var hasFaults = false

    /// Nil until the first series is found.
    private var parser: TelemetryParser?
    private var discovery: SeriesDiscovery?
    /// For each series of the parser its place in `names`.
    private var places: [Int]
    private let timestamp: JSONPointer?
    private let limits: TelemetryParser.Limits

    init(_ parser: TelemetryParser) {
        self.parser = parser
        names = parser.series.map(\.name)
        places = Array(names.indices)
        timestamp = nil
        limits = TelemetryParser.Limits()
    }

    /// - Parameter expected: names that rules speak of; they have their places before they are found.
    init(discovering expected: [String], timestamp: JSONPointer?, limits: TelemetryParser.Limits) {
        names = expected
        places = []
        discovery = SeriesDiscovery()
        self.timestamp = timestamp
        self.limits = limits
    }

    /// Replaces the content of `samples` (empty after `failed`).
    mutating func read(
        _ payload: UnsafeRawBufferPointer, receivedAt: Instant, into samples: inout [Sample]
    ) -> ParseOutcome {
        if discovery != nil, payload.count <= limits.payloadBytes { discover(in: payload) }
        guard parser != nil else {
            samples.removeAll(keepingCapacity: true)
            return .failed(payload.count <= limits.payloadBytes ? SeriesDiscovery.fault(of: payload) : .tooLarge)
        }
        let outcome = parser?.parse(payload, receivedAt: receivedAt, into: &samples) ?? .failed(.noSamples)
        let faults = parser?.faults ?? []
        // A device does not send what another one does.
        hasFaults =
            discovery == nil
            ? !faults.isEmpty : faults.contains { $0.reason != .missingSeries && $0.reason != .wrongType }
        if discovery != nil { for index in samples.indices { samples[index].series = places[samples[index].series] } }
        return outcome
    }

    private mutating func discover(in payload: UnsafeRawBufferPointer) {
        guard let found = discovery?.find(in: payload), !found.isEmpty else { return }
        let series = (parser?.series ?? []) + found
        guard let next = try? TelemetryParser(format: .json, series: series, timestamp: timestamp, limits: limits)
        else {
            return
        }
        parser = next
        for declaration in found {
            if let place = names.firstIndex(of: declaration.name) {
                places.append(place)
            } else {
                places.append(names.count)
                names.append(declaration.name)
            }
        }
    }
}
