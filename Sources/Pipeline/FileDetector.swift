// SPDX-License-Identifier: Apache-2.0

import Foundation
import Vision

/// The way of a frame through a network, for files instead of messages.
package final class FileDetector {
    private let network: LoadedNetwork
    private let worker: NetworkWorker
    private let decoder = JPEGDecoder()

    package init(_ model: Configuration.ModelSection, _ section: Configuration.DetectSection) throws {
        network = try LoadedNetwork(model)
        worker = network.makeWorker([0: try network.makeInterpreter(section)])
    }

    /// What is in a JPEG file: a JSON object and a line feed. Throws the reader's or the decoder's error.
    package func line(for path: String) throws -> [UInt8] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let (frame, geometry) = try data.withUnsafeBytes { bytes throws in try worker.place(bytes, slot: 0, decoder) }
        try worker.run(count: 1)
        let found = worker.interpret(pipeline: 0, slot: 0, geometry: geometry)
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
