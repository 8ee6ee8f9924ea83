// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import ModelGraph
import ONNX
import Tensors

/// Reads a model file of either kind, told apart by its name.
package enum ModelLoader {
    /// - Parameter shapes: of inputs with dynamic extents, by name; ONNX only.
    package static func load(path: String, shapes: [String: Shape] = [:]) throws -> Model {
        if path.lowercased().hasSuffix(".onnx") {
            return try ONNXFile(path: path).model(ONNXFile.Options(shapes: shapes))
        }
        return try ModelFile.read(path)
    }

    /// SHA-256 of the file, hexadecimal.
    package static func digest(path: String) throws -> String {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        return SHA256.hash(data: data).withUnsafeBytes { hexadecimal($0) }
    }
}
