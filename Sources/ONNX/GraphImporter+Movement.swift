// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension GraphImporter {
    mutating func addMovement(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let shape = shape(x)
        switch kind {
        case .concat:
            let axis = try node.axis(node.int("axis", default: 1), rank: shape.rank)
            if node.inputs.count == 1 { return [x] }
            return try add(node, .concat(axis: axis), node.inputs)
        case .split: return try addSplit(node)
        case .slice: return try addSlice(node)
        case .gather:
            let axis = try node.axis(node.int("axis", default: 0), rank: shape.rank)
            return try add(node, .gather(axis: axis), node.inputs)
        case .gatherElements:
            let axis = try node.axis(node.int("axis", default: 0), rank: shape.rank)
            return try add(node, .gatherElements(axis: axis), node.inputs)
        case .gatherND: return try add(node, .gatherND(batchAxes: node.int("batch_dims", default: 0)), node.inputs)
        case .scatterElements, .scatter:
            let axis = try node.axis(node.int("axis", default: 0), rank: shape.rank)
            return try add(node, .scatterElements(axis: axis, reduction: try scatterReduction(node)), node.inputs)
        case .scatterND: return try add(node, .scatterND(reduction: try scatterReduction(node)), node.inputs)
        case .reshape:
            guard let target = try node.ints("shape") ?? optionalIntegers(node, 1) else {
                throw Unsupported("the target shape is missing")
            }
            let shape = try resolved(target, from: shape, zeroIsZero: node.flag("allowzero"))
            return try add(node, .reshape(shape), [x])
        case .flatten:
            let given = node.int("axis", default: 1)
            let axis = given < 0 ? given + shape.rank : given
            guard axis >= 0 && axis <= shape.rank else { throw Unsupported("axis \(given)") }
            let dimensions = shape.dimensions
            return try add(
                node, .reshape([dimensions[..<axis].reduce(1, *), dimensions[axis...].reduce(1, *)]), [x])
        case .squeeze:
            let axes = try integers(node, attribute: "axes", input: 1)?.map { try node.axis($0, rank: shape.rank) }
            let removed = axes ?? (0..<shape.rank).filter { shape[$0] == 1 }
            guard removed.allSatisfy({ shape[$0] == 1 }) else { throw Unsupported("a squeezed axis is not 1") }
            let kept = (0..<shape.rank).filter { !removed.contains($0) }.map { shape[$0] }
            return try add(node, .reshape(Shape(kept)), [x])
        case .unsqueeze:
            guard let given = try integers(node, attribute: "axes", input: 1) else {
                throw Unsupported("axes are missing")
            }
            let axes = try Set(given.map { try node.axis($0, rank: shape.rank + given.count) })
            guard axes.count == given.count else { throw Unsupported("an axis is there twice") }
            var rest = shape.dimensions.makeIterator()
            let dimensions = (0..<(shape.rank + given.count)).map { axes.contains($0) ? 1 : rest.next() ?? 1 }
            return try add(node, .reshape(Shape(dimensions)), [x])
        case .transpose:
            let permutation = node.ints("perm") ?? Array((0..<shape.rank).reversed())
            return try add(node, .transpose(permutation: permutation), [x])
        case .expand:
            let target = try integers(node, 1)
            let rank = max(target.count, shape.rank)
            let own = [Int](repeating: 1, count: rank - shape.rank) + shape.dimensions
            let wanted = [Int](repeating: 1, count: rank - target.count) + target
            guard wanted.allSatisfy({ $0 >= 0 }) else { throw Unsupported("a negative extent") }
            return try add(node, .expand(Shape(zip(own, wanted).map { $1 == 1 ? $0 : $1 })), [x])
        case .tile: return try add(node, .tile(repeats: try integers(node, 1)), [x])
        case .pad: return try addPad(node)
        case .depthToSpace, .spaceToDepth:
            let order = try node.word("mode", default: DepthToSpaceOrder.dcr)
            let block = node.int("blocksize", default: 0)
            let operation: Operator =
                kind == .depthToSpace
                ? .depthToSpace(blockSize: block, order: order) : .spaceToDepth(blockSize: block, order: order)
            return try add(node, operation, [x])
        case .oneHot:
            let axis = try node.axis(node.int("axis", default: -1), rank: shape.rank + 1)
            let depth = try scalar(try constant(node, 1))
            guard depth >= 0 && depth <= Float(1 << 24) else { throw Unsupported("depth \(depth)") }
            return try add(node, .oneHot(axis: axis, depth: Int(depth)), [x, try node.input(2)])
        case .trilu:
            let diagonal = try optionalIntegers(node, 1)?.first ?? 0
            return try add(node, .triangle(upper: node.flag("upper", default: true), diagonal: diagonal), [x])
        default: preconditionFailure("\(kind) does not move elements")
        }
    }

    private func scatterReduction(_ node: NodeReader) throws -> ScatterReduction {
        switch node.string("reduction") ?? "none" {
        case "none": .none
        case "add": .add
        case "mul": .multiply
        case "min": .minimum
        case "max": .maximum
        case let other: throw Unsupported("reduction = \(other)")
        }
    }

    /// A target of `Reshape`: 0 keeps an extent, -1 stands for what is left.
    private func resolved(_ target: [Int], from shape: Shape, zeroIsZero: Bool) throws -> Shape {
        var dimensions = try target.enumerated().map { axis, extent in
            guard extent == 0 && !zeroIsZero else { return extent }
            guard axis < shape.rank else { throw Unsupported("the target shape copies an axis that is not there") }
            return shape[axis]
        }
        guard dimensions.allSatisfy({ $0 >= -1 }), dimensions.count(where: { $0 == -1 }) <= 1 else {
            throw Unsupported("target shape \(target)")
        }
        if let open = dimensions.firstIndex(of: -1) {
            dimensions[open] = 1
            guard let known = Shape(dimensions).checkedCount, known > 0, shape.count % known == 0 else {
                throw Unsupported("\(shape) does not reshape to \(target)")
            }
            dimensions[open] = shape.count / known
        }
        return Shape(dimensions)
    }

    private mutating func addSplit(_ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let axis = try node.axis(node.int("axis", default: 0), rank: shape(x).rank)
        let extent = shape(x)[axis]
        if let sizes = try integers(node, attribute: "split", input: 1) {
            return try add(node, .split(axis: axis, sizes: sizes), [x])
        }
        let count = node.int("num_outputs", default: node.proto.output.count)
        guard count > 0, count <= node.proto.output.count else { throw Unsupported("num_outputs = \(count)") }
        // Equal parts; the last one is smaller when they do not come out even.
        let size = (extent + count - 1) / count
        let sizes = (0..<count).map { max(0, min(size, extent - $0 * size)) }
        return try add(node, .split(axis: axis, sizes: sizes), [x])
    }

    private mutating func addSlice(_ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let shape = shape(x)
        guard let starts = try integers(node, attribute: "starts", input: 1),
            let ends = try integers(node, attribute: "ends", input: 2), starts.count == ends.count
        else { throw Unsupported("starts or ends are missing") }
        let axes = try (try integers(node, attribute: "axes", input: 3) ?? Array(0..<starts.count)).map {
            try node.axis($0, rank: shape.rank)
        }
        let steps = try optionalIntegers(node, 4) ?? [Int](repeating: 1, count: starts.count)
        guard axes.count == starts.count, steps.count == starts.count, Set(axes).count == axes.count else {
            throw Unsupported("axes or steps do not fit starts")
        }
        var slice = Slice(
            starts: shape.dimensions.map { _ in 0 }, steps: shape.dimensions.map { _ in 1 }, sizes: shape.dimensions)
        for (place, axis) in axes.enumerated() {
            let (extent, step) = (shape[axis], steps[place])
            guard step != 0 else { throw Unsupported("a step of zero") }
            let start = starts[place] < 0 ? starts[place] + extent : starts[place]
            let end = ends[place] < 0 ? ends[place] + extent : ends[place]
            // Bounds beyond the tensor mean its border (as in Python).
            let first = step > 0 ? min(max(start, 0), extent) : min(max(start, 0), extent - 1)
            let last = step > 0 ? min(max(end, 0), extent) : min(max(end, -1), extent - 1)
            let size = step > 0 ? (last - first + step - 1) / step : (first - last - step - 1) / -step
            slice.starts[axis] = size > 0 ? first : 0
            slice.sizes[axis] = max(0, size)
            // A step that is never taken may be as large as it likes.
            slice.steps[axis] = size > 1 ? step : 1
        }
        return try add(node, .slice(slice), [x])
    }

    private mutating func addPad(_ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let rank = shape(x).rank
        guard let given = try node.ints("pads") ?? node.ints("paddings") ?? optionalIntegers(node, 1) else {
            throw Unsupported("pads are missing")
        }
        let axes = try (try optionalIntegers(node, 3) ?? Array(0..<rank)).map { try node.axis($0, rank: rank) }
        guard given.count == 2 * axes.count, Set(axes).count == axes.count else {
            throw Unsupported("pads and axes do not fit")
        }
        var pads = [Int](repeating: 0, count: 2 * rank)
        for (place, axis) in axes.enumerated() {
            pads[axis] = given[place]
            pads[rank + axis] = given[axes.count + place]
        }
        let mode = try node.word("mode", default: Pad.Mode.constant)
        var inputs: [ValueID?] = [x]
        if mode == .constant {
            if let number = node.float("value") {
                if number != 0 { inputs.append(constant(node, Tensor([], [number]))) }
            } else if let number = node.optionalInput(2) {
                inputs.append(number)
            }
        }
        return try add(node, .pad(Pad(mode: mode, pads: pads)), inputs)
    }
}
