// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Makes a graph node by node: infers each output and computes at once what depends on constants only.
package struct GraphBuilder: Sendable {
    /// A folded result may be this large, or as large as what it is made of: chains of shapes and reordered weights are
    /// folded, a few numbers that expand to a map are left to the one who runs the graph.
    private static let maximumFoldedBytes = 1 << 20
    /// What folded results may take together, beside a multiple of what the file holds; then only small ones are folded.
    private static let foldingBudgetBytes = 1 << 26
    private static let foldingBudgetFactor = 4
    private static let smallBytes = 1 << 12
    /// Products that one folded node may sum up.
    private static let maximumFoldedProducts = 1 << 27

    private var foldedBytes = 0
    private var constantBytes = 0
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
    ) -> ValueID {
        constantBytes += tensor.count * tensor.type.sizeBytes
        return graph.addConstant(name, tensor, quantization: quantization)
    }

    private var budgetBytes: Int { Self.foldingBudgetBytes + Self.foldingBudgetFactor * constantBytes - foldedBytes }

    /// Announces a constant that is not in the file but computed by the importer.
    ///
    /// - Throws: `GraphError.inconsistent` when such constants take too much memory.
    package mutating func spend(bytes: Int) throws {
        guard bytes <= budgetBytes else { throw GraphError.inconsistent("computed constants take too much memory") }
        // Added to the constants later, it must not widen the budget.
        foldedBytes += bytes * (1 + Self.foldingBudgetFactor)
    }

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

    /// The graph with these outputs, without what they do not need. Inputs stay even when unused.
    package func finish(outputs: [ValueID]) throws -> Graph {
        var result = graph
        result.outputs = outputs
        result.removeUnused()
        try result.validate()
        return result
    }

    /// The graph with outputs of the given names, each a value of its own: two may be the same value, or an input.
    package mutating func finish(named outputs: [(name: String, id: ValueID)]) throws -> Graph {
        var taken = Set<ValueID>(graph.inputs)
        var named: [ValueID] = []
        for (name, output) in outputs {
            var id = output
            if graph[id].name != name {
                if taken.contains(id) || graph.constants[id] != nil {
                    id = copy(id, name: name)
                } else {
                    graph[id].name = name
                }
            }
            taken.insert(id)
            named.append(id)
        }
        return try finish(outputs: named)
    }

    /// The same numbers as a value of their own.
    private mutating func copy(_ id: ValueID, name: String) -> ValueID {
        let value = graph[id]
        let result = graph.addValue(
            Value(name: name, type: value.type, shape: value.shape, quantization: value.quantization))
        graph.nodes.append(Node(name, .reshape(value.shape), inputs: [id], outputs: [result]))
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

    private mutating func fold(_ operation: Operator, _ inputs: [ValueID?]) throws -> [Tensor]? {
        let tensors = inputs.map { $0.flatMap { graph.constants[$0] } }
        guard zip(inputs, tensors).allSatisfy({ $0 == nil || $1 != nil }) else { return nil }
        switch operation {
        case .nonMaxSuppression, .nonZero: break
        default:
            let types = try operation.outputTypes(tensors.map { $0.map { TensorType($0.type, $0.shape) } })
            let read = tensors.reduce(0) { $0 + ($1.map { $0.count * $0.type.sizeBytes } ?? 0) }
            let written = types.reduce(0) { $0 + $1.shape.count * $1.type.sizeBytes }
            guard written <= max(read, Self.maximumFoldedBytes),
                written <= Self.smallBytes || written <= budgetBytes,
                Self.products(operation, tensors, types[0].shape) <= Self.maximumFoldedProducts
            else { return nil }
            foldedBytes += written
        }
        return try ReferenceEvaluator.evaluate(operation, tensors)
    }
}

extension GraphBuilder {
    /// How many products an operator sums up; zero for those that do not.
    private static func products(_ operation: Operator, _ tensors: [Tensor?], _ result: Shape) -> Int {
        switch operation {
        case .convolution, .convolutionInteger, .transposedConvolution:
            guard tensors.count > 1, let weight = tensors[1], weight.shape.rank > 0 else { return 0 }
            return result.count.multipliedReportingOverflow(by: weight.count / max(weight.shape[0], 1)).partialValue
        case .matMul, .matMulInteger, .gemm:
            guard let a = tensors.first.flatMap({ $0 }) else { return 0 }
            let inner = a.shape.dimensions.max() ?? 1
            return result.count.multipliedReportingOverflow(by: inner).partialValue
        case .recurrent:
            guard tensors.count > 2, let x = tensors[0], let weights = tensors[1], let recurrence = tensors[2] else {
                return 0
            }
            return x.count.multipliedReportingOverflow(by: weights.count + recurrence.count).partialValue
        default: return 0
        }
    }
}

extension Graph {
    /// Removes nodes whose results nobody reads, then values that nothing mentions, and numbers the rest anew.
    package mutating func removeUnused() {
        var isMentioned = [Bool](repeating: false, count: values.count)
        for id in outputs { isMentioned[id.index] = true }
        var kept: [Node] = []
        for node in nodes.reversed() where node.outputs.contains(where: { $0.map { isMentioned[$0.index] } ?? false }) {
            kept.append(node)
            for case let input? in node.inputs { isMentioned[input.index] = true }
        }
        nodes = kept.reversed()
        for id in inputs { isMentioned[id.index] = true }
        for node in nodes {
            for case let output? in node.outputs { isMentioned[output.index] = true }
        }
        if !isMentioned.contains(false) { return }
        var numbers: [ValueID?] = []
        var remaining: [Value] = []
        for (index, value) in values.enumerated() {
            numbers.append(isMentioned[index] ? ValueID(remaining.count) : nil)
            if isMentioned[index] { remaining.append(value) }
        }
        func renumbered(_ id: ValueID) -> ValueID {
            guard let number = numbers[id.index] else { preconditionFailure("a value that is mentioned was dropped") }
            return number
        }
        constants = constants.reduce(into: [:]) { result, entry in
            if let id = numbers[entry.key.index] { result[id] = entry.value }
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
