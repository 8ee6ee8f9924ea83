// SPDX-License-Identifier: Apache-2.0

import Foundation
import Inference
import ModelCompression
import ModelGraph
import Synchronization
import Tensors
import Vision

/// A network that takes pictures from files: what evaluation needs of it. Shared by workers.
struct PictureNetwork: Sendable {
    let model: Model
    private let compiled: CompiledModel
    private let input: ImageInput
    private let outputs: [OutputDescription]

    init(_ model: Model) throws {
        self.model = model
        compiled = try CompiledModel(model)
        guard let image = compiled.imageInput else {
            throw Failure("how frames become the network's input is not known; say it when the model is imported")
        }
        input = ImageInput(width: image.width, height: image.height, preprocessing: image.preprocessing)
        outputs = compiled.outputs.map { OutputDescription(name: $0.name, shape: $0.shape) }
    }

    func interpretation() throws -> OutputInterpretation {
        guard let interpretation = model.interpretation else {
            throw Failure("what the network's outputs mean is not known; say it when the model is imported")
        }
        return interpretation
    }

    /// Columns of scores of a detector, where its interpretation says so.
    var classCount: Int? {
        func columns(_ name: String) -> Int? { outputs.first { $0.name == name }?.shape.dimensions.last }
        switch model.interpretation {
        case .grid(let head): return columns(head.output).map { $0 - 5 }
        case .cellMap(let head): return outputs.first { $0.name == head.output }.map { $0.shape[1] - 5 }
        case .boxesAndScores(let head) where head.classes == nil: return columns(head.scores)
        default: return nil
        }
    }

    /// The column of scores that stands for nothing.
    var background: Int? {
        if case .boxesAndScores(let head) = model.interpretation { head.backgroundClass } else { nil }
    }

    /// For one thread.
    final class Worker {
        private let session: Session
        private let input: ImageInput
        private let decoder = JPEGDecoder()
        private var resampler = Resampler()

        fileprivate init(_ network: PictureNetwork) {
            session = network.compiled.makeSession()
            input = network.input
        }

        /// Runs the network on a JPEG file.
        func run(_ path: String) throws -> FrameGeometry {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let geometry = try data.withUnsafeBytes { bytes in
                let frame = try decoder.decode(bytes, for: input)
                let pixels = session.pixels(0)
                return resampler.resample(
                    frame, into: pixels.base, pixelStride: pixels.pixelStride, rowStride: pixels.rowStride,
                    input: input)
            }
            try session.run()
            return geometry
        }

        /// What the last run gave.
        var results: [UnsafeBufferPointer<Float>] { (0..<session.outputCount).map { session.output($0) } }
    }

    func makeWorker() -> Worker { Worker(self) }

    func makeDetector(_ settings: DetectionInterpreter.Settings) throws -> DetectionInterpreter {
        try DetectionInterpreter(
            interpretation(), outputs: outputs, inputWidth: input.width, inputHeight: input.height,
            labels: model.labels, settings: settings)
    }

    func makeClassifier(_ settings: ClassificationInterpreter.Settings) throws -> ClassificationInterpreter {
        try ClassificationInterpreter(interpretation(), outputs: outputs, labels: model.labels, settings: settings)
    }

    /// Detections in every picture, in their order, on all cores.
    func detections(
        in files: [String], settings: DetectionInterpreter.Settings, progress: @escaping @Sendable (Int) -> Void
    ) throws -> [[Detection]] {
        try forEachPicture(files, progress: progress, make: { try makeDetector(settings) }) {
            detector, worker, geometry in
            detector.detections(outputs: worker.results, geometry: geometry)
        }
    }

    /// Classes of every picture, best first.
    func classifications(
        in files: [String], settings: ClassificationInterpreter.Settings, progress: @escaping @Sendable (Int) -> Void
    ) throws -> [[Classification]] {
        try forEachPicture(files, progress: progress, make: { try makeClassifier(settings) }) { classifier, worker, _ in
            classifier.classifications(outputs: worker.results)
        }
    }

    private func forEachPicture<Reader, Result: Sendable>(
        _ files: [String], progress: @escaping @Sendable (Int) -> Void, make: @Sendable () throws -> Reader,
        read: @Sendable (Reader, Worker, FrameGeometry) -> Result
    ) throws -> [Result] {
        let done = Mutex(0)
        let workers = max(1, min(ProcessInfo.processInfo.activeProcessorCount, files.count))
        let parts = try concurrentMap(workers) { index in
            let (reader, worker) = (try make(), makeWorker())
            return try stride(from: index, to: files.count, by: workers).map { picture in
                let geometry: FrameGeometry
                do { geometry = try worker.run(files[picture]) } catch { throw Failure("\(files[picture]): \(error)") }
                let count = done.withLock { count in
                    count += 1
                    return count
                }
                progress(count)
                return read(reader, worker, geometry)
            }
        }
        return files.indices.map { parts[$0 % workers][$0 / workers] }
    }
}
