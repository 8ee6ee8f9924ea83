// SPDX-License-Identifier: Apache-2.0
import Tensors

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The JSON part of a `.bsm` file, with keys in alphabetical order.
///
/// Values are referred to by their index in `values`. Of a value that a node computes only its quantization is stored:
/// type and shape follow from the operator. Attributes of operators have the names of their Swift types; infinities are
/// the strings `inf` and `-inf`.
struct ModelManifest: Encodable {
    struct Value: Encodable {
        /// Of inputs, outputs and constants; others are called as the node that computes them.
        var name: String?
        /// Code of the element type (`ElementType`). Of inputs, constants and whatever is quantized.
        var type: ElementType?
        /// Of inputs and constants.
        var shape: Shape?
        /// Offset of a constant's elements in the data.
        var at: Int?
        /// One scale and zero point for the whole tensor.
        var scale: Float?
        var zero: Int32?
        /// One scale and zero point per index of an axis.
        var channels: Channels?
        /// True when the parameters follow from those of the inputs of the node that computes it
        /// (`Graph.passedQuantization`), and the type is the first input's.
        var passed: Bool?
    }

    /// Scales stand at `at` in the data, one after the other, zero points behind them. In JSON a list of `axis`, `count`,
    /// `at`, `scaleBytes` and `zeroBytes`; read as an object too.
    struct Channels: Encodable {
        var axis: Int
        var count: Int
        var at: Int
        /// Bytes per scale: 4 for float32, 2 for its upper half when the lower half is zero in all of them, 0 when all
        /// are 1.
        var scaleBytes: Int
        /// Bytes per zero point: 0 when all are zero, 1 when all are in 0...255, else 4.
        var zeroBytes: Int

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            for number in [axis, count, at, scaleBytes, zeroBytes] { try list.encode(number) }
        }
    }

    struct Node: Encodable {
        var name: String
        var op: Operator
        var `in`: [Int?]
        var out: [Int?]
        var kernel: KernelHint?
        /// `Node.meansFloats`, left out where it is false.
        var floats: Bool?
    }

    var name: String
    var labels: [String]
    var preprocessing: [String: ImagePreprocessing]
    var interpretation: OutputInterpretation?
    var quantization: QuantizationReport?
    var values: [Value]
    var nodes: [Node]
    var inputs: [Int]
    var outputs: [Int]

    // MARK: JSON

    private static let infinities = (positive: "inf", negative: "-inf", nan: "nan")

    func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: Self.infinities.positive, negativeInfinity: Self.infinities.negative,
            nan: Self.infinities.nan)
        return try encoder.encode(self)
    }

    // MARK: From a model

    init(_ model: Model, into data: inout DataSection) throws {
        let graph = model.graph
        name = model.name
        labels = model.labels
        preprocessing = model.preprocessing
        interpretation = model.interpretation
        quantization = model.quantization
        let ends = Set(graph.inputs + graph.outputs)
        let isInput = Set(graph.inputs)
        let passed = Self.passedValues(graph)
        values = []
        for (index, value) in graph.values.enumerated() {
            let id = ValueID(index)
            let constant = graph.constants[id]
            var entry = Value()
            if ends.contains(id) || constant != nil && !value.name.isEmpty { entry.name = value.name }
            if isInput.contains(id) || constant != nil { entry.shape = value.shape }
            if passed.contains(id) {
                entry.passed = true
                values.append(entry)
                continue
            }
            if entry.shape != nil || value.quantization != nil { entry.type = value.type }
            entry.at = constant.map { data.append($0) }
            if let quantization = value.quantization {
                if let axis = quantization.axis {
                    entry.channels = Channels(quantization, axis: axis, into: &data)
                } else {
                    entry.scale = quantization.scales[0]
                    entry.zero = quantization.zeroPoints[0]
                }
            }
            values.append(entry)
        }
        nodes = graph.nodes.map { node in
            Node(
                name: node.name, op: node.operation, in: node.inputs.map { $0?.index },
                out: node.outputs.map { $0?.index }, kernel: node.kernel, floats: node.meansFloats ? true : nil)
        }
        inputs = graph.inputs.map(\.index)
        outputs = graph.outputs.map(\.index)
    }

    /// Values whose type and parameters follow from the node that computes them.
    private static func passedValues(_ graph: Graph) -> Set<ValueID> {
        var result: Set<ValueID> = []
        for node in graph.nodes {
            guard let first = node.inputs.first.flatMap({ $0 }) else { continue }
            for (position, output) in node.outputs.enumerated() {
                guard let output, let quantization = graph[output].quantization,
                    graph[output].type == graph[first].type,
                    graph.passedQuantization(node, to: position) == quantization
                else { continue }
                result.insert(output)
            }
        }
        return result
    }

    // MARK: To a model

    func model(data: UnsafeRawBufferPointer, owner: AnyObject, isKnown: Bool) throws -> Model {
        let graph = try graph(data: data, owner: owner)
        let model = Model(
            name: name, graph: graph, preprocessing: preprocessing, interpretation: interpretation, labels: labels,
            quantization: quantization)
        if isKnown { return model }
        do { try model.validate() } catch let error as GraphError { throw ModelFile.Fault.malformed("\(error)") }
        return model
    }

    private func graph(data: UnsafeRawBufferPointer, owner: AnyObject) throws -> Graph {
        var graph = Graph()
        graph.values = try values.map { entry in
            // Shapes of values that nodes compute are filled in below; what these follow from must not overflow.
            do { try TensorType(entry.type ?? .float32, entry.shape ?? []).checked() } catch {
                throw ModelFile.Fault.malformed("value \(entry.name ?? ""): \(error)")
            }
            return ModelGraph.Value(
                name: entry.name ?? "", type: entry.type ?? .float32, shape: entry.shape ?? [],
                quantization: try quantization(entry, data))
        }
        for (index, entry) in values.enumerated() {
            if let offset = entry.at {
                graph.constants[ValueID(index)] = try constant(entry, at: offset, data, owner)
            }
        }
        graph.inputs = inputs.map { ValueID($0) }
        graph.outputs = outputs.map { ValueID($0) }
        graph.nodes = nodes.map { node in
            ModelGraph.Node(
                node.name, node.op, inputs: node.in.map { $0.map { ValueID($0) } },
                outputs: node.out.map { $0.map { ValueID($0) } }, kernel: node.kernel,
                meansFloats: node.floats ?? false)
        }
        do {
            try fillShapes(&graph)
            return graph
        } catch let error as GraphError { throw ModelFile.Fault.malformed("\(error)") }
    }

    private func fillShapes(_ graph: inout Graph) throws {
        var known = Set(graph.inputs).union(graph.constants.keys)
        for node in graph.nodes {
            for case let input? in node.inputs
            where !known.contains(input) || !graph.values.indices.contains(input.index) {
                throw GraphError.inconsistent("node \(node.name) reads a value that is not computed before it")
            }
            let types = try node.operation.outputTypes(node.inputs.map { $0.map { graph[$0].meant } })
            guard node.outputs.count <= types.count else {
                throw GraphError.inconsistent("node \(node.name) has too many outputs")
            }
            for (position, (output, type)) in zip(node.outputs, types).enumerated() {
                guard let output else { continue }
                guard graph.values.indices.contains(output.index), known.insert(output).inserted else {
                    throw GraphError.inconsistent("node \(node.name) has an output that is not its own")
                }
                graph[output].shape = type.shape
                if values[output.index].name == nil { graph[output].name = node.name }
                if values[output.index].passed ?? false {
                    guard let source = node.inputs.first.flatMap({ $0 }),
                        let quantization = graph.passedQuantization(node, to: position)
                    else { throw GraphError.inconsistent("node \(node.name) has no parameters to pass on") }
                    graph[output].type = graph[source].type
                    graph[output].quantization = quantization
                } else if values[output.index].type == nil {
                    graph[output].type = storedType(node, type, graph)
                }
            }
        }
    }

    /// Type of an output of which the file says nothing: what the operator gives; `reinterpret` keeps the stored type.
    private func storedType(_ node: ModelGraph.Node, _ type: TensorType, _ graph: Graph) -> ElementType {
        guard case .reinterpret = node.operation, let first = node.inputs.first, let source = first else {
            return type.type
        }
        return graph[source].type
    }

    private func constant(
        _ entry: Value, at offset: Int, _ data: UnsafeRawBufferPointer, _ owner: AnyObject
    ) throws -> Tensor {
        guard let type = entry.type, let shape = entry.shape else {
            throw ModelFile.Fault.malformed("a constant without type or shape")
        }
        do { try TensorType(type, shape).checked() } catch {
            throw ModelFile.Fault.malformed("constant \(entry.name ?? ""): \(error)")
        }
        let size = shape.count * type.sizeBytes
        guard offset >= 0, offset % 8 == 0, offset <= data.count, size <= data.count - offset else {
            throw ModelFile.Fault.malformed("constant \(entry.name ?? "") reaches outside the file")
        }
        guard size > 0 else { return Tensor(type, shape) }
        if type == .bool && data[offset..<(offset + size)].contains(where: { $0 > 1 }) {
            throw ModelFile.Fault.malformed("constant \(entry.name ?? "") holds what is no bool")
        }
        return Tensor(
            type, shape,
            Buffer(borrowing: UnsafeRawBufferPointer(rebasing: data[offset..<(offset + size)]), owner: owner))
    }

    private func quantization(_ entry: Value, _ data: UnsafeRawBufferPointer) throws -> QuantizationParameters? {
        if let channels = entry.channels { return try channels.parameters(data) }
        guard let scale = entry.scale else { return nil }
        return QuantizationParameters(scale: scale, zeroPoint: entry.zero ?? 0)
    }
}

