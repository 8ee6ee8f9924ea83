// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension TFLiteImporter {
    /// Where an axis of the file stands when channels are second.
    private static let placeInSecond = [0, 2, 3, 1]

    mutating func addMovement(_ kind: TFLiteOperator, _ node: OperatorReader) throws {
        switch kind {
        case .reshape: try addReshape(node)
        case .squeeze: try addSqueeze(node)
        case .expandDims: try addExpandDims(node)
        case .transpose:
            let order = try integers(node, 1)
            let x = try plain(try node.input(0))
            let rank = value(x).shape.rank
            guard order.count == rank, order.sorted() == Array(0..<rank) else { throw Unsupported("order \(order)") }
            try give(node, try turned(x, order))
        case .concatenation: try addConcatenation(node)
        case .pack: try addPack(node)
        case .unpack: try addUnpack(node)
        case .split: try addSplit(node, x: 1, axis: 0, sizes: nil)
        case .splitV: try addSplit(node, x: 0, axis: 2, sizes: 1)
        case .slice: try addSlice(node)
        case .stridedSlice: try addStridedSlice(node)
        case .pad, .padV2: try addPad(node, .constant)
        case .mirrorPad: try addPad(node, try node.byte(0) == 0 ? .reflect : nil)
        case .gather:
            guard try node.int(1) == 0 else { throw Unsupported("batch axes") }
            let x = try plain(try node.input(0))
            let axis = try node.axis(try node.int(0), rank: value(x).shape.rank)
            try give(node, try add(node, .gather(axis: axis), [x, try plain(try node.input(1))]))
        case .gatherND:
            let ids = [try plain(try node.input(0)), try plain(try node.input(1))]
            try give(node, try add(node, .gatherND(batchAxes: 0), ids))
        case .tile:
            try give(node, try add(node, .tile(repeats: try integers(node, 1)), [try plain(try node.input(0))]))
        case .broadcastTo:
            let shape = try self.shape(from: try integers(node, 1))
            try give(node, try add(node, .expand(shape), [try plain(try node.input(0))]))
        case .reverse: try addReverse(node)
        case .resizeBilinear: try addResize(node, .linear, alignCorners: 2)
        case .resizeNearestNeighbor: try addResize(node, .nearest, alignCorners: 0)
        case .depthToSpace:
            let operation = Operator.depthToSpace(blockSize: try node.int(0), order: .dcr)
            try give(node, try add(node, operation, [try channelsSecond(try node.input(0))]), channelsSecond: true)
        case .spaceToDepth:
            let operation = Operator.spaceToDepth(blockSize: try node.int(0), order: .dcr)
            try give(node, try add(node, operation, [try channelsSecond(try node.input(0))]), channelsSecond: true)
        case .shape:
            let extents = try shape(try node.input(0)).dimensions
            try give(node, known(node, Tensor([extents.count], extents.map(Int64.init))))
        case .rank: try give(node, known(node, Tensor([], [Int64(try shape(try node.input(0)).rank)])))
        case .fill:
            let shape = try self.shape(from: try integers(node, 0))
            try give(node, try add(node, .expand(shape), [try plain(try node.input(1))]))
        case .zerosLike:
            let shape = try shape(try node.input(0))
            let zero = Tensor(try type(try node.output(0)), [Int](repeating: 1, count: shape.rank).shape)
            try give(node, try add(node, .expand(shape), [known(node, zero)]))
        case .range: try addRange(node)
        default: throw Unsupported("unknown operator")
        }
    }

    private mutating func known(_ node: OperatorReader, _ tensor: Tensor) -> ValueID {
        builder.addConstant(node.name, tensor)
    }

    private func shape(from extents: [Int]) throws -> Shape {
        guard extents.count <= 16, extents.allSatisfy({ $0 >= 0 }) else { throw Unsupported("shape \(extents)") }
        return Shape(extents)
    }

    // MARK: Other shapes

    private mutating func addReshape(_ node: OperatorReader) throws {
        let x = try node.input(0)
        let shape = try shape(x)
        // The second input counts; options are what older files have.
        let target: [Int]
        if node.optionalInput(1) != nil {
            target = try integers(node, 1)
        } else if let given = try node.ints(0) {
            target = given
        } else {
            target = try entry(try node.output(0)).shape
        }
        var extents = target
        guard extents.allSatisfy({ $0 >= -1 }), extents.count(where: { $0 == -1 }) <= 1, extents.count <= 16 else {
            throw Unsupported("target shape \(target)")
        }
        if let open = extents.firstIndex(of: -1) {
            extents[open] = 1
            guard let known = Shape(extents).checkedCount, known > 0, shape.count % known == 0 else {
                throw Unsupported("\(shape) does not reshape to \(target)")
            }
            extents[open] = shape.count / known
        }
        try give(node, try add(node, .reshape(Shape(extents)), [try plain(x)]))
    }

    private mutating func addSqueeze(_ node: OperatorReader) throws {
        let x = try node.input(0)
        let shape = try shape(x)
        let given = try (try node.ints(0) ?? []).map { try node.axis($0, rank: shape.rank) }
        let removed = given.isEmpty ? (0..<shape.rank).filter { shape[$0] == 1 } : given
        guard removed.allSatisfy({ shape[$0] == 1 }) else { throw Unsupported("a squeezed axis is not 1") }
        let kept = (0..<shape.rank).filter { !removed.contains($0) }.map { shape[$0] }
        try give(node, try add(node, .reshape(Shape(kept)), [try plain(x)]))
    }

    private mutating func addExpandDims(_ node: OperatorReader) throws {
        let x = try node.input(0)
        guard let axis = try integers(node, 1).first else { throw Unsupported("the axis is missing") }
        var extents = try shape(x).dimensions
        extents.insert(1, at: try node.axis(axis, rank: extents.count + 1))
        try give(node, try add(node, .reshape(Shape(extents)), [try plain(x)]))
    }

    // MARK: Parts

    private mutating func addConcatenation(_ node: OperatorReader) throws {
        guard !node.inputs.isEmpty else { throw Unsupported("no inputs") }
        let rank = try shape(node.inputs[0]).rank
        let axis = try node.axis(try node.int(0), rank: rank)
        let isSecond = try rank == 4 && node.inputs.contains { try isChannelsSecond($0) }
        let ids = try node.inputs.map { isSecond ? try channelsSecond($0) : try plain($0) }
        if ids.count == 1 { return try give(node, ids[0], channelsSecond: isSecond) }
        let operation = Operator.concat(axis: isSecond ? Self.placeInSecond[axis] : axis)
        // Parts under other parameters than the whole are brought to them.
        let form = try stored(try node.output(0))
        let result = try single(builder.add(node.name, operation, ids, outputs: [node.name], stored: form))
        guard let function = try node.activation(1).function else {
            return try give(node, result, channelsSecond: isSecond)
        }
        try give(node, try add(node, .unary(function), [result]), channelsSecond: isSecond)
    }

    private mutating func addPack(_ node: OperatorReader) throws {
        guard !node.inputs.isEmpty else { throw Unsupported("no inputs") }
        var extents = try shape(node.inputs[0]).dimensions
        let axis = try node.axis(try node.int(1), rank: extents.count + 1)
        extents.insert(1, at: axis)
        let wide = Shape(extents)
        let parts = try node.inputs.map { try step(node, .reshape(wide), [try plain($0)]) }
        try give(node, parts.count == 1 ? parts[0] : try add(node, .concat(axis: axis), parts))
    }

    private mutating func addUnpack(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        let shape = value(x).shape
        let axis = try node.axis(try node.int(1), rank: shape.rank)
        var narrow = shape.dimensions
        narrow.remove(at: axis)
        for (place, part) in try parts(node, x, axis, [Int](repeating: 1, count: shape[axis])).enumerated() {
            try give(node, try step(node, .reshape(Shape(narrow)), [part]), output: place)
        }
    }

    private mutating func addSplit(_ node: OperatorReader, x place: Int, axis axisPlace: Int, sizes: Int?) throws {
        let x = try plain(try node.input(place))
        let shape = value(x).shape
        guard let given = try integers(node, axisPlace).first else { throw Unsupported("the axis is missing") }
        let axis = try node.axis(given, rank: shape.rank)
        let count = node.outputs.count
        guard count > 0 else { throw Unsupported("no outputs") }
        var extents = [Int](repeating: shape[axis] / count, count: count)
        if let sizes { extents = try integers(node, sizes) }
        if let open = extents.firstIndex(of: -1) {
            extents[open] = 0
            extents[open] = shape[axis] - extents.reduce(0, +)
        }
        for (place, part) in try parts(node, x, axis, extents).enumerated() { try give(node, part, output: place) }
    }

    private mutating func parts(_ node: OperatorReader, _ x: ValueID, _ axis: Int, _ sizes: [Int]) throws -> [ValueID] {
        guard sizes.count == node.outputs.count else { throw Unsupported("\(sizes.count) parts") }
        let names = sizes.indices.map { "\(node.name)/\($0)" as String? }
        return try builder.add(node.name, .split(axis: axis, sizes: sizes), [x], outputs: names).compactMap { $0 }
    }

    private mutating func addSlice(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        let shape = value(x).shape
        let (starts, sizes) = (try integers(node, 1), try integers(node, 2))
        guard starts.count == shape.rank, sizes.count == shape.rank else {
            throw Unsupported("begin and size do not fit")
        }
        let slice = Slice(
            starts: starts, steps: starts.map { _ in 1 },
            sizes: (0..<shape.rank).map { sizes[$0] == -1 ? shape[$0] - starts[$0] : sizes[$0] })
        try give(node, try add(node, .slice(slice), [x]))
    }

    private mutating func addStridedSlice(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        let shape = value(x).shape
        let (starts, ends, steps) = (try integers(node, 1), try integers(node, 2), try integers(node, 3))
        guard try node.int(2) == 0, try node.int(3) == 0 else { throw Unsupported("ellipsis or new axes") }
        guard starts.count <= shape.rank, ends.count == starts.count, steps.count == starts.count else {
            throw Unsupported("begin, end and strides do not fit")
        }
        let (beginMask, endMask, shrinkMask) = (try node.int(0), try node.int(1), try node.int(4))
        guard try !node.flag(5) else { throw Unsupported("ends that are offsets") }
        var slice = Slice(
            starts: shape.dimensions.map { _ in 0 }, steps: shape.dimensions.map { _ in 1 }, sizes: shape.dimensions)
        for axis in starts.indices {
            let (extent, step) = (shape[axis], steps[axis])
            guard step != 0 else { throw Unsupported("a stride of zero") }
            let start = starts[axis] < 0 ? starts[axis] + extent : starts[axis]
            if shrinkMask >> axis & 1 == 1 {
                guard start >= 0 && start < extent else { throw Unsupported("index \(starts[axis]) of \(extent)") }
                slice.starts[axis] = start
                slice.sizes[axis] = 1
                continue
            }
            let end = ends[axis] < 0 ? ends[axis] + extent : ends[axis]
            let lowest = step > 0 ? 0 : -1
            let highest = step > 0 ? extent : extent - 1
            let first = beginMask >> axis & 1 == 1 ? (step > 0 ? 0 : extent - 1) : min(max(start, lowest), highest)
            let last = endMask >> axis & 1 == 1 ? (step > 0 ? extent : -1) : min(max(end, lowest), highest)
            let size = step > 0 ? (last - first + step - 1) / step : (first - last - step - 1) / -step
            slice.starts[axis] = size > 0 ? first : 0
            slice.sizes[axis] = max(0, size)
            slice.steps[axis] = size > 1 ? step : 1
        }
        let result = try add(node, .slice(slice), [x])
        let kept = (0..<shape.rank).filter { $0 >= starts.count || shrinkMask >> $0 & 1 == 0 }
        guard kept.count < shape.rank else { return try give(node, result) }
        try give(node, try step(node, .reshape(Shape(kept.map { slice.sizes[$0] })), [result]))
    }

    private mutating func addReverse(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        let shape = value(x).shape
        var slice = Slice(
            starts: shape.dimensions.map { _ in 0 }, steps: shape.dimensions.map { _ in 1 }, sizes: shape.dimensions)
        for axis in try integers(node, 1).map({ try node.axis($0, rank: shape.rank) }) where shape[axis] > 1 {
            slice.starts[axis] = shape[axis] - 1
            slice.steps[axis] = -1
        }
        try give(node, try add(node, .slice(slice), [x]))
    }

    // MARK: Borders and sizes

    private mutating func addPad(_ node: OperatorReader, _ mode: Pad.Mode?) throws {
        guard let mode else { throw Unsupported("symmetric padding") }
        let x = try node.input(0)
        let rank = try shape(x).rank
        let given = try integers(node, 1)
        guard given.count == 2 * rank else { throw Unsupported("pads do not fit") }
        let isSecond = try rank == 4 && isChannelsSecond(x)
        var pads = [Int](repeating: 0, count: 2 * rank)
        for axis in 0..<rank {
            let place = isSecond ? Self.placeInSecond[axis] : axis
            pads[place] = given[2 * axis]
            pads[rank + place] = given[2 * axis + 1]
        }
        var inputs: [ValueID?] = [isSecond ? try channelsSecond(x) : try plain(x)]
        if mode == .constant, let number = node.optionalInput(2) { inputs.append(try plain(number)) }
        try give(node, try add(node, .pad(Pad(mode: mode, pads: pads)), inputs), channelsSecond: isSecond)
    }

    private mutating func addResize(_ node: OperatorReader, _ mode: Resize.Mode, alignCorners field: Int) throws {
        let x = try channelsSecond(try node.input(0))
        let shape = value(x).shape
        let sizes = try integers(node, 1)
        guard sizes.count == 2, sizes.allSatisfy({ $0 > 0 && $0 <= 1 << 20 }), shape[2] > 0, shape[3] > 0 else {
            throw Unsupported("sizes \(sizes)")
        }
        let (aligns, isHalf) = (try node.flag(field), try node.flag(field + 1))
        var resize = Resize(
            mode: mode, coordinates: aligns ? .alignCorners : isHalf ? .halfPixel : .asymmetric,
            nearestRounding: aligns || isHalf ? .roundPreferCeil : .floor,
            scales: [1, 1] + (0..<2).map { Float(sizes[$0]) / Float(shape[$0 + 2]) },
            sizes: [shape[0], shape[1]] + sizes)
        if mode == .linear && [.int8, .int16].contains(value(x).type) {
            // The kernel for signed integers has positions in steps of 1/1024 of a pixel.
            for axis in 0..<2 {
                let isAligned = aligns && sizes[axis] > 1
                let (from, to) = (shape[axis + 2] - (isAligned ? 1 : 0), sizes[axis] - (isAligned ? 1 : 0))
                let steps = (1024 * from + to / 2) / to
                resize.scales[axis + 2] = 1024 / Float(max(steps, 1))
            }
            if aligns { resize.coordinates = .asymmetric }
        }
        try give(node, try add(node, .resize(resize), [x]), channelsSecond: true)
    }

    private mutating func addRange(_ node: OperatorReader) throws {
        let bounds = try (0..<3).map { place -> Double in
            let tensor = try constant(node, place)
            guard tensor.count == 1 else { throw Unsupported("start, limit and delta must be numbers") }
            return try ReferenceEvaluator.evaluate(.cast(to: .float64), [tensor])[0].array(of: Double.self)[0]
        }
        let count = ((bounds[1] - bounds[0]) / bounds[2]).rounded(.up)
        guard count.isFinite, count <= Double(1 << 22) else { throw Unsupported("a range of \(count) elements") }
        try builder.spend(bytes: Int(max(count, 0)) * MemoryLayout<Double>.size)
        let values = (0..<Int(max(count, 0))).map { bounds[0] + Double($0) * bounds[2] }
        let type = try type(try node.output(0))
        let tensor = try ReferenceEvaluator.evaluate(.cast(to: type), [Tensor([values.count], values)])[0]
        try give(node, known(node, tensor))
    }
}

extension [Int] {
    fileprivate var shape: Shape { Shape(self) }
}
