// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
import Streaming
import Telemetry

/// The stages of a telemetry message one by one, on one thread: to measure what the flow around them costs.
package struct TelemetryScorer {
    private var parser: TelemetryParser
    private var detectors: [SeriesDetector]
    private var samples: [Sample] = []
    private var tracker: AlertTracker
    private var changes: [AlertChange] = []

    /// - Parameter series: names and JSON Pointers.
    /// - Throws: what is wrong with a pointer.
    package init(series: [(name: String, pointer: String)]) throws {
        let declared = try series.map { SeriesDeclaration(name: $0.name, pointer: try JSONPointer($0.pointer)) }
        parser = try TelemetryParser(TelemetryParser.Settings(.json, series: declared))
        // As a pipeline has them: for each series the detector's alarm, and a limit beside.
        tracker = AlertTracker(
            rules: series.indices.flatMap { index in
                [
                    AlertRule(id: "\(index)", condition: .anomaly(series: index)),
                    AlertRule(id: "\(index)-high", condition: .above(series: index, threshold: 1e6, clear: 1e6)),
                ]
            })
        detectors = series.map { _ in SeriesDetector(budget: FalseAlarmBudget(count: 1, per: .seconds(86_400))) }
    }

    package mutating func parse(_ payload: Payload) {
        _ = parser.parse(UnsafeRawBufferPointer(payload.bytes), receivedAt: .now, into: &samples)
    }

    package mutating func score(_ payload: Payload) {
        parse(payload)
        for sample in samples { _ = detectors[sample.series].score(sample.value, at: sample.unixNanoseconds) }
    }

    /// With the rules for alerts. Returns how many alerts changed.
    package mutating func judge(_ payload: Payload) -> Int {
        parse(payload)
        changes.removeAll(keepingCapacity: true)
        let now = Moment(Instant.now)
        for sample in samples {
            let score = detectors[sample.series].score(sample.value, at: sample.unixNanoseconds)
            let judgement = Fact.Judgement(score: score.score, isAlarm: score.isAlarm, expected: score.expected)
            tracker.observe(
                .sample(
                    series: sample.series, value: sample.value, time: sample.unixNanoseconds, judgement: judgement),
                key: "press-7", origin: "plant/press-7/telemetry", at: now, into: &changes)
        }
        return changes.count
    }
}