extension ModelManifest.Channels {
    init(_ quantization: QuantizationParameters, axis: Int, into data: inout DataSection) {
        let (scales, zeros) = (quantization.scales.map(\.bitPattern), quantization.zeroPoints)
        self.axis = axis
        count = scales.count
        scaleBytes =
            quantization.scales.allSatisfy { $0 == 1 } ? 0 : scales.allSatisfy { $0 & 0xffff == 0 } ? 2 : 4
        zeroBytes = zeros.allSatisfy { $0 == 0 } ? 0 : zeros.allSatisfy { (0...255).contains($0) } ? 1 : 4
        var bytes: [UInt8] = []
        for scale in scales {
            // The upper half comes last in little-endian order.
            withUnsafeBytes(of: scale.littleEndian) { [scaleBytes] in bytes.append(contentsOf: $0.suffix(scaleBytes)) }
        }
        for zero in zeros {
            withUnsafeBytes(of: zero.littleEndian) { [zeroBytes] in bytes.append(contentsOf: $0.prefix(zeroBytes)) }
        }
        at = data.append(bytes)
    }

    func parameters(_ data: UnsafeRawBufferPointer) throws -> QuantizationParameters {
        guard scaleBytes == 0 || scaleBytes == 2 || scaleBytes == 4, zeroBytes == 0 || zeroBytes == 1 || zeroBytes == 4,
            count > 0,
            count <= data.count, at >= 0, at <= data.count, count * (scaleBytes + zeroBytes) <= data.count - at
        else { throw ModelFile.Fault.malformed("quantization parameters reach outside the file") }
        let start = at + count * scaleBytes
        let scales: [Float] =
            switch scaleBytes {
            case 4: (0..<count).map { Float(bitPattern: data.number(at + $0 * 4, UInt32.self)) }
            case 2: (0..<count).map { Float(bitPattern: UInt32(data.number(at + $0 * 2, UInt16.self)) << 16) }
            default: [Float](repeating: 1, count: count)
            }
        let zeros: [Int32] =
            switch zeroBytes {
            case 1: data[start..<start + count].map(Int32.init)
            case 4: (0..<count).map { data.number(start + $0 * 4, Int32.self) }
            default: [Int32](repeating: 0, count: count)
            }
        return QuantizationParameters(scales: scales, zeroPoints: zeros, axis: axis)
    }
}

