// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Operator {
    /// Shapes of operators that move elements without computing with them (`resize` is among them for its form).
    func inferMovement(_ arguments: Arguments) throws -> [TensorType] {
        switch self {
        case .concat(let axis):
            try arguments.require(!arguments.types.isEmpty, "needs inputs")
            let first = try arguments[0]
            try arguments.requireAxis(axis, rank: first.shape.rank)
            var dimensions = first.shape.dimensions
            for index in arguments.types.indices.dropFirst() {
                let next = try arguments[index]
                try arguments.require(
                    next.type == first.type && next.shape.rank == first.shape.rank
                        && (0..<next.shape.rank).allSatisfy { $0 == axis || next.shape[$0] == first.shape[$0] },
                    "\(next) does not continue \(first)")
                dimensions[axis] += next.shape[axis]
            }
            return [TensorType(first.type, Shape(dimensions))]
        case .split(let axis, let sizes):
            let x = try arguments.single()
            try arguments.requireAxis(axis, rank: x.shape.rank)
            try arguments.requireModerate(sizes)
            try arguments.require(
                !sizes.isEmpty && sizes.allSatisfy { $0 >= 0 } && sizes.reduce(0, +) == x.shape[axis],
                "sizes do not add up to \(x.shape[axis])")
            return sizes.map { size in
                var dimensions = x.shape.dimensions
                dimensions[axis] = size
                return TensorType(x.type, Shape(dimensions))
            }
        case .slice(let slice):
            let x = try arguments.single()
            try arguments.requireModerate(slice.starts + slice.steps + slice.sizes)
            try arguments.require(
                [slice.starts.count, slice.steps.count, slice.sizes.count].allSatisfy { $0 == x.shape.rank },
                "starts, steps and sizes need one entry per axis")
            for axis in 0..<x.shape.rank where slice.sizes[axis] != 0 {
                let last = slice.starts[axis] + (slice.sizes[axis] - 1) * slice.steps[axis]
                try arguments.require(
                    slice.sizes[axis] > 0 && (0..<x.shape[axis]).contains(slice.starts[axis])
                        && (0..<x.shape[axis]).contains(last), "reaches outside \(x.shape)")
            }
            return [TensorType(x.type, Shape(slice.sizes))]
        case .selectChannels(let channels):
            let x = try arguments.single()
            try arguments.requireAxis(1, rank: x.shape.rank)
            try arguments.require(
                !channels.isEmpty && channels.count <= 1 << 20 && channels.allSatisfy((0..<x.shape[1]).contains),
                "reaches outside \(x.shape)")
            var dimensions = x.shape.dimensions
            dimensions[1] = channels.count
            return [TensorType(x.type, Shape(dimensions))]
        case .gather(let axis):
            let (x, indices) = try arguments.indexed()
            try arguments.requireAxis(axis, rank: x.shape.rank)
            let dimensions = x.shape.dimensions
            return [
                TensorType(
                    x.type,
                    Shape(Array(dimensions[..<axis]) + indices.shape.dimensions + dimensions[(axis + 1)...]))
            ]
        case .gatherElements(let axis):
            let (x, indices) = try arguments.indexed()
            try arguments.requireAxis(axis, rank: x.shape.rank)
            try arguments.requireWithin(indices.shape, x.shape, except: axis)
            return [TensorType(x.type, indices.shape)]
        case .gatherND(let batchAxes):
            let (x, indices) = try arguments.indexed()
            let rank = indices.shape.rank
            try arguments.require(
                batchAxes >= 0 && batchAxes < rank && batchAxes < x.shape.rank
                    && x.shape.dimensions[..<batchAxes] == indices.shape.dimensions[..<batchAxes],
                "batch axes of \(x.shape) and \(indices.shape) differ")
            let length = indices.shape[rank - 1]
            try arguments.require(length >= 1 && length <= x.shape.rank - batchAxes, "index tuples are too long")
            let rest = x.shape.dimensions[(batchAxes + length)...]
            return [TensorType(x.type, Shape(indices.shape.dimensions.dropLast() + rest))]
        case .scatterElements(let axis, let reduction):
            let (x, indices) = try arguments.indexed(count: 3)
            let updates = try arguments[2]
            try arguments.requireAxis(axis, rank: x.shape.rank)
            try arguments.require(
                updates.type == x.type && updates.shape == indices.shape, "updates must be like indices")
            try arguments.require(reduction == .none || x.type.isNumber, "works on numbers")
            try arguments.requireWithin(indices.shape, x.shape, except: axis)
            return [x]
        case .scatterND(let reduction):
            let (x, indices) = try arguments.indexed(count: 3)
            let updates = try arguments[2]
            let rank = indices.shape.rank
            try arguments.require(rank >= 1, "indices need an axis")
            try arguments.require(reduction == .none || x.type.isNumber, "works on numbers")
            let length = indices.shape[rank - 1]
            try arguments.require(length >= 1 && length <= x.shape.rank, "index tuples are too long")
            try arguments.require(
                updates.type == x.type
                    && updates.shape.dimensions
                        == Array(indices.shape.dimensions.dropLast()) + x.shape.dimensions[length...],
                "updates do not fit the indices")
            return [x]
        case .reshape(let shape):
            let x = try arguments.single()
            try TensorType(x.type, shape).checked()
            try arguments.require(shape.count == x.shape.count, "\(x.shape) has not as many elements as \(shape)")
            return [TensorType(x.type, shape)]
        case .transpose(let permutation):
            let x = try arguments.single()
            try arguments.require(
                permutation.sorted() == Array(0..<x.shape.rank), "the permutation must name each axis once")
            return [TensorType(x.type, Shape(permutation.map { x.shape[$0] }))]
        case .expand(let shape):
            let x = try arguments.single()
            try arguments.require(
                try arguments.broadcast(x.shape, shape) == shape, "\(x.shape) does not expand to \(shape)")
            return [TensorType(x.type, shape)]
        case .tile(let repeats):
            let x = try arguments.single()
            try arguments.requireModerate(repeats)
            try arguments.require(
                repeats.count == x.shape.rank && repeats.allSatisfy { $0 >= 0 }, "needs one repeat per axis")
            return [TensorType(x.type, Shape(zip(repeats, x.shape.dimensions).map { $0 * $1 }))]
        case .pad(let pad): return [try pad.outputType(arguments)]
        case .resize(let resize): return [try resize.outputType(arguments)]
        case .depthToSpace(let block, _):
            let x = try arguments.single()
            try arguments.require(
                x.shape.rank == 4 && block > 0 && block <= 1 << 15, "needs four axes and a block size")
            try arguments.require(x.shape[1] % (block * block) == 0, "the block does not divide the channels")
            return [
                TensorType(x.type, [x.shape[0], x.shape[1] / (block * block), x.shape[2] * block, x.shape[3] * block])
            ]
        case .spaceToDepth(let block, _):
            let x = try arguments.single()
            try arguments.require(
                x.shape.rank == 4 && block > 0 && block <= 1 << 15, "needs four axes and a block size")
            try arguments.require(
                x.shape[2] % block == 0 && x.shape[3] % block == 0, "the block does not divide the image")
            return [
                TensorType(x.type, [x.shape[0], x.shape[1] * block * block, x.shape[2] / block, x.shape[3] / block])
            ]
        case .oneHot(let axis, let depth):
            try arguments.expect(2...2)
            let (indices, values) = (try arguments[0], try arguments[1])
            try arguments.require(indices.type.isNumber && values.shape.count == 2, "needs indices and two values")
            try arguments.require(
                axis >= 0 && axis <= indices.shape.rank && depth >= 0 && depth <= 1 << 31, "axis or depth")
            var dimensions = indices.shape.dimensions
            dimensions.insert(depth, at: axis)
            return [TensorType(values.type, Shape(dimensions))]
        case .triangle:
            let x = try arguments.single()
            try arguments.require(x.shape.rank >= 2, "needs at least two axes")
            return [x]
        default: preconditionFailure("not an operator that moves elements")
        }
    }
}

