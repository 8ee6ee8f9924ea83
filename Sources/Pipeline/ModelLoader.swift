// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Inference
import ModelGraph
import ONNX
import TFLite
import Tensors

/// Reads a model file of any kind, told apart by its name.
package enum ModelLoader {
    /// - Parameter shapes: of inputs with dynamic extents, by name; not of a .bsm file.
    package static func load(path: String, shapes: [String: Shape] = [:]) throws -> Model {
        if path.lowercased().hasSuffix(".onnx") {
            return try ONNXFile(path: path).model(ONNXFile.Options(shapes: shapes))
        }
        if path.lowercased().hasSuffix(".tflite") { return try TFLiteFile(path: path).model(shapes: shapes) }
        return try ModelFile.read(path)
    }

    /// The same for use: a .bsm file with its place in the cache, which makes it ready sooner the next time.
    package static func loadForUse(
        path: String, shapes: [String: Shape] = [:], cache: PlanCache = .standard
    ) throws -> (model: Model, slot: PlanCache.Slot?) {
        let name = path.lowercased()
        guard !name.hasSuffix(".onnx"), !name.hasSuffix(".tflite") else {
            return (try load(path: path, shapes: shapes), nil)
        }
        let contents = try cache.read(path)
        return (contents.model, cache.slot(for: contents))
    }

    /// SHA-256 of the file, hexadecimal.
    package static func digest(path: String) throws -> String {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        return SHA256.hash(data: data).withUnsafeBytes { hexadecimal($0) }
    }
}
