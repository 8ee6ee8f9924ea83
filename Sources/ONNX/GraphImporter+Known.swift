// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension GraphImporter {
    /// Operators whose result is known at import because all shapes are.
    mutating func addKnown(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        switch kind {
        case .shape:
            let shape = shape(try node.input(0))
            func bound(_ value: Int) -> Int { min(max(value < 0 ? value + shape.rank : value, 0), shape.rank) }
            let (start, end) = (bound(node.int("start", default: 0)), bound(node.int("end", default: shape.rank)))
            let extents = shape.dimensions[start..<max(start, end)].map(Int64.init)
            return [constant(node, Tensor([extents.count], extents))]
        case .size: return [constant(node, Tensor([], [Int64(shape(try node.input(0)).count)]))]
        case .constant:
            let id = constant(node, try constantTensor(node))
            if let proto = node.tensor("value") { note(id, proto) }
            return [id]
        case .constantOfShape:
            let dimensions = try integers(node, 0)
            guard dimensions.allSatisfy({ $0 >= 0 }) else { throw Unsupported("a negative extent") }
            let element = try node.tensor("value").map { try decoder.decode($0) } ?? Tensor([1], [Float(0)])
            guard element.count == 1 else { throw Unsupported("value must be one number") }
            let operation = Operator.expand(Shape(dimensions))
            let single = constant(node, element.reshaped(to: [1]))
            guard dimensions.isEmpty else { return try add(node, operation, [single]) }
            return [try step(node, .reshape([]), [single])]
        case .range:
            let tensor = try range(node)
            return [constant(node, tensor)]
        case .ifOperator: return try addIf(node)
        default: preconditionFailure("\(kind) is not known at import")
        }
    }

    private func constantTensor(_ node: NodeReader) throws -> Tensor {
        if let tensor = node.tensor("value") { return try decoder.decode(tensor) }
        if let number = node.float("value_float") { return Tensor([], [number]) }
        if let number = node.int("value_int") { return Tensor([], [Int64(number)]) }
        if let numbers = node.floats("value_floats") { return Tensor([numbers.count], numbers) }
        if let numbers = node.ints("value_ints") { return Tensor([numbers.count], numbers.map(Int64.init)) }
        throw Unsupported("a constant that is neither a tensor nor numbers")
    }

    private mutating func range(_ node: NodeReader) throws -> Tensor {
        let tensors = try (0..<3).map { try constant(node, $0) }
        let type = tensors[0].type
        guard tensors.allSatisfy({ $0.count == 1 && $0.type == type }) else {
            throw Unsupported("start, limit and delta must be three numbers of one type")
        }
        let bounds = try tensors.map {
            try ReferenceEvaluator.evaluate(.cast(to: .float64), [$0])[0].array(of: Double.self)[0]
        }
        let steps = ((bounds[1] - bounds[0]) / bounds[2]).rounded(.up)
        guard steps.isFinite, steps <= Double(1 << 22) else { throw Unsupported("a range of \(steps) elements") }
        try builder.spend(bytes: Int(max(steps, 0)) * MemoryLayout<Double>.size)
        // Each element is start + index * delta, as the specification defines it.
        let values = (0..<Int(max(steps, 0))).map { bounds[0] + Double($0) * bounds[2] }
        return try ReferenceEvaluator.evaluate(.cast(to: type), [Tensor([values.count], values)])[0]
    }

    /// The branch that the condition names, if it is known; else both, and a choice between their results.
    private mutating func addIf(_ node: NodeReader) throws -> [ValueID?] {
        guard depth < Self.maximumDepth else { throw Unsupported("nested too deeply") }
        guard let positive = node.subgraph("then_branch"), let negative = node.subgraph("else_branch") else {
            throw Unsupported("a branch is missing")
        }
        let condition = try node.input(0)
        if let known = builder.constant(condition) {
            return try addBranch(try scalar(known) != 0 ? positive : negative)
        }
        let (first, second) = (try addBranch(positive), try addBranch(negative))
        guard first.count == second.count else { throw Unsupported("the branches have different outputs") }
        return try zip(first, second).map { a, b in
            guard let a, let b else { return nil }
            guard value(a).meant == value(b).meant, value(condition).shape.count == 1 else {
                throw Unsupported("the branches give \(value(a).meant) and \(value(b).meant)", needsConstants: true)
            }
            let choice = try step(node, .reshape([]), [condition])
            return try step(node, .select, [choice, a, b])
        }
    }

    private mutating func addBranch(_ graph: ONNXGraphProto) throws -> [ValueID?] {
        let (outer, faults) = (scope, unsupported.count)
        depth += 1
        defer {
            scope = outer
            depth -= 1
        }
        try importBody(graph)
        let outputs = graph.output.map { scope[$0.name] ?? nil }
        if outputs.contains(where: { $0 == nil }) {
            if unsupported.count > faults {
                throw Unsupported("a node in a branch is not supported", needsConstants: true)
            }
            throw ImportError.malformed("a branch of an If has an output that is never computed")
        }
        return outputs
    }
}