extension Arguments {
    fileprivate func single() throws -> TensorType {
        try expect(1...1)
        return try self[0]
    }

    /// x and its indices.
    fileprivate func indexed(count: Int = 2) throws -> (TensorType, TensorType) {
        try expect(count...count)
        let (x, indices) = (try self[0], try self[1])
        try require(indices.type.isIndex, "indices must be int32 or int64")
        try require(x.shape.rank >= 1, "needs at least one axis")
        return (x, indices)
    }

    fileprivate func requireWithin(_ inner: Shape, _ outer: Shape, except axis: Int) throws {
        try require(
            inner.rank == outer.rank && (0..<inner.rank).allSatisfy { $0 == axis || inner[$0] <= outer[$0] },
            "indices \(inner) do not fit into \(outer)")
    }
}

extension Pad {
    fileprivate func outputType(_ arguments: Arguments) throws -> TensorType {
        try arguments.expect(1...2)
        let x = try arguments[0]
        let rank = x.shape.rank
        try arguments.requireModerate(pads)
        try arguments.require(pads.count == 2 * rank, "needs a begin and an end per axis")
        if let value = arguments.optional(1) {
            try arguments.require(value.type == x.type && value.shape.count == 1, "one value of the input's type")
        }
        let dimensions = try (0..<rank).map { axis in
            let extent = x.shape[axis] + pads[axis] + pads[rank + axis]
            try arguments.require(extent >= 0, "crops more than there is")
            let grows = pads[axis] > 0 || pads[rank + axis] > 0
            try arguments.require(mode == .constant || !grows || x.shape[axis] > 0, "nothing to repeat")
            return extent
        }
        return TensorType(x.type, Shape(dimensions))
    }
}

extension Resize {
    fileprivate func outputType(_ arguments: Arguments) throws -> TensorType {
        let x = try arguments.single()
        let rank = x.shape.rank
        try arguments.require(x.type.isNumber || mode == .nearest, "works on numbers")
        try arguments.require(scales.count == rank && sizes.count == rank, "needs a scale and a size per axis")
        try arguments.requireModerate(sizes)
        try arguments.require(
            scales.allSatisfy { $0 > 0 && $0.isFinite } && sizes.allSatisfy { $0 >= 0 },
            "scales must be positive")
        try arguments.require(
            zip(sizes, x.shape.dimensions).allSatisfy { $0 == 0 || $1 > 0 }, "nothing to resize")
        if let region {
            try arguments.require(
                region.count == 2 * rank && region.allSatisfy { $0.isFinite },
                "region needs a start and an end per axis")
        }
        try arguments.require(coordinates != .cropAndResize || region != nil, "needs a region")
        return TensorType(x.type, Shape(sizes))
    }
}
