// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Inference
import ModelGraph
import ONNX
import Tensors
import Vision

/// A network that takes frames, ready to be used by workers: compiled once, its weights shared.
package struct LoadedNetwork: Sendable {
    package let section: Configuration.ModelSection
    /// As the model file says; the file's name if it says nothing.
    package let modelName: String
    /// SHA-256 of the file, hexadecimal.
    package let digest: String
    package let labels: [String]
    private let compiled: CompiledModel
    private let interpretation: OutputInterpretation
    private let input: ImageInput

    /// What a model lacks to be used on frames.
    enum Fault: Error, CustomStringConvertible {
        case noImageInput
        case noInterpretation(outputs: String)

        var description: String {
            switch self {
            case .noImageInput:
                "the network has no input that is known to be an image; say how frames become it under 'input'"
            case .noInterpretation(let outputs):
                "what the outputs (\(outputs)) mean is not known; say it under 'output'"
            }
        }
    }

    package init(_ section: Configuration.ModelSection) throws {
        var (model, slot) = try ModelLoader.loadForUse(path: section.file, shapes: section.shapes)
        if let labels = section.labels { model.labels = labels }
        if let output = section.output { model.interpretation = output }
        if let preprocessing = section.input,
            let input = model.graph.inputs.first(where: { model.graph[$0].shape.rank == 4 })
        {
            model.preprocessing[model.graph[input].name] = preprocessing
        }
        guard let interpretation = model.interpretation else {
            let outputs = model.graph.outputs.map { "\(model.graph[$0].name) \(model.graph[$0].shape)" }
            throw Fault.noInterpretation(outputs: outputs.joined(separator: ", "))
        }
        compiled = try CompiledModel(model, batch: section.batchSize, slot: slot)
        guard let image = compiled.imageInput else { throw Fault.noImageInput }
        self.section = section
        self.interpretation = interpretation
        input = ImageInput(width: image.width, height: image.height, preprocessing: image.preprocessing)
        modelName = model.name
        labels = model.labels
        digest = try ModelLoader.digest(path: section.file)
    }

    func makeInterpreter(_ section: Configuration.DetectSection) throws -> NetworkWorker.Interpreter {
        let outputs = compiled.outputs.map { OutputDescription(name: $0.name, shape: $0.shape) }
        let classes = section.classes.isEmpty ? nil : section.classes
        if case .classification = interpretation {
            var settings = ClassificationInterpreter.Settings()
            settings.scoreThreshold = section.threshold
            settings.classes = classes
            settings.maximumClasses = section.maximum
            return .classifications(
                try ClassificationInterpreter(interpretation, outputs: outputs, labels: labels, settings: settings))
        }
        var settings = DetectionInterpreter.Settings()
        settings.scoreThreshold = section.threshold
        settings.overlapThreshold = section.overlap
        settings.classes = classes
        settings.maximumDetections = section.maximum
        return .detections(
            try DetectionInterpreter(
                interpretation, outputs: outputs, inputWidth: input.width, inputHeight: input.height, labels: labels,
                settings: settings))
    }

    func makeWorker(_ interpreters: [Int: NetworkWorker.Interpreter]) -> NetworkWorker {
        NetworkWorker(session: compiled.makeSession(), input: input, interpreters: interpreters)
    }
}
