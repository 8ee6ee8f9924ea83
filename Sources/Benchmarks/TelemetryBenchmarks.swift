// SPDX-License-Identifier: Apache-2.0

import Foundation
import MQTT
import Pipeline
import Simulation
import Streaming

/// Telemetry: JSON of about 100 and 200 bytes with three series to scores, and the whole flow.
struct TelemetryBenchmarks {
    /// Unanswered messages: enough to fill batches.
    private static let window = 512
    private static let machines = 16
    private let small: [Payload]
    private let large: [Payload]

    init() throws {
        func payloads(_ extra: String) -> [Payload] {
            (0..<1000).map { number in
                let wave = sin(Double(number) / 40)
                let (a, b, c) = (20 + wave, 1.2 + wave / 9, 2900 + 15 * wave)
                return Payload("{\"temp\":\(text(a)),\"vib\":{\"rms\":\(text(b))},\"rpm\":\(text(c))\(extra)}")
            }
        }
        func text(_ value: Double) -> String { "\((value * 10000).rounded() / 10000)" }
        small = payloads(",\"id\":\"press-7\",\"ok\":true,\"unit\":[\"C\",\"g\",\"1/min\"]")
        large = payloads(
            ",\"id\":\"press-7\",\"ok\":true,\"firmware\":\"4.2.1-rc3\",\"site\":{\"hall\":3,\"line\":\"B\"},"
                + "\"uptime\":123456,\"wifi\":{\"ssid\":\"plant\",\"rssi\":-61},\"errors\":[]")
    }

    func parts(_ bench: Bench) throws {
        var scorer = try TelemetryScorer(series: TelemetryBenchmarks.series)
        for (name, payloads) in [("100", small), ("200", large)] {
            bench.measure("telemetry: parse, \(name) bytes of JSON", unit: "messages/s", count: payloads.count) {
                for payload in payloads { scorer.parse(payload) }
            }
        }
        bench.measure(
            "telemetry: parse and score, 200 bytes, 3 series", unit: "messages/s", count: large.count
        ) { for payload in large { scorer.score(payload) } }
        var changes = 0
        bench.measure(
            "telemetry: parse, score and rules, 200 bytes", unit: "messages/s", count: large.count
        ) { for payload in large { changes += scorer.judge(payload) } }
        if changes > 0 { bench.note("\(changes) changes of alerts") }
    }

    func pipelines(_ bench: Bench) throws {
        try pipeline(bench, "telemetry: pipeline in memory", InMemoryBroker(), qos: .atMostOnce)
        for qos in [Streaming.QualityOfService.atMostOnce, .atLeastOnce] {
            let name = "telemetry: pipeline beside mosquitto, QoS \(qos.rawValue)"
            guard bench.wants(name) else { continue }
            let mosquitto = try MosquittoProcess(configuration: ["max_queued_messages 0"])
            let broker = try MQTTBroker(MQTTSettings(url: mosquitto.url))
            try pipeline(bench, name, broker, qos: qos)
        }
    }

    private static let series = [("temperature", "/temp"), ("vibration", "/vib/rms"), ("speed", "/rpm")]

    private func pipeline(_ bench: Bench, _ name: String, _ broker: any Broker, qos: Streaming.QualityOfService) throws
    {
        guard bench.wants(name) else { return }
        let series = TelemetryBenchmarks.series.map { "\($0.0): \($0.1)" }.joined(separator: ", ")
        let yaml = """
            node: bench
            broker: { url: "mqtt://localhost" }
            sources: { all: { topics: ["plant/+/telemetry"], kind: telemetry, qos: \(qos.rawValue), overload: block } }
            pipelines: { health: { from: all, anomaly: { series: { \(series) } } } }
            results: { queue: 10000, qos: 0 }
            """
        let run = try FlowRun(
            yaml: yaml, broker: broker, workers: ProcessInfo.processInfo.activeProcessorCount,
            window: TelemetryBenchmarks.window, answers: "brokerside/bench/scores/#")
        defer { run.stop() }
        try bench.samples(name, unit: "messages/s") {
            try run.run(bench.isQuick ? 600 : 20_000) { number in
                Message(
                    topic: "plant/\(number % TelemetryBenchmarks.machines)/telemetry",
                    payload: small[number % small.count], qos: qos)
            }
        }
    }
}
