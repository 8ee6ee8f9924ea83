// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import SwiftProtobuf
import Tensors

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A model in the Open Neural Network Exchange format (https://onnx.ai), operator sets 7 and later.
package struct ONNXFile {
    /// What the caller decides where the file leaves it open.
    package struct Options: Sendable {
        /// Shapes of inputs by name. An open first extent is 1 unless given here.
        package var shapes: [String: Shape]
        /// Inputs that are known before the network runs and become constants, by name: for networks whose inner shapes
        /// depend on the values of an input.
        package var constants: [String: Tensor]

        package init(shapes: [String: Shape] = [:], constants: [String: Tensor] = [:]) {
            self.shapes = shapes
            self.constants = constants
        }
    }

    /// Messages within messages; each `If` takes four.
    private static let maximumMessageDepth = 100
    private static let maximumNodes = 1 << 20

    let proto: ONNXModelProto
    let folder: String?
    let name: String

    /// - Throws: `ImportError.unreadable`, `ImportError.malformed`.
    package init(path: String) throws {
        let url = URL(fileURLWithPath: path)
        let data: Data
        do { data = try Data(contentsOf: url, options: .mappedIfSafe) } catch {
            throw ImportError.unreadable(path: path, reason: "cannot be read")
        }
        try self.init(
            data, name: url.deletingPathExtension().lastPathComponent, folder: url.deletingLastPathComponent().path)
    }

    /// - Parameter folder: where external data may stand; nil if nowhere.
    package init(_ data: Data, name: String, folder: String? = nil) throws {
        var options = BinaryDecodingOptions()
        options.messageDepthLimit = Self.maximumMessageDepth
        options.discardUnknownFields = true
        do { proto = try ONNXModelProto(serializedBytes: data, options: options) } catch {
            throw ImportError.malformed("the protocol buffer cannot be decoded (\(error))")
        }
        guard !proto.graph.node.isEmpty || !proto.graph.output.isEmpty else {
            throw ImportError.malformed("there is no graph in it")
        }
        guard proto.graph.node.count <= Self.maximumNodes else {
            throw ImportError.malformed("there are \(proto.graph.node.count) nodes, more than any network has")
        }
        self.name = name
        self.folder = folder
    }

    /// The network. Preprocessing and interpretation are not part of an ONNX file; they are guessed where the network is of a
    /// known family (`InterpretationGuess`), and left open else.
    ///
    /// - Throws: `ImportError`.
    package func model(_ options: Options = Options()) throws -> Model {
        var importer = GraphImporter(decoder: TensorDecoder(folder: folder), versions: versions)
        try addInputs(&importer, options)
        do {
            try importer.importBody(proto.graph)
            let outputs = try importer.outputs(proto.graph)
            let named = zip(proto.graph.output, outputs).map { (name: $0.name, id: $1) }
            let graph = QuantizationFolding.folded(try importer.builder.finish(named: named))
            var model = Model(name: name, graph: graph)
            InterpretationGuess.complete(&model)
            return model
        } catch let error as GraphError {
            throw ImportError.malformed("\(error)")
        }
    }

    /// Inputs that are no initializers, with the shape as the file has it: "?" or a name where it is open.
    package var inputs: [(name: String, shape: [String])] {
        declaredInputs.map { input in
            (input.name, input.type.tensorType.shape.dim.map { Self.extent($0).map(String.init) ?? Self.label($0) })
        }
    }

    private var versions: [String: Int] {
        var versions: [String: Int] = [:]
        for entry in proto.opsetImport {
            versions[entry.domain == "ai.onnx" ? "" : entry.domain] = Int(clamping: entry.version)
        }
        // The first files had no operator sets.
        if versions[""] == nil { versions[""] = 1 }
        return versions
    }

    private var declaredInputs: [ONNXValueInfoProto] {
        let initializers = Set(proto.graph.initializer.map(\.name))
        return proto.graph.input.filter { !initializers.contains($0.name) }
    }

    private static func extent(_ dimension: ONNXTensorShapeProto.Dimension) -> Int? {
        guard case .dimValue(let value)? = dimension.value, value > 0, value <= 1 << 31 else { return nil }
        return Int(value)
    }

    private static func label(_ dimension: ONNXTensorShapeProto.Dimension) -> String {
        guard case .dimParam(let name)? = dimension.value, !name.isEmpty else { return "?" }
        return name
    }

    private func addInputs(_ importer: inout GraphImporter, _ options: Options) throws {
        let known = declaredInputs.map(\.name)
        for name in Array(options.shapes.keys) + options.constants.keys where !known.contains(name) {
            throw ImportError.unknownInput(name, known: known)
        }
        var open: [(input: String, shape: String)] = []
        for input in declaredInputs {
            guard importer.scope[input.name] == nil else {
                throw ImportError.malformed("input \(input.name) is there twice")
            }
            if let tensor = options.constants[input.name] {
                importer.scope[input.name] = .some(importer.builder.addConstant(input.name, tensor))
                continue
            }
            guard case .tensorType(let type)? = input.type.value, let element = ONNXElement(rawValue: type.elemType),
                !element.isPacked
            else {
                throw ImportError.malformed("input \(input.name) is not a tensor of a supported element type")
            }
            guard let shape = try shape(of: input, options) else {
                let written = type.shape.dim.map { Self.extent($0).map(String.init) ?? Self.label($0) }
                open.append((input.name, type.hasShape ? written.joined(separator: ", ") : "?"))
                continue
            }
            do {
                importer.scope[input.name] = .some(try importer.builder.addInput(input.name, element.type, shape))
            } catch let error as GraphError { throw ImportError.malformed("input \(input.name): \(error)") }
        }
        if !open.isEmpty { throw ImportError.openShapes(open) }
    }

    /// Nil when it stays open.
    private func shape(of input: ONNXValueInfoProto, _ options: Options) throws -> Shape? {
        if let shape = options.shapes[input.name] { return shape }
        guard input.type.tensorType.hasShape else { return nil }
        var dimensions: [Int] = []
        for (axis, dimension) in input.type.tensorType.shape.dim.enumerated() {
            guard let extent = Self.extent(dimension) ?? (axis == 0 ? 1 : nil) else { return nil }
            dimensions.append(extent)
        }
        return Shape(dimensions)
    }
}
