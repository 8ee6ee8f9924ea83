// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A model in TensorFlow Lite's format (https://ai.google.dev/edge/litert), in float or quantized to 8 bits.
package struct TFLiteFile {
    let schema: TFLiteSchema
    let name: String

    /// - Throws: `ImportError.unreadable`, `ImportError.malformed`.
    package init(path: String) throws {
        let url = URL(fileURLWithPath: path)
        let data: Data
        do { data = try Data(contentsOf: url, options: .mappedIfSafe) } catch {
            throw ImportError.unreadable(path: path, reason: "cannot be read")
        }
        try self.init(data, name: url.deletingPathExtension().lastPathComponent)
    }

    package init(_ data: Data, name: String) throws {
        schema = try TFLiteSchema(data)
        self.name = name
    }

    /// The network, with the inputs and outputs of the file: their names, element types, and layout (images have channels
    /// last). Inside it is as all networks are here.
    ///
    /// - Parameter shapes: of inputs by name; an open extent is what the converter left, most often 1, unless given here.
    /// - Throws: `ImportError`.
    package func model(shapes: [String: Shape] = [:]) throws -> Model {
        var importer = TFLiteImporter(schema)
        do {
            let graph = QuantizationFolding.folded(try importer.importGraph(shapes: shapes))
            var model = Model(name: name, graph: graph)
            InterpretationGuess.complete(&model)
            return model
        } catch let error as GraphError {
            throw ImportError.malformed("\(error)")
        }
    }
}
