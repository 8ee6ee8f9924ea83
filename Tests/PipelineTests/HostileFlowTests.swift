// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import TestSupport
import Testing

@testable import Pipeline

/// What anyone can send: counted with its reason, and without harm to the messages beside it.
struct HostileFlowTests {
    private func frames() throws -> FlowBench {
        try FlowBench(
            """
            sources: { yard: { topics: ["cameras/#"], kind: frames, max_age: 0s, overload: block, max_bytes: 100KB } }
            models: { colors: { file: MODEL, batch: { size: 4 } } }
            pipelines: { colors: { from: yard, detect: { model: colors } } }
            """)
    }

    private func telemetry() throws -> FlowBench {
        try FlowBench(
            """
            sources: { press: { topics: ["plant/#"], kind: telemetry, max_bytes: 1MB } }
            pipelines: { health: { from: press, anomaly: { series: { temperature: /temp } } } }
            """)
    }

    @Test(
        arguments: [
            ([], "empty"), (Array(Frames.red.prefix(100)), "truncated"), (Array(Frames.red.dropLast(60)), "truncated"),
            (Array("GIF89a".utf8), "not_jpeg"), (Frames.boundless, "too_large"),
            (Array(repeating: 0xFF, count: 200_000), "too_large"),
        ] as [([UInt8], String)])
    func framesThatAreNone(payload: [UInt8], reason: String) async throws {
        let bench = try frames()
        for _ in 0..<3 {
            bench.publish("cameras/a", Frames.red)
            bench.publish("cameras/a", payload)
        }
        #expect(await bench.settled(6))
        bench.stop()
        #expect(bench.books().failed == [reason: 3])
        let seen = bench.observer.documents("detections")
        #expect(seen.count == 3 && seen.allSatisfy { $0.classifications?.first?.class == "red" })
    }

    @Test(arguments: [
        ("", "invalid_json"), ("{\"temp\": \"12\"}", "wrong_type"), ("{\"temp\": [1]}", "wrong_type"),
        ("{\"temp\": null}", "null"), ("[1]", "missing_series"), ("{\"temp\": NaN}", "not_finite"),
        ("{\"temp\": -Infinity}", "not_finite"), ("{\"temp\": nan}", "invalid_json"),
        ("{\"temp\": 1e999}", "out_of_range"),
        ("{\"temp\": 1", "invalid_json"),
        (String(repeating: "[", count: 100_000), "too_deep"),
        (String(repeating: "{\"temp\":", count: 100_000), "too_deep"),
        ("{\"temp\": " + String(repeating: "9", count: 2 << 20) + "}", "too_large"),
    ])
    func telemetryThatIsNone(payload: String, reason: String) async throws {
        let bench = try telemetry()
        bench.publish("plant/a", "{\"temp\": 20.5}")
        bench.publish("plant/a", payload)
        bench.publish("plant/a", "{\"temp\": 21.5}")
        #expect(await bench.settled(3))
        bench.stop()
        #expect(bench.books().failed == [reason: 1])
        #expect(bench.observer.documents("scores").compactMap { $0.results?.first?.value } == [20.5, 21.5])
    }

    @Test func textThatIsNotUTF8() async throws {
        let bench = try telemetry()
        bench.publish("plant/a", Array("{\"temp\": 1, \"x\": \"".utf8) + [0xC3, 0x28] + Array("\"}".utf8))
        bench.publish("plant/a", [0xFE, 0xFF, 0x00, 0x7B])
        #expect(await bench.settled(2))
        bench.stop()
        #expect(bench.books().failedTotal == 2)
        #expect(bench.books().failed["invalid_utf8"] == 1)
    }

    @Test(arguments: [
        "plant", "plant/", "plant//", "plant/a//b", "plant/ ", "plant/$SYS", "plant/ü🎈/\u{1}", "plant/a\"b\\c",
    ])
    func topicsWithOddLevels(topic: String) async throws {
        let bench = try telemetry()
        bench.publish(topic, "{\"temp\": 20}")
        #expect(await bench.settled(1))
        bench.stop()
        #expect(bench.books().processed == 1)
        #expect(bench.observer.documents("scores").first?.source?.topic == topic)
    }

    @Test func itsOwnResultsAreRefused() async throws {
        let bench = try FlowBench(
            """
            sources: { all: { topics: ["#"], kind: telemetry, format: number } }
            pipelines: { health: { from: all, anomaly: {} } }
            """)
        bench.publish("plant/a", "20")
        #expect(await eventually { bench.books().processed == 1 && bench.books().inFlight == 0 })
        bench.stop()
        #expect(bench.books().failed["own_result", default: 0] >= 1)
        #expect(bench.observer.documents("scores").count == 1)
    }
}
