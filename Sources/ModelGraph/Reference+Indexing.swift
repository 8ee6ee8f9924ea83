// SPDX-License-Identifier: Apache-2.0
import Tensors

extension ReferenceEvaluator {
    /// Operators whose pattern is data. Every index is checked; negative ones count from the end.
    static func pick(_ operation: Operator, _ inputs: [Tensor], _ type: TensorType) throws -> Tensor {
        let x = inputs[0]
        let result = Tensor(type.type, type.shape)
        switch operation {
        case .gather(let axis):
            let indices = try checked(inputs[1], extent: x.shape[axis], operation)
            copyAlong(axis, indices, from: x, to: result)
        case .gatherElements(let axis):
            let indices = try checked(inputs[1], extent: x.shape[axis], operation)
            let sources = elementPositions(indices, inputs[1].shape, in: x.shape, axis: axis)
            x.type.dispatch(Picked(from: x, to: result, pairs: sources.enumerated().map { ($1, $0) }))
        case .gatherND(let batchAxes):
            let (positions, block) = try tuplePositions(inputs[1], in: x.shape, batchAxes: batchAxes, operation)
            let pairs = positions.enumerated().flatMap { place, start in
                (0..<block).map { (start + $0, place * block + $0) }
            }
            x.type.dispatch(Picked(from: x, to: result, pairs: pairs))
        case .scatterElements(let axis, let reduction):
            let indices = try checked(inputs[1], extent: x.shape[axis], operation)
            let targets = elementPositions(indices, inputs[1].shape, in: x.shape, axis: axis)
            scatter(x, inputs[2], targets.enumerated().map { ($0, $1) }, reduction, into: result)
        case .scatterND(let reduction):
            let (positions, block) = try tuplePositions(inputs[1], in: x.shape, batchAxes: 0, operation)
            let pairs = positions.enumerated().flatMap { place, start in
                (0..<block).map { (place * block + $0, start + $0) }
            }
            scatter(x, inputs[2], pairs, reduction, into: result)
        case .oneHot(let axis, let depth):
            let inner = type.shape.dimensions[(axis + 1)...].reduce(1, *)
            let indices = x.type.isFloat ? cast(x, to: .int64).integers : x.integers
            let hot = (indices ?? []).enumerated().compactMap { place, index -> (Int, Int)? in
                let wrapped = index < 0 ? index + depth : index
                guard wrapped >= 0 && wrapped < depth else { return nil }
                return (1, (place / inner * depth + wrapped) * inner + place % inner)
            }
            let off = (0..<type.shape.count).map { (0, $0) }
            type.type.dispatch(Picked(from: inputs[1], to: result, pairs: off + hot))
        case .triangle(let upper, let diagonal):
            let (rows, columns) = (x.shape[x.shape.rank - 2], x.shape[x.shape.rank - 1])
            let kept = (0..<x.count).filter { index in
                let (row, column) = (index / columns % rows, index % columns)
                return upper ? column - row >= diagonal : column - row <= diagonal
            }
            x.type.dispatch(Picked(from: x, to: result, pairs: kept.map { ($0, $0) }))
        default: preconditionFailure("not an operator with indices")
        }
        return result
    }

    /// Copies single elements.
    private struct Picked: NumberWork {
        let from: Tensor
        let to: Tensor
        let pairs: [(Int, Int)]

        func run<Element: Number>(_ type: Element.Type) {
            let (input, output) = (from.base(type), to.base(type))
            for (source, target) in pairs { output[target] = input[source] }
        }
    }

    private static func scatter(
        _ x: Tensor, _ updates: Tensor, _ pairs: [(Int, Int)], _ reduction: ScatterReduction, into result: Tensor
    ) {
        result.buffer.bytes.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: x.buffer.bytes[..<(x.count * x.type.sizeBytes)]))
        x.type.dispatch(Scattered(updates: updates, result: result, pairs: pairs, reduction: reduction))
    }

    private struct Scattered: NumberWork {
        let updates: Tensor
        let result: Tensor
        let pairs: [(Int, Int)]
        let reduction: ScatterReduction

        func run<Element: Number>(_ type: Element.Type) {
            let (input, output) = (updates.base(type), result.base(type))
            for (source, target) in pairs {
                let (old, new) = (output[target], input[source])
                output[target] =
                    switch reduction {
                    case .none: new
                    case .add: .sum(old, new)
                    case .multiply: .product(old, new)
                    case .minimum: min(old, new)
                    case .maximum: max(old, new)
                    }
            }
        }
    }

    /// The indices as 0..<extent.
    private static func checked(_ indices: Tensor, extent: Int, _ operation: Operator) throws -> [Int] {
        try (indices.integers ?? []).map { index in
            let wrapped = index < 0 ? index + extent : index
            guard wrapped >= 0 && wrapped < extent else {
                throw GraphError.indexOutOfRange(operation: operation.name, index: index, extent: extent)
            }
            return wrapped
        }
    }

    /// Positions in `outer` of the elements of an index tensor that replace the coordinate along `axis`.
    private static func elementPositions(_ indices: [Int], _ shape: Shape, in outer: Shape, axis: Int) -> [Int] {
        let (own, strides) = (denseStrides(shape.dimensions), denseStrides(outer.dimensions))
        return indices.enumerated().map { place, index in
            (0..<shape.rank).reduce(0) { sum, other in
                sum + (other == axis ? index : place / own[other] % shape[other]) * strides[other]
            }
        }
    }

    /// First element of the block that each index tuple names, and the size of the blocks.
    private static func tuplePositions(
        _ indices: Tensor, in shape: Shape, batchAxes: Int, _ operation: Operator
    ) throws -> ([Int], block: Int) {
        let length = indices.shape.dimensions.last ?? 0
        let strides = denseStrides(shape.dimensions)
        let block = shape.dimensions[(batchAxes + length)...].reduce(1, *)
        let values = indices.integers ?? []
        let batches = max(shape.dimensions[..<batchAxes].reduce(1, *), 1)
        let tuples = length == 0 ? 0 : values.count / length
        let perBatch = max(tuples / batches, 1)
        let batchStride = batchAxes == 0 ? 0 : strides[batchAxes - 1]
        let positions = try (0..<tuples).map { tuple in
            var position = tuple / perBatch * batchStride
            for place in 0..<length {
                let (index, extent) = (values[tuple * length + place], shape[batchAxes + place])
                let wrapped = index < 0 ? index + extent : index
                guard wrapped >= 0 && wrapped < extent else {
                    throw GraphError.indexOutOfRange(operation: operation.name, index: index, extent: extent)
                }
                position += wrapped * strides[batchAxes + place]
            }
            return position
        }
        return (positions, block)
    }
}
