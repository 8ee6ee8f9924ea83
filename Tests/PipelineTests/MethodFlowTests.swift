// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import ModelGraph
import Streaming
import Tensors
import TestSupport
import Testing

@testable import Pipeline

/// What pipelines of each method say of messages, with the times of messages made up.
struct MethodFlowTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// One pipeline by itself, fed with messages.
    private final class Feed {
        var pipeline: TelemetryPipeline
        private let ledger = Ledger()
        private let topics: ResultTopics
        private let desks: [AlertDesk]

        init(_ anomaly: String, source: String = "", folder: TemporaryFolder, rules: String = "{}") throws {
            let configuration = try Configuration(
                yaml: """
                    node: gate
                    broker: { url: "mqtt://memory" }
                    sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry \(source) } }
                    \(anomaly.contains("wave") ? "models: { wave: { file: wave.bsm } }" : "")
                    pipelines: { health: { from: press, anomaly: \(anomaly), alerts: \(rules) } }
                    """, folder: folder.path, environment: [:])
            let resources = try StreamProcessor.Resources(configuration)
            topics = ResultTopics(prefix: "brokerside", node: "gate")
            let setups = resources.telemetrySetups([(0, configuration.pipelines[0])], topics)
            pipeline = TelemetryPipeline(try #require(setups.first))
            desks = try resources.makeDesks(topics: topics)[0]
        }

        /// At a second since some beginning. Nil when the message is refused.
        @discardableResult
        func send(_ text: String, at second: Double, key: String = "a", retained: Bool = false) -> PipelineResult? {
            let time = Instant(
                monotonicNanoseconds: Int64(second * 1e9),
                unixNanoseconds: 1_700_000_000_000_000_000 + Int64(second * 1e9))
            let message = Message(
                topic: "plant/\(key)/telemetry", payload: Payload(text), retained: retained, receivedAt: time)
            let delivery = Delivery(message, key: key, ledger: ledger) { _ in }
            defer { delivery.finish(.processed) }
            return try? pipeline.score(delivery, SHA256.hash(data: Data(text.utf8))).get()
        }

        /// All that has been learned, as it is stored.
        var rows: [StateStore.SeriesSnapshot] {
            var rows: [StateStore.SeriesSnapshot] = []
            _ = pipeline.takeSnapshots(from: 0, count: 1000, into: &rows)
            return rows
        }

        func sweep(at second: Double, since: Double = 0) -> [SourceFinding] {
            let now = Instant(
                monotonicNanoseconds: Int64(second * 1e9),
                unixNanoseconds: 1_700_000_000_000_000_000 + Int64(second * 1e9))
            return pipeline.sweep(at: now, since: Int64(since * 1e9))
        }

        /// The alerts that facts on a desk open, by rule, at once.
        func opened(_ observations: [AlertDesk.Observation], desk: Int) -> [Document] {
            var desk = (position: desk, desk: desks[desk])
            return observations.filter { $0.desk == desk.position }.flatMap { observation in
                desk.desk.observe(observation, key: "a", topic: "plant/a/telemetry", at: .now)
            }.filter { !$0.isRetained }.compactMap {
                Document(Message(topic: $0.document.topic, payload: Payload($0.document.bytes)))
            }
        }
    }

    private func wave(_ index: Int, shift: Double = 0) -> Double {
        50 + 8 * sin(2 * .pi * (Double(index) + shift) / 16)
    }

    private func writeWaveNetwork(_ target: String) throws {
        // Of 16 samples in a row, 1 x 16: predicts 2 cos(w) x[15] - x[14], or projects on the wave.
        var builder = GraphBuilder()
        let input = try builder.addInput("window", .float32, [1, 16, 1])
        let flat = try #require(builder.add("flat", .reshape([1, 16]), [input], outputs: ["flat"])[0])
        var weights = [Float](repeating: 0, count: target == "next" ? 16 : 256)
        if target == "next" {
            (weights[15], weights[14]) = (2 * cos(2 * .pi / 16), -1)
        } else {
            for row in 0..<16 {
                for column in 0..<16 { weights[row * 16 + column] = cos(2 * .pi * Float(row - column) / 16) / 8 }
            }
        }
        let matrix = builder.addConstant("weights", Tensor([16, weights.count / 16], weights))
        let output = try builder.add("product", .matMul, [flat, matrix], outputs: ["output"])
        let model = Model(name: "wave", graph: try builder.finish(outputs: output.compactMap { $0 }))
        _ = try ModelFile.write(model, folder.file("wave.bsm"))
    }

    private struct Together: Decodable {
        struct Entry: Decodable {
            var method: String
            var score: Double?
            var alarm: Bool
            var series: String
        }
        var together: [Entry]?
    }

    private func together(_ result: PipelineResult?) throws -> [Together.Entry] {
        let document = try #require(result?.document)
        return try JSONDecoder().decode(Together.self, from: Data(document.bytes)).together ?? []
    }

    /// Two that go together, and one by itself; then the relation breaks, with values that are all usual.
    @Test(arguments: [
        "{ series: auto, method: multivariate }", "{ series: { x: /x, y: /y, z: /z }, method: [multivariate] }",
    ])
    func multivariateFindsABrokenRelation(anomaly: String) throws {
        let feed = try Feed(anomaly, folder: folder)
        var generator = SeededGenerator(state: 3)
        var alarms: [Int] = []
        for index in 0..<700 {
            let common = Double.random(in: -1...1, using: &generator)
            let sign = index >= 600 ? -1.0 : 1.0
            let text =
                #"{"x": \#(20 + common), "y": \#(5 + sign * common + Double.random(in: -0.05...0.05, using: &generator)), "z": \#(Double.random(in: 0...1, using: &generator))}"#
            let result = feed.send(text, at: 60 * Double(index))
            guard index > 30 else { continue }
            let entry = try #require(try together(result).first)
            #expect(entry.method == "multivariate" && ["x", "y", "z"].contains(entry.series))
            if entry.alarm { alarms.append(index) }
            if alarms == [index] {
                let opened = feed.opened(result?.facts ?? [], desk: PipelineDesks.together)
                #expect(opened.map(\.rule) == ["multivariate"] && opened.first?.explanation?.series == entry.series)
                #expect(opened.first?.explanation?.samples?.count ?? 0 > 1)
            }
        }
        #expect((600..<630).contains(alarms.first ?? 0), "\(alarms.prefix(3))")
    }

    @Test(arguments: ["next", "window"])
    func networkFindsWhatItDoesNotKnow(target: String) throws {
        try writeWaveNetwork(target)
        let feed = try Feed("{ series: { x: /x }, method: network, model: wave }", folder: folder)
        var generator = SeededGenerator(state: 4)
        var alarms: [Int] = []
        for index in 0..<1050 {
            let value = wave(index, shift: index >= 1002 ? 8 : 0) + Double.random(in: -0.2...0.2, using: &generator)
            let result = feed.send(#"{"x": \#(value)}"#, at: 60 * Double(index))
            let alarm = result?.facts.contains {
                if case .sample(_, _, _, let word?) = $0.fact { word.isAlarm } else { false }
            }
            if alarm == true { alarms.append(index) }
        }
        #expect((1002...1006).contains(alarms.first ?? 0), "\(alarms.prefix(3))")
    }

    @Test func aNetworkOfOtherShapeIsRefusedWithTheReason() throws {
        try writeWaveNetwork("window")
        let fault = #expect(throws: StreamProcessor.ResourceError.self) {
            try Feed("{ series: { x: /x, y: /y, z: /z }, method: network, model: wave }", folder: folder)
        }
        #expect(fault?.description.contains("no window of 3 series") == true)
    }

    @Test(
        arguments: [
            ([1, 16, 3], [1, 16, 3], 3, 16, false, "window"), ([1, 3, 16], [1, 3], 3, 16, true, "next"),
            ([16, 1, 3], [1, 3], 3, 16, false, "next"), ([1, 48], [1, 48], 3, 16, false, "window"),
            ([1, 16], [1, 1], 1, 16, false, "next"), ([1, 16, 1], [1, 4, 1], 1, 16, false, "next"),
            ([1, 3, 3], [1, 3], 3, 3, false, "next"),
        ] as [([Int], [Int], Int, Int, Bool, String)])
    func windowsAreReadFromShapes(
        input: [Int], output: [Int], count: Int, length: Int, isSeriesMajor: Bool, target: String
    ) throws {
        let form = try SeriesNetwork.form(input: Shape(input), output: Shape(output), seriesCount: count)
        #expect(form.length == length && form.isSeriesMajor == isSeriesMajor && form.target.rawValue == target)
    }

    @Test(arguments: [([1, 3, 224, 224], [1, 10], 1), ([1, 16, 2], [1, 3], 3), ([1, 16, 3], [1, 2], 3)])
    func otherShapesAreNoWindows(input: [Int], output: [Int], count: Int) {
        #expect(throws: SeriesNetwork.Fault.self) {
            try SeriesNetwork.form(input: Shape(input), output: Shape(output), seriesCount: count)
        }
    }

    // MARK: Across restarts

    /// As they are without a restart, whatever the order in which series are found again.
    @Test(
        arguments: [
            "{ method: [auto, multivariate, silence] }", "{ series: { x: /x, y: /y }, method: [multivariate, rate] }",
            "{ series: { x: /x }, method: network, model: wave }",
        ])
    func whatWasLearnedGoesOn(anomaly: String) throws {
        try writeWaveNetwork("next")
        func text(_ index: Int) -> String {
            let (x, y) = (wave(index), wave(3 * index + 1))
            return index % 50 == 40 ? #"{"y": \#(y), "x": \#(x)}"# : #"{"x": \#(x), "y": \#(y)}"#
        }
        let whole = try Feed(anomaly, folder: folder)
        for index in 0..<240 { whole.send(text(index), at: 60 * Double(index)) }
        let next = try Feed(anomaly, folder: folder)
        next.pipeline.keep()
        for row in whole.rows { next.pipeline.remember(SeriesName(key: row.key, series: row.series), row.bytes ?? []) }
        for index in 240..<320 {
            let (a, b) = (
                whole.send(text(index), at: 60 * Double(index)), next.send(text(index), at: 60 * Double(index))
            )
            let (first, second) = (try #require(a?.document), try #require(b?.document))
            // Series found anew come in another order.
            #expect(entries(first) == entries(second))
        }
    }

    private func entries(_ document: ResultDocument) -> Set<String> {
        let object = try? JSONSerialization.jsonObject(with: Data(document.bytes)) as? [String: Any]
        return ["results", "together"].reduce(into: Set()) { found, part in
            for entry in object?[part] as? [[String: Any]] ?? [] {
                found.insert("\(part) \(entry.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")
            }
        }
    }

    // MARK: Silence

    @Test func aDeviceThatStopsIsOneFindingAndIsHeardAgain() throws {
        let feed = try silenceFeed()
        for index in 0..<100 { feed.send(#"{"x": \#(index), "y": 1}"#, at: 10 * Double(index)) }
        #expect(feed.sweep(at: 1000).isEmpty)
        let findings = feed.sweep(at: 1100)
        #expect(findings.map(\.key) == ["a"] && findings.first?.topic == "plant/a/telemetry")
        let opened = feed.opened(findings.map(\.observation), desk: PipelineDesks.silences)
        #expect(opened.map(\.rule) == ["silence"] && opened.first?.explanation?.series == nil)
        #expect(opened.first?.explanation?.silentS == 110)
        // Once is enough.
        #expect(feed.sweep(at: 1200).isEmpty)
        let facts = feed.send(#"{"x": 1, "y": 1}"#, at: 1300)?.facts ?? []
        #expect(facts.filter { $0.desk == PipelineDesks.silences }.map(\.series) == ["silence"])
    }

    @Test func aSensorThatStopsIsFoundWhileItsDeviceGoesOn() throws {
        let feed = try silenceFeed()
        for index in 0..<200 {
            feed.send(index < 100 ? #"{"x": \#(index), "y": 1}"# : #"{"x": \#(index)}"#, at: 10 * Double(index))
        }
        let findings = feed.sweep(at: 2000)
        #expect(findings.map(\.observation.series) == ["silence.y"])
        let opened = feed.opened(findings.map(\.observation), desk: PipelineDesks.silences)
        #expect(opened.first?.explanation?.series == "y" && opened.first?.condition?.hasPrefix("y: nothing") == true)
    }

    @Test func withoutConnectionNothingIsSilent() throws {
        let feed = try silenceFeed()
        for index in 0..<100 { feed.send(#"{"x": \#(index)}"#, at: 10 * Double(index)) }
        #expect(feed.sweep(at: 5000, since: 4990).isEmpty)
        #expect(!feed.sweep(at: 5200, since: 4990).isEmpty)
    }

    /// A broker gives out again what it has kept, whenever a client comes back: that is no life sign, and no new sample.
    @Test func whatTheBrokerHasKeptIsNoNewSample() throws {
        let feed = try silenceFeed()
        for index in 0..<100 { feed.send(#"{"x": \#(index)}"#, at: 10 * Double(index)) }
        #expect(feed.send(#"{"x": 99}"#, at: 1090, retained: true) == nil)
        #expect(feed.sweep(at: 1100).map(\.key) == ["a"])
        // Another value than the last tells of a change that was missed.
        #expect(feed.send(#"{"x": 7}"#, at: 1110, retained: true)?.document != nil)
        #expect(feed.pipeline.takeCounts().refused == [.repeated: 1])
    }

    private func silenceFeed() throws -> Feed {
        try Feed("{ method: [auto, silence] }", folder: folder)
    }
}