extension Model {
    /// Checks the graph, and that what is said about inputs and outputs fits it.
    package func validate() throws {
        try graph.validate()
        func require(_ condition: Bool, _ reason: String) throws {
            guard condition else { throw GraphError.inconsistent(reason) }
        }
        for (name, preprocessing) in preprocessing {
            guard let id = graph.input(named: name) else {
                throw GraphError.inconsistent("preprocessing for \(name), which is no input")
            }
            let shape = graph[id].shape
            let channels = preprocessing.channelOrder == .gray ? 1 : 3
            try require(
                shape.rank == 4 && InterpretationGuess.channels(of: shape) == channels,
                "input \(name) of shape \(shape) cannot take such images")
            try require(
                preprocessing.mean.count == channels && preprocessing.scale.count == channels,
                "preprocessing of \(name) needs \(channels) means and scales")
            try require(
                (preprocessing.mean + preprocessing.scale).allSatisfy(\.isFinite),
                "preprocessing of \(name) is not finite")
        }
        for name in interpretation?.outputs ?? [] {
            try require(graph.output(named: name) != nil, "the interpretation names \(name), which is no output")
        }
    }
}

extension OutputInterpretation {
    /// The outputs that it reads.
    package var outputs: [String] {
        switch self {
        case .grid(let head): [head.output]
        case .boxesAndScores(let head): [head.boxes, head.scores] + [head.classes].compactMap { $0 }
        case .anchorFree(let head): head.levels.flatMap { [$0.scores, $0.boxes] + [$0.objectness].compactMap { $0 } }
        case .cellMap(let head): [head.output]
        case .classification(let head): [head.output]
        }
    }
}
