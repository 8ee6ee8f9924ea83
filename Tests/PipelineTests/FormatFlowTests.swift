// SPDX-License-Identifier: Apache-2.0

import Streaming
import TestSupport
import Testing

@testable import Pipeline
@testable import Telemetry

/// The formats of telemetry, from the configuration to the scores.
struct FormatFlowTests {
    private func bench(_ source: String, _ anomaly: String = "{}", topic: String = "plant/+") throws -> FlowBench {
        try FlowBench(
            """
            sources: { press: { topics: ["\(topic)"], kind: telemetry, \(source) } }
            pipelines: { health: { from: press, anomaly: \(anomaly) } }
            """)
    }

    /// Series and values of all scores, in their order.
    private func scores(_ bench: FlowBench) -> [String] {
        bench.observer.documents("scores").flatMap { document in
            (document.results ?? []).map { "\(document.source?.key ?? "") \($0.series) \($0.value)" }
        }
    }

    @Test(
        arguments: [
            ("format: json", "{}", #"{"a":{"t":1.5},"ok":true,"s":"x"}"#, ["m a.t 1.5", "m ok 1.0"]),
            ("format: json, strings: true", "{ series: { t: /t } }", #"{"t":"1.5"}"#, ["m t 1.5"]),
            (
                "format: json, samples: /r", "{ series: { t: /t } }", #"{"r":[{"t":1},{"t":2}]}"#,
                ["m t 1.0", "m t 2.0"]
            ),
            (
                "format: json, samples: \"\", timestamp: /0", "{ series: { t: /1 } }",
                "[[1700000002,3],[1700000001,2],[1700000000,1]]", ["m t 1.0", "m t 2.0", "m t 3.0"]
            ),
            ("format: json", "{}", "off\n", ["m value 0.0"]),
            ("format: number", "{}", "ON", ["m value 1.0"]),
            ("format: number", "{ series: { door: \"\" } }", "closed", ["m door 0.0"]),
            ("format: csv", "{ series: { t: /1 } }", "x,1.5\ny,2.5", ["m t 1.5", "m t 2.5"]),
            ("format: csv, timestamp: /time", "{}", "time,t\n1700000000,3", ["m t 3.0"]),
            ("format: influx", "{}", "cpu,host=a usage=1.5 1700000000000000000", ["m cpu,host=a.usage 1.5"]),
            (
                "format: influx", "{ series: { u: \"/cpu,host=a/usage\" } }", "cpu,host=b usage=1\ncpu,host=a usage=2",
                ["m u 2.0"]
            ),
        ] as [(String, String, String, [String])])
    func payloadsBecomeScores(source: String, anomaly: String, payload: String, expected: [String]) async throws {
        let bench = try bench(source, anomaly)
        bench.publish("plant/m", payload)
        #expect(await bench.settled(1))
        bench.stop()
        #expect(scores(bench) == expected)
        #expect(bench.books().processed == 1)
    }

    @Test func sparkplugIsReadAcrossItsTopicsAndAskedForBirths() async throws {
        let bench = try bench("format: sparkplug", topic: "spBv1.0/#")
        let plant = try BrokerClient(bench.broker, id: "plant", filters: ["spBv1.0/+/NCMD/+"])
        bench.broker.settle()
        func send(_ kind: String, _ sequence: UInt64, _ metrics: [SparkplugMetric]) throws {
            var payload = SparkplugPayload()
            payload.seq = sequence
            payload.timestamp = 1_700_000_000_000 + sequence
            payload.metrics = metrics
            bench.publish("spBv1.0/g/\(kind)/n", try payload.serializedBytes())
        }
        var level = SparkplugMetric()
        level.alias = 5
        level.doubleValue = 22.5
        var birth = level
        birth.name = "Inputs/Level"
        birth.datatype = 10
        birth.doubleValue = 21.5
        try send("NBIRTH", 0, [birth])
        try send("NDATA", 1, [level])
        try send("NDATA", 7, [level])
        #expect(await eventually { plant.messages.count == 1 })
        // Its own command comes back and has no samples.
        #expect(await bench.settled(4))
        bench.stop()
        plant.stop()
        #expect(scores(bench) == ["g/n Inputs.Level 21.5", "g/n Inputs.Level 22.5", "g/n Inputs.Level 22.5"])
        #expect(plant.messages.first?.topic == "spBv1.0/g/NCMD/n")
        #expect(bench.books().processed == 4)
        let samples = try #require(bench.processor.report.sources.first?.samples)
        #expect(samples.counts.accepted == 3 && samples.counts.noted == [.sequenceGap: 1] && samples.series.known == 1)
    }

    @Test func valuesAreCountedByReason() async throws {
        let bench = try bench("format: json, timestamp: /ts", "{ series: { t: /t, u: /u } }")
        for text in [
            #"{"ts":1700000000,"t":1,"u":null}"#, #"{"ts":1700000000,"t":1,"u":"unavailable"}"#,
            #"{"ts":1600000000,"t":3,"u":NaN}"#, #"{"ts":1700000001,"t":9007199254740993,"u":"x"}"#, #"{"t":1,"u":2}"#,
        ] {
            bench.publish("plant/m", text)
        }
        #expect(await bench.settled(5))
        bench.stop()
        #expect(bench.books().processed == 3)
        #expect(bench.books().shed == ["repeated": 1, "late": 1])
        let counts = try #require(bench.processor.report.sources.first?.samples).counts
        #expect(counts.accepted == 4)
        #expect(
            counts.refused == [.nullValue: 1, .unavailable: 1, .notFinite: 1, .wrongType: 1, .repeated: 1, .late: 1])
        #expect(counts.noted == [.rounded: 1, .badTimestamp: 1])
    }

    @Test(arguments: [
        ("format: csv", "{ series: { t: /a/b } }", "expected a column"),
        ("format: influx", "{ series: { t: /cpu } }", "expected a field"),
        ("format: sparkplug", "{ series: { t: \"\" } }", "expected a metric"),
        ("format: number", "{ series: { t: /a } }", "the payload is the value"),
        ("format: number", "{ series: { t: \"\", u: \"\" } }", "one series"),
        ("format: json", "{ series: { t: a } }", "begin with \"/\""),
        ("format: json", "{ series: { t: /a~2 } }", "must be followed by"),
        ("format: xml", "{}", "unknown value 'xml'"), ("format: number, timestamp: /t", "{}", "has no time"),
        ("format: influx, timestamp: /t", "{}", "has its own time"),
        ("format: sparkplug, timestamp: { zone: utc }", "{}", "are numbers"),
        ("timestamp: { unit: ms }", "{}", "'at' is missing"),
        ("timestamp: { at: /t, unit: min }", "{}", "unknown value 'min'"),
        ("timestamp: { at: /t, zone: CET }", "{}", "expected utc or an offset"),
        ("format: csv, timestamp: /a/b", "{}", "expected a column"),
        ("format: csv, samples: /r", "{}", "belongs to format json"),
        ("format: csv, strings: true", "{}", "belongs to format json or sparkplug"),
        ("rebirth: false", "{}", "belongs to format sparkplug"),
        ("format: sparkplug, overload: latest", "{}", "no message stands for another"),
    ])
    func faultsOfFormatsAreNamed(source: String, anomaly: String, message: String) throws {
        let error = #expect(throws: ConfigurationError.self) { _ = try bench(source, anomaly) }
        #expect(error?.faults.count == 1)
        #expect(error?.faults.first?.message.contains(message) == true, "\(error?.faults.first?.message ?? "")")
    }

    @Test(arguments: [
        "timestamp: /ts", "timestamp: { at: /ts, unit: ms, zone: \"-03:30\" }, strings: true", "samples: \"\"",
        "format: number",
        "format: csv, timestamp: { at: /0, zone: utc }", "format: influx, timestamp: { unit: s }",
        "format: sparkplug, rebirth: false, strings: true",
    ])
    func printedFormatsReadBackAsTheSame(source: String) throws {
        let yaml = """
            broker: { url: "mqtt://memory" }
            sources: { press: { topics: [a], kind: telemetry, \(source) } }
            pipelines: { health: { from: press, anomaly: {} } }
            """
        let configuration = try Configuration(yaml: yaml, folder: "/nowhere", environment: [:])
        #expect(try Configuration(yaml: configuration.yaml, folder: "/nowhere", environment: [:]) == configuration)
    }
}
