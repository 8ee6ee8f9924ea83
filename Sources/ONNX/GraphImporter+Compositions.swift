// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Operators that a graph does not have because a few others make them up.
extension GraphImporter {
    mutating func addComposition(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        switch kind {
        case .lpNormalization: return try addNormalization(node, x)
        case .meanVarianceNormalization: return try addMeanVariance(node, x)
        case .rmsNormalization: return try addRootMeanSquare(node, x)
        case .swish, .quickGelu:
            let alpha = node.float("alpha", default: kind == .swish ? 1 : 1.702)
            let gate = alpha == 1 ? x : try step(node, .binary(.multiply), [x, number(node, alpha)])
            return try add(node, .binary(.multiply), [x, try step(node, .unary(.sigmoid), [gate])])
        case .fastGelu, .biasGelu:
            let sum = try node.optionalInput(1).map { try step(node, .binary(.add), [x, $0]) } ?? x
            return try add(node, .unary(.gelu(approximatesWithTanh: kind == .fastGelu)), [sum])
        case .fusedMatMul:
            let a = try transposed(node, x, when: "transA")
            let b = try transposed(node, try node.input(1), when: "transB")
            if node.flag("transBatchA") || node.flag("transBatchB") { throw Unsupported("transposed batches") }
            let alpha = node.float("alpha", default: 1)
            if alpha == 1 { return try add(node, .matMul, [a, b]) }
            return try add(node, .binary(.multiply), [try step(node, .matMul, [a, b]), number(node, alpha)])
        case .reverseSequence: return try addReverseSequence(node, x)
        default: preconditionFailure("\(kind) is an operator of its own")
        }
    }

    private mutating func number(_ node: NodeReader, _ value: Float) -> ValueID { constant(node, Tensor([], [value])) }

    /// x / max(norm along an axis, a little)
    private mutating func addNormalization(_ node: NodeReader, _ x: ValueID) throws -> [ValueID?] {
        let axis = try node.axis(node.int("axis", default: -1), rank: shape(x).rank)
        let order = node.int("p", default: 2)
        guard order == 1 || order == 2 else { throw Unsupported("p = \(order)") }
        let norm = try step(
            node, .reduce(Reduce(order == 1 ? .l1 : .l2, axes: [axis], keepsAxes: true)), [x])
        // Zeros stay zeros.
        let safe = try step(node, .binary(.maximum), [norm, number(node, .leastNormalMagnitude)])
        return try add(node, .binary(.divide), [x, safe])
    }

    /// (x - mean) / (deviation + 1e-9)
    private mutating func addMeanVariance(_ node: NodeReader, _ x: ValueID) throws -> [ValueID?] {
        let rank = shape(x).rank
        let axes = try Set((node.ints("axes") ?? [0, 2, 3]).map { try node.axis($0, rank: rank) }).sorted()
        let average = Operator.reduce(Reduce(.mean, axes: axes, keepsAxes: true))
        let difference = try step(node, .binary(.subtract), [x, try step(node, average, [x])])
        let square = try step(node, .binary(.multiply), [difference, difference])
        let deviation = try step(node, .unary(.sqrt), [try step(node, average, [square])])
        let safe = try step(node, .binary(.add), [deviation, number(node, 1e-9)])
        return try add(node, .binary(.divide), [difference, safe])
    }

    /// scale * x / sqrt(mean of x^2 + epsilon), over `axis` and all after it
    private mutating func addRootMeanSquare(_ node: NodeReader, _ x: ValueID) throws -> [ValueID?] {
        let rank = shape(x).rank
        let axis = try node.axis(node.int("axis", default: -1), rank: rank)
        let square = try step(node, .binary(.multiply), [x, x])
        let mean = try step(node, .reduce(Reduce(.mean, axes: Array(axis..<rank), keepsAxes: true)), [square])
        let sum = try step(node, .binary(.add), [mean, number(node, node.float("epsilon", default: 1e-5))])
        let normalized = try step(node, .binary(.divide), [x, try step(node, .unary(.sqrt), [sum])])
        return try add(node, .binary(.multiply), [normalized, try node.input(1)])
    }

    private mutating func transposed(_ node: NodeReader, _ id: ValueID, when attribute: String) throws -> ValueID {
        guard node.flag(attribute) else { return id }
        var order = Array(0..<shape(id).rank)
        guard order.count >= 2 else { throw Unsupported("\(attribute) of a tensor with \(order.count) axes") }
        order.swapAt(order.count - 1, order.count - 2)
        return try step(node, .transpose(permutation: order), [id])
    }

    /// Sequences of full length only: then it is a slice that runs backwards.
    private mutating func addReverseSequence(_ node: NodeReader, _ x: ValueID) throws -> [ValueID?] {
        let shape = shape(x)
        let axis = try node.axis(node.int("time_axis", default: 0), rank: shape.rank)
        guard try integers(node, 1).allSatisfy({ $0 == shape[axis] }) else {
            throw Unsupported("sequences of different lengths")
        }
        var slice = Slice(
            starts: shape.dimensions.map { _ in 0 }, steps: shape.dimensions.map { _ in 1 }, sizes: shape.dimensions)
        if shape[axis] > 1 {
            slice.starts[axis] = shape[axis] - 1
            slice.steps[axis] = -1
        }
        return try add(node, .slice(slice), [x])
    }
}
