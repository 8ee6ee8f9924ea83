// SPDX-License-Identifier: Apache-2.0

import Inference
import Tensors
import Vision

/// A network as one worker uses it: a session with the memory that it works in, and what its outputs mean to each pipeline.
package final class NetworkWorker {
    /// What a pipeline reads in the outputs.
    enum Interpreter {
        case detections(DetectionInterpreter)
        case classifications(ClassificationInterpreter)
    }

    private let session: Session
    private let input: ImageInput
    private var resampler = Resampler()
    /// By position of the pipeline in the configuration.
    private let interpreters: [Int: Interpreter]

    init(session: Session, input: ImageInput, interpreters: [Int: Interpreter]) {
        self.session = session
        self.input = input
        self.interpreters = interpreters
    }

    /// Decodes a frame and lays it into place `slot` of the network's batch.
    func place(
        _ data: UnsafeRawBufferPointer, slot: Int, _ decoder: JPEGDecoder
    ) throws(JPEGError) -> (frame: DecodedFrame, geometry: FrameGeometry) {
        let frame = try decoder.decode(data, for: input)
        let pixels = session.pixels(slot)
        let geometry = resampler.resample(
            frame, into: pixels.base, pixelStride: pixels.pixelStride, rowStride: pixels.rowStride, input: input)
        return (frame, geometry)
    }

    /// Runs the network once on empty places, so that all of its memory is there before the first frame: the first frames are
    /// as fast as others, and a worker that overload wakes takes no more memory than it had.
    func prepare() throws { try session.run(batch: session.batch) }

    /// Runs the network on the first `count` places.
    func run(count: Int) throws { try session.run(batch: count) }

    /// What the outputs of place `slot` mean to a pipeline.
    func interpret(pipeline: Int, slot: Int, geometry: FrameGeometry) -> Findings {
        let outputs = (0..<session.outputCount).map { session.output($0) }
        switch interpreters[pipeline] {
        case .detections(let interpreter):
            return .detections(interpreter.detections(outputs: outputs, item: slot, geometry: geometry))
        case .classifications(let interpreter):
            return .classifications(interpreter.classifications(outputs: outputs, item: slot))
        case nil: return .detections([])
        }
    }
}
