// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ModelGraph
import Tensors

struct ModelInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show what is known of a network.")

    @Argument(help: ArgumentHelp("The network, a .bsm, .onnx or .tflite file.", valueName: "model"))
    var model: String

    @Option(
        help: ArgumentHelp(
            "Shape of an input of an .onnx or .tflite file. Repeat for each.", valueName: "name=1x3x320x320"))
    var shape: [Assignment] = []

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let shapes = try shape.reduce(into: [String: Shape]()) { shapes, entry in
            guard let shape = Shape(text: entry.value) else { throw Failure("\(entry.value) is not a shape") }
            shapes[entry.name] = shape
        }
        let summary = try reported {
            let source = ModelSource(path: model)
            let bytes = try FileManager.default.attributesOfItem(atPath: model)[.size] as? Int ?? 0
            if source.isForeign { return ModelSummary(try source.load(shapes: shapes), digest: nil, bytes: bytes) }
            let contents = try ModelFile.contents(model)
            return ModelSummary(contents.model, digest: contents.digest, bytes: bytes)
        }
        if json { print(try summary.json()) } else { print(summary.text(), terminator: "") }
    }
}

/// What a person or a program wants to know of a network.
struct ModelSummary: Encodable {
    struct Value: Encodable {
        var name: String
        var type: String
        var shape: Shape
        var preprocessing: ImagePreprocessing?
    }

    var name: String
    var digest: String?
    var fileBytes: Int
    var constantBytes: Int
    var parameters: Int
    var inputs: [Value]
    var outputs: [Value]
    var interpretation: OutputInterpretation?
    var labels: [String]
    /// Number of nodes by operator.
    var operators: [String: Int]
    var quantization: QuantizationReport?

    init(_ model: Model, digest: String?, bytes: Int) {
        let graph = model.graph
        name = model.name
        self.digest = digest
        fileBytes = bytes
        constantBytes = graph.constants.values.reduce(0) { $0 + $1.count * $1.type.sizeBytes }
        parameters = graph.constants.values.reduce(0) { $0 + $1.count }
        inputs = graph.inputs.map {
            Value(
                name: graph[$0].name, type: "\(graph[$0].type)", shape: graph[$0].shape,
                preprocessing: model.preprocessing[graph[$0].name])
        }
        outputs = graph.outputs.map { Value(name: graph[$0].name, type: "\(graph[$0].type)", shape: graph[$0].shape) }
        interpretation = model.interpretation
        labels = model.labels
        operators = graph.nodes.reduce(into: [:]) { $0[$1.operation.name, default: 0] += 1 }
        quantization = model.quantization
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    func text() -> String {
        var lines = ["model           \(name)"]
        if let digest { lines.append("digest          \(digest)") }
        lines.append("size            \(fileBytes) bytes, \(parameters) parameters")
        for input in inputs {
            lines.append("input           \(input.name): \(input.type) \(input.shape)")
            guard let frames = input.preprocessing else { continue }
            lines.append(
                "                frames: \(frames.channelOrder.rawValue), \(frames.fit.rawValue), padding \(frames.padding), "
                    + "mean \(frames.mean), scale \(frames.scale)")
        }
        for output in outputs { lines.append("output          \(output.name): \(output.type) \(output.shape)") }
        lines.append("interpretation  \(interpretation.map(Self.describe) ?? "unknown")")
        if !labels.isEmpty { lines.append("labels          \(labels.joined(separator: ", "))") }
        lines.append(
            "operators       "
                + operators.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }
                .joined(separator: ", "))
        if let quantization { lines += Self.describe(quantization) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func describe(_ interpretation: OutputInterpretation) -> String {
        switch interpretation {
        case .grid(let head):
            "grid \(head.output), strides \(head.strides)\(head.scoresAreLogits ? ", logits" : "")"
        case .boxesAndScores(let head):
            "boxes \(head.boxes) (\(head.form.rawValue)\(head.normalized ? ", 0 to 1" : "")), scores \(head.scores)"
                + (head.classes.map { ", classes \($0)" } ?? "")
                + (head.backgroundClass.map { ", background is class \($0)" } ?? "")
                + (head.scoresAreLogits ? ", logits" : "")
        case .anchorFree(let head):
            "anchor-free (\(head.form.rawValue)), strides \(head.levels.map(\.stride))"
                + (head.scoresAreLogits ? ", logits" : "")
        case .cellMap(let head): "map of cells \(head.output)"
        case .classification(let head): "classes \(head.output)\(head.scoresAreLogits ? ", logits" : "")"
        }
    }

    private static func percent(_ share: Double) -> String {
        share < 0 ? "none" : String(format: "%.1f %%", share * 100)
    }

    private static func describe(_ report: QuantizationReport) -> [String] {
        var lines = [
            "quantized       weights \(report.weightBits) bit, activations \(report.activationBits) bit, "
                + "\(report.floatBytes) to \(report.quantizedBytes) bytes (\(percent(report.ratio))), "
                + "\(report.calibrationInputs) calibration inputs"
        ]
        for output in report.outputs {
            let decibels = String(format: "%.1f", output.signalToNoiseDecibels)
            lines.append("                \(output.name): signal to noise \(decibels) dB")
        }
        if let agreement = report.agreement {
            lines.append(
                "                \(percent(agreement.foundAgain)) of \(agreement.detections) detections found again "
                    + "(\(percent(agreement.foundAtAnyScore)) at any score) on "
                    + "\(agreement.pictures) pictures, AP against them \(percent(agreement.averagePrecision))")
        }
        for layer in report.widerLayers {
            lines.append("                \(layer.name) keeps \(layer.activationBits) bit: \(layer.reason)")
        }
        return lines + report.notes.map { "                note: \($0)" }
    }
}
