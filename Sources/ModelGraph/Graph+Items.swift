// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Graph {
    /// The network for one of `count` items that lie one after the other along the first axis of every input and output. Nil
    /// where it does not compute each of them alone, or that is not plain to see.
    package func forOneItem(of count: Int) -> Graph? {
        func hasItems(_ id: ValueID) -> Bool { self[id].shape.dimensions.first == count }
        guard count > 1, (inputs + outputs).allSatisfy(hasItems) else { return nil }
        var result = self
        var divided: Set<ValueID> = []
        func divide(_ id: ValueID) -> Bool {
            guard hasItems(id), self[id].quantization?.axis != 0 else { return false }
            result[id].shape = Shape([1] + self[id].shape.dimensions.dropFirst())
            divided.insert(id)
            return true
        }
        guard inputs.allSatisfy(divide) else { return nil }
        for (index, node) in nodes.enumerated() {
            let operands = node.inputs.map { id in
                id.map { Operand(shape: self[$0].shape, isDivided: divided.contains($0)) }
            }
            guard operands.contains(where: { $0?.isDivided == true }) else { continue }
            // Indices of a pool count from the first item on.
            if case .maxPool = node.operation, node.outputs.dropFirst().contains(where: { $0 != nil }) { return nil }
            guard let operation = node.operation.forOneItem(operands),
                node.outputs.allSatisfy({ $0.map(divide) ?? true }),
                let types = try? operation.outputTypes(node.inputs.map { $0.map { result[$0].meant } }),
                zip(node.outputs, types).allSatisfy({ id, type in id.map { result[$0].shape == type.shape } ?? true })
            else { return nil }
            result.nodes[index].operation = operation
        }
        return outputs.allSatisfy(divided.contains) ? result : nil
    }
}

/// What a node reads.
private struct Operand {
    let shape: Shape
    /// Whether each index of the first axis belongs to another item.
    let isDivided: Bool
}

extension Operator {
    /// The same operator for one item. Nil if it mixes items.
    fileprivate func forOneItem(_ operands: [Operand?]) -> Operator? {
        let first = operands.first.flatMap { $0 }
        let isFirstDivided = first?.isDivided == true
        /// Only the first operand has items.
        let isLayer = isFirstDivided && !operands.dropFirst().contains { $0?.isDivided == true }
        /// Operands that are broadcast against items: all items read the same of what has none.
        let rank = operands.compactMap { $0?.shape.rank }.max() ?? 0
        let isBroadcast = operands.allSatisfy { operand in
            guard let operand else { return true }
            let hasOwnAxis = operand.shape.rank == rank
            return operand.isDivided ? hasOwnAxis : !hasOwnAxis || operand.shape.dimensions.first == 1
        }
        switch self {
        case .convolution(let convolution) where convolution.residual != nil:
            let others = operands.dropFirst().prefix(2)
            let isPlain = isFirstDivided && !others.contains { $0?.isDivided == true }
            return isPlain && operands.last??.isDivided == true ? self : nil
        case .convolution, .transposedConvolution, .maxPool, .averagePool, .globalPool, .batchNormalization,
            .instanceNormalization, .groupNormalization, .localResponseNormalization, .unary, .cast, .depthToSpace,
            .spaceToDepth, .selectChannels, .quantizeLinear, .dequantizeLinear, .reinterpret, .convolutionInteger:
            return isLayer ? self : nil
        case .gemm(let gemm):
            let bias = operands.count > 2 ? operands[2]?.shape : nil
            let isShared = bias.map { $0.rank < 2 || $0[0] == 1 } ?? true
            return isLayer && !gemm.transposesA && isShared ? self : nil
        case .matMul:
            guard let a = operands[0], let b = operands[1], a.isDivided, a.shape.rank >= 2 else { return nil }
            if b.isDivided { return a.shape.rank >= 3 && b.shape.rank == a.shape.rank ? self : nil }
            return b.shape.rank <= 2 || isBroadcast ? self : nil
        case .layerNormalization(let axis, _), .softmax(let axis), .logSoftmax(let axis), .split(let axis, _),
            .gather(let axis):
            return isLayer && axis > 0 ? self : nil
        case .concat(let axis):
            return axis > 0 && operands.allSatisfy { $0?.isDivided == true } ? self : nil
        case .argReduce(let reduce): return isLayer && reduce.axis > 0 ? self : nil
        case .cumulativeSum(let sum): return isLayer && sum.axis > 0 ? self : nil
        case .reduce(let reduce): return isLayer && !reduce.axes.contains(0) ? self : nil
        case .transpose(let permutation): return isLayer && permutation.first == 0 ? self : nil
        case .binary, .select: return isBroadcast ? self : nil
        case .reshape(let shape):
            guard isLayer, shape.dimensions.first == first?.shape[0] else { return nil }
            return .reshape(Shape([1] + shape.dimensions.dropFirst()))
        case .expand(let shape):
            guard isLayer, isBroadcast, shape.rank == first?.shape.rank else { return nil }
            return .expand(Shape([1] + shape.dimensions.dropFirst()))
        case .slice(var slice):
            guard isLayer, slice.starts[0] == 0, slice.steps[0] == 1, slice.sizes[0] == first?.shape[0] else {
                return nil
            }
            slice.sizes[0] = 1
            return .slice(slice)
        case .pad(let pad):
            return isLayer && pad.pads[0] == 0 && pad.pads[pad.pads.count / 2] == 0 ? self : nil
        case .resize(var resize):
            guard isLayer, resize.scales[0] == 1, resize.sizes[0] == first?.shape[0], resize.region == nil else {
                return nil
            }
            resize.sizes[0] = 1
            return .resize(resize)
        default: return nil
        }
    }
}
