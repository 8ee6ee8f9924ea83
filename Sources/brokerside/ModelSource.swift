// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Inference
import ModelGraph
import ONNX
import TFLite
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Foundation
#endif

/// A network's file, of whichever kind.
struct ModelSource {
    let path: String

    private enum Kind { case onnx, tflite, model }

    private var kind: Kind {
        let path = path.lowercased()
        return path.hasSuffix(".onnx") ? .onnx : path.hasSuffix(".tflite") ? .tflite : .model
    }

    /// Whether it is a file of another program.
    var isForeign: Bool { kind != .model }

    /// The network with shapes as the caller gives them, and open ones as far as they have a default.
    func load(shapes: [String: Shape] = [:]) throws -> Model {
        switch kind {
        case .onnx: return try ONNXFile(path: path).model(.init(shapes: shapes))
        case .tflite: return try TFLiteFile(path: path).model(shapes: shapes)
        case .model: return try ModelFile.read(path)
        }
    }

    /// The network ready to run; of a model file with what the cache knows of it.
    ///
    /// - Parameter inputs: that one run takes; nil: as many as the network does.
    func compile(inputs: Int?, threads: Int, cache: PlanCache) throws -> CompiledModel {
        guard kind == .model else {
            let model = try load()
            return try CompiledModel(model, batch: model.items(for: inputs), threads: threads)
        }
        let contents = try cache.read(path)
        return try CompiledModel(
            contents.model, batch: contents.model.items(for: inputs), threads: threads,
            slot: cache.slot(for: contents))
    }

    /// The network for inputs that are known: they fix open shapes, and where shapes inside the network depend on the
    /// values of an input, these become part of it.
    func load(for inputs: [String: Tensor]) throws -> Model {
        let shapes = inputs.mapValues(\.shape)
        guard kind == .onnx else { return try load(shapes: shapes) }
        let file = try ONNXFile(path: path)
        // Small integers are what shapes are made of; everything is the last resort.
        let attempts = [[:], inputs.filter { $0.value.type != .float32 && $0.value.type != .float64 }, inputs]
        for constants in attempts.dropLast() {
            do { return try file.model(.init(shapes: shapes, constants: constants)) } catch ImportError.unsupported(
                let nodes)
                where nodes.contains(where: \.needsConstants)
            { continue }
        }
        return try file.model(.init(shapes: shapes, constants: inputs))
    }
}

/// `NAME=VALUE` on the command line. The name may contain `=`; the value is what follows the last one.
struct Assignment: ExpressibleByArgument {
    let name: String
    let value: String

    init?(argument: String) {
        guard let separator = argument.lastIndex(of: "="), separator > argument.startIndex else { return nil }
        name = String(argument[..<separator])
        value = String(argument[argument.index(after: separator)...])
    }
}

/// An error that is shown as it is, with exit status 1.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Shows errors of the libraries as they are.
func reported<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch { throw Failure("\(error)") }
}
