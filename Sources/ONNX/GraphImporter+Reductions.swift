// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension GraphImporter {
    mutating func addReduction(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let rank = shape(x).rank
        switch kind {
        case .reduceSum: return try addReduce(.sum, node)
        case .reduceMean: return try addReduce(.mean, node)
        case .reduceMax: return try addReduce(.maximum, node)
        case .reduceMin: return try addReduce(.minimum, node)
        case .reduceProd: return try addReduce(.product, node)
        case .reduceL1: return try addReduce(.l1, node)
        case .reduceL2: return try addReduce(.l2, node)
        case .reduceSumSquare: return try addReduce(.sumOfSquares, node)
        case .reduceLogSum: return try addReduce(.logSum, node)
        case .reduceLogSumExp: return try addReduce(.logSumExp, node)
        case .argMax, .argMin:
            let attributes = ArgReduce(
                findsMaximum: kind == .argMax, axis: try node.axis(node.int("axis", default: 0), rank: rank),
                keepsAxis: node.flag("keepdims", default: true), selectsLast: node.flag("select_last_index"))
            return try add(node, .argReduce(attributes), [x])
        case .topK:
            guard let count = try node.int("k") ?? integers(node, 1).first else { throw Unsupported("k is missing") }
            let attributes = TopK(
                axis: try node.axis(node.int("axis", default: -1), rank: rank), count: count,
                largest: node.flag("largest", default: true))
            return try add(node, .topK(attributes), [x])
        case .cumSum:
            guard let axis = try integers(node, 1).first else { throw Unsupported("axis is missing") }
            let attributes = CumulativeSum(
                axis: try node.axis(axis, rank: rank), exclusive: node.flag("exclusive"), reverse: node.flag("reverse"))
            return try add(node, .cumulativeSum(attributes), [x])
        case .nonMaxSuppression:
            let attributes = NonMaxSuppression(
                centreBoxes: node.flag("center_point_box"),
                maximumPerClass: try optionalIntegers(node, 2)?.first ?? 0,
                overlapThreshold: try optionalConstant(node, 3).map(scalar) ?? 0,
                scoreThreshold: try optionalConstant(node, 4).map(scalar))
            return try add(node, .nonMaxSuppression(attributes), [x, try node.input(1)])
        case .nonZero: return try add(node, .nonZero, [x])
        default: preconditionFailure("\(kind) is not a reduction")
        }
    }

    private mutating func addReduce(_ function: Reduce.Function, _ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let rank = shape(x).rank
        let keepsAxes = node.flag("keepdims", default: true)
        let given = try integers(node, attribute: "axes", input: 1) ?? []
        if given.isEmpty && node.flag("noop_with_empty_axes") {
            // The function of each element alone.
            return try add(node, .reduce(Reduce(function, axes: [], keepsAxes: true)), [x])
        }
        let axes = given.isEmpty ? Array(0..<rank) : try Set(given.map { try node.axis($0, rank: rank) }).sorted()
        return try add(node, .reduce(Reduce(function, axes: axes, keepsAxes: keepsAxes)), [x])
    }
}
