// SPDX-License-Identifier: Apache-2.0

import Foundation
import Vision

/// The way of one frame through a network, stage by stage on one thread, as a worker goes it: for files instead of
/// messages, and to measure what the flow around the stages costs.
package final class FrameDetector {
    private let network: LoadedNetwork
    private let worker: NetworkWorker
    private let decoder = JPEGDecoder()
    private var geometry: FrameGeometry?

    /// Throws what is wrong with the model, or with what the section wants of it.
    package init(_ model: Configuration.ModelSection, _ section: Configuration.DetectSection) throws {
        network = try LoadedNetwork(model)
        worker = network.makeWorker([0: try network.makeInterpreter(section)])
    }

    /// JPEG to the network's input.
    @discardableResult
    package func decode(_ jpeg: UnsafeRawBufferPointer) throws(JPEGError) -> DecodedFrame {
        let (frame, geometry) = try worker.place(jpeg, slot: 0, decoder)
        self.geometry = geometry
        return frame
    }

    package func infer() throws { try worker.run(count: 1) }

    /// The network's output to what is in the frame that was decoded last.
    @discardableResult
    package func interpret() -> Findings {
        guard let geometry else { preconditionFailure("no frame was decoded") }
        return worker.interpret(pipeline: 0, slot: 0, geometry: geometry)
    }

    /// What is in a JPEG file: a JSON object and a line feed. Throws the reader's or the decoder's error.
    package func line(for path: String) throws -> [UInt8] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let frame = try data.withUnsafeBytes { bytes throws in try decode(bytes) }
        try infer()
        let found = interpret()
        var json = JSONWriter()
        json.object { json in
            json.field("file", path)
            json.field("width", frame.width)
            json.field("height", frame.height)
            if frame.warnings > 0 { json.field("warnings", frame.warnings) }
            found.write(&json, labels: network.labels)
        }
        return json.bytes + [UInt8(ascii: "\n")]
    }
}
