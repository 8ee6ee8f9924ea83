// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import Telemetry

@Suite struct TelemetryParserTests {
    @Test func readsDeclaredSeries() throws {
        var parser = try TelemetryParser(
            format: .json,
            series: [
                SeriesDeclaration(name: "temperature", pointer: JSONPointer("/temp")),
                SeriesDeclaration(name: "vibration", pointer: JSONPointer("/vib/rms")),
            ])
        var samples: [Sample] = []
        let payload = Payload(#"{"temp": 21.5, "vib": {"rms": 0.25, "peak": 1}}"#)
        let outcome = parser.parse(
            UnsafeRawBufferPointer(payload.bytes), receivedAt: Instant(monotonicNanoseconds: 1, unixNanoseconds: 2),
            into: &samples)
        #expect(outcome == .processed)
        #expect(
            samples == [
                Sample(series: 0, value: 21.5, unixNanoseconds: 2), Sample(series: 1, value: 0.25, unixNanoseconds: 2),
            ])
    }
}
