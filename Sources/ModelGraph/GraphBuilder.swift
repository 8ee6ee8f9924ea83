// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Makes a graph node by node: infers each output and computes at once what depends on constants only.
package struct GraphBuilder: Sendable {
    /// A folded result may be this large, or as large as what it is made of: chains of shapes and reordered weights are
    /// folded, a few numbers that expand to a map are left to the one who runs the graph.
    private static let maximumFoldedBytes = 1 << 20

    package private(set) var graph = Graph()

    package init() {}

    package mutating func addInput(
        _ name: String, _ type: ElementType, _ shape: Shape, quantization: QuantizationParameters? = nil
    ) throws -> ValueID {
        try TensorType(type, shape).checked()
        let id = graph.addValue(Value(name: name, type: type, shape: shape, quantization: quantization))
        graph.inputs.append(id)
        return id
    }

    package mutating func addConstant(
        _ name: String, _ tensor: Tensor, quantization: QuantizationParameters? = nil
    ) -> ValueID { graph.addConstant(name, tensor, quantization: quantization) }

    package func value(_ id: ValueID) -> Value { graph[id] }

    /// The tensor of a value that does not depend on inputs; nil for others.
    package func constant(_ id: ValueID) -> Tensor? { graph.constants[id] }

    /// Adds a node, or only its results as constants if all inputs are constant.
    ///
    /// - Parameters:
    ///   - outputs: names of the outputs, nil for those that are not wanted.
    ///   - stored: type and parameters of the first output when it is quantized. Without them, results of operators that
    ///     only move elements are stored as their input is, all others as plain numbers.
    /// - Returns: the values of the outputs, nil where none is wanted.
    /// - Throws: `GraphError` when operator and inputs do not fit.
    package mutating func add(
        _ name: String, _ operation: Operator, _ inputs: [ValueID?], outputs: [String?],
        stored: (type: ElementType, quantization: QuantizationParameters)? = nil
    ) throws -> [ValueID?] {
        let values = inputs.map { $0.map { graph[$0] } }
        let isQuantized = stored != nil || values.contains { $0?.quantization != nil }
        if !isQuantized, let folded = try fold(operation, inputs) {
            return zip(outputs, folded).map { name, tensor in name.map { graph.addConstant($0, tensor) } }
        }
        let types = try operation.outputTypes(values.map { $0.map(\.meant) })
        guard outputs.count <= types.count else {
            throw GraphError.unsuitable(operation: operation.name, reason: "has no \(outputs.count) outputs")
        }
        let passed = passedQuantization(operation, values.compactMap { $0 })
        let ids = zip(outputs, types).enumerated().map { index, output -> ValueID? in
            guard let name = output.0 else { return nil }
            let plain = Value(name: name, type: output.1.type, shape: output.1.shape)
            // The indices of a max pool stay plain.
            guard let form = index == 0 ? stored ?? passed : passed, plain.type == .float32 else {
                return graph.addValue(plain)
            }
            return graph.addValue(
                Value(name: name, type: form.type, shape: plain.shape, quantization: form.quantization))
        }
        graph.nodes.append(Node(name, operation, inputs: inputs, outputs: ids))
        return ids
    }

    /// The same stored elements read under other parameters, or as plain integers.
    package mutating func reinterpret(_ id: ValueID, as quantization: QuantizationParameters?) -> ValueID {
        let value = graph[id]
        if value.quantization == quantization { return id }
        if let tensor = graph.constants[id] {
            return graph.addConstant(value.name, tensor, quantization: quantization)
        }
        let result = graph.addValue(
            Value(name: value.name, type: value.type, shape: value.shape, quantization: quantization))
        graph.nodes.append(Node("\(value.name) as stored", .reinterpret, inputs: [id], outputs: [result]))
        return result
    }

    package mutating func rename(_ id: ValueID, _ name: String) { graph[id].name = name }

    /// The graph with these outputs, without what they do not need. Inputs stay even when unused.
    package func finish(outputs: [ValueID]) throws -> Graph {
        var result = graph
        result.outputs = outputs
        result.removeUnused()
        try result.validate()
        return result
    }

    private func passedQuantization(
        _ operation: Operator, _ values: [Value]
    ) -> (type: ElementType, quantization: QuantizationParameters)? {
        guard operation.movesElements, let first = values.first, let quantization = first.quantization,
            quantization.axis == nil
        else { return nil }
        if case .concat = operation,
            !values.allSatisfy({ $0.quantization == quantization && $0.type == first.type })
        {
            return nil
        }
        return (first.type, quantization)
    }

    private func fold(_ operation: Operator, _ inputs: [ValueID?]) throws -> [Tensor]? {
        let tensors = inputs.map { $0.flatMap { graph.constants[$0] } }
        guard zip(inputs, tensors).allSatisfy({ $0 == nil || $1 != nil }) else { return nil }
        switch operation {
        case .nonMaxSuppression, .nonZero: break
        default:
            let types = try operation.outputTypes(tensors.map { $0.map { TensorType($0.type, $0.shape) } })
            let read = tensors.reduce(0) { $0 + ($1.map { $0.count * $0.type.sizeBytes } ?? 0) }
            let written = types.reduce(0) { $0 + $1.shape.count * $1.type.sizeBytes }
            guard written <= max(read, Self.maximumFoldedBytes) else { return nil }
        }
        return try ReferenceEvaluator.evaluate(operation, tensors)
    }
}

extension Graph {
    /// Removes nodes whose results nobody reads, then values that nothing mentions, and numbers the rest anew.
    package mutating func removeUnused() {
        var needed = Set(outputs)
        var kept: [Node] = []
        for node in nodes.reversed() where node.outputs.contains(where: { $0.map(needed.contains) ?? false }) {
            kept.append(node)
            for case let input? in node.inputs { needed.insert(input) }
        }
        nodes = kept.reversed()
        var mentioned = needed.union(inputs)
        for node in nodes { mentioned.formUnion(node.outputs.compactMap { $0 }) }
        var numbers: [ValueID: ValueID] = [:]
        var remaining: [Value] = []
        for index in values.indices where mentioned.contains(ValueID(index)) {
            numbers[ValueID(index)] = ValueID(remaining.count)
            remaining.append(values[index])
        }
        func renumbered(_ id: ValueID) -> ValueID {
            guard let number = numbers[id] else { preconditionFailure("a value that is mentioned was dropped") }
            return number
        }
        constants = constants.reduce(into: [:]) { result, entry in
            if let id = numbers[entry.key] { result[id] = entry.value }
        }
        for index in nodes.indices {
            nodes[index].inputs = nodes[index].inputs.map { $0.map(renumbered) }
            nodes[index].outputs = nodes[index].outputs.map { $0.map(renumbered) }
        }
        inputs = inputs.map(renumbered)
        outputs = outputs.map(renumbered)
        values = remaining
    }
}
