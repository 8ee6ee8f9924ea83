// SPDX-License-Identifier: Apache-2.0

import Foundation
import MQTT
import Pipeline
import Simulation
import Streaming
import Vision

/// Frames: decode, infer, interpret; then the whole flow. The detector and the frames are those of the demo.
struct FrameBenchmarks {
    /// Unanswered frames: enough that no worker waits for the broker.
    private static let window = 8

    private let modelFile: String
    /// A few seconds of each camera.
    private let frames: [Payload]

    init() throws {
        modelFile = FileManager.default.temporaryDirectory.appendingPathComponent("benchmarks-\(getpid()).bsm").path
        try Data(DemoDetector.bytes).write(to: URL(fileURLWithPath: modelFile))
        let encoder = JPEGEncoder()
        frames = CameraSite.allCases.flatMap { site -> [Payload] in
            let camera = SimulatedCamera(site: site, seed: 7)
            let format = site.format
            return (0..<3).map { second in
                _ = camera.render(at: 5 + Double(second))
                return Payload(
                    encoder.encode(
                        rgb: camera.pixels, width: format.width, height: format.height, quality: format.jpegQuality))
            }
        }
    }

    func parts(_ bench: Bench) throws {
        let detector = try FrameDetector(.init(name: "detector", file: modelFile), .init(model: "detector"))
        try bench.measure("frames: decode to network input", unit: "frames/s", count: frames.count) {
            for frame in frames { try detector.decode(UnsafeRawBufferPointer(frame.bytes)) }
        }
        try bench.measure("frames: infer", unit: "frames/s") { try detector.infer() }
        try detector.decode(UnsafeRawBufferPointer(frames[0].bytes))
        bench.measure("frames: interpret", unit: "frames/s") { detector.interpret() }
        try bench.measure("frames: decode, infer and interpret", unit: "frames/s", count: frames.count) {
            for frame in frames {
                try detector.decode(UnsafeRawBufferPointer(frame.bytes))
                try detector.infer()
                detector.interpret()
            }
        }
    }

    func pipelines(_ bench: Bench) throws {
        defer { try? FileManager.default.removeItem(atPath: modelFile) }
        for workers in [1, ProcessInfo.processInfo.activeProcessorCount] {
            let plural = workers == 1 ? "" : "s"
            try pipeline(bench, "frames: pipeline in memory, \(workers) worker\(plural)", InMemoryBroker(), workers)
        }
        let name = "frames: pipeline beside mosquitto, all cores"
        guard bench.wants(name) else { return }
        let mosquitto = try MosquittoProcess()
        let broker = try MQTTBroker(MQTTSettings(url: mosquitto.url))
        try pipeline(bench, name, broker, ProcessInfo.processInfo.activeProcessorCount)
    }

    private func pipeline(_ bench: Bench, _ name: String, _ broker: any Broker, _ workers: Int) throws {
        guard bench.wants(name) else { return }
        let yaml = """
            node: bench
            broker: { url: "mqtt://localhost" }
            sources: { all: { topics: ["cameras/+/frame"], kind: frames, overload: block, max_age: 0s } }
            models: { detector: { file: "\(modelFile)" } }
            pipelines: { objects: { from: all, detect: { model: detector } } }
            """
        let run = try FlowRun(
            yaml: yaml, broker: broker, workers: workers, window: FrameBenchmarks.window,
            answers: "brokerside/bench/detections/#")
        defer { run.stop() }
        let sites = CameraSite.allCases
        try bench.samples(name, unit: "frames/s") {
            try run.run(bench.isQuick ? 16 : 600) { number in
                Message(topic: "cameras/\(sites[number % sites.count])/frame", payload: frames[number % frames.count])
            }
        }
    }
}
