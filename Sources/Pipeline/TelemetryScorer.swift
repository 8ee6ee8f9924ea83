// SPDX-License-Identifier: Apache-2.0

import Anomaly
import Streaming
import Telemetry

/// The stages of a telemetry message one by one, on one thread: to measure what the flow around them costs.
package struct TelemetryScorer {
    private var parser: TelemetryParser
    private var detectors: [SeriesDetector]
    private var samples: [Sample] = []

    /// - Parameter series: names and JSON Pointers.
    /// - Throws: what is wrong with a pointer.
    package init(series: [(name: String, pointer: String)]) throws {
        let declared = try series.map { SeriesDeclaration(name: $0.name, pointer: try JSONPointer($0.pointer)) }
        parser = try TelemetryParser(TelemetryParser.Settings(.json, series: declared))
        detectors = series.map { _ in SeriesDetector(budget: FalseAlarmBudget(count: 1, per: .seconds(86_400))) }
    }

    package mutating func parse(_ payload: Payload) {
        _ = parser.parse(UnsafeRawBufferPointer(payload.bytes), receivedAt: .now, into: &samples)
    }

    package mutating func score(_ payload: Payload) {
        parse(payload)
        for sample in samples { _ = detectors[sample.series].score(sample.value, at: sample.unixNanoseconds) }
    }
}
