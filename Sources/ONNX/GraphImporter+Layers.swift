// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// The window attributes that convolutions and pools share.
struct WindowAttributes {
    var kernel: [Int]
    var strides: [Int]
    var dilations: [Int]
    var pads: [Int]

    /// - Parameter spatial: extents of the input's spatial axes, from which `auto_pad` is resolved.
    init(_ node: NodeReader, kernel: [Int], spatial: [Int]) throws {
        let rank = spatial.count
        self.kernel = kernel
        strides = node.ints("strides") ?? [Int](repeating: 1, count: rank)
        dilations = node.ints("dilations") ?? [Int](repeating: 1, count: rank)
        pads = node.ints("pads") ?? [Int](repeating: 0, count: 2 * rank)
        guard kernel.count == rank, strides.count == rank, dilations.count == rank, pads.count == 2 * rank else {
            throw Unsupported("kernel, strides, dilations or pads do not have one entry per spatial axis")
        }
        let limit = 1 << 20
        guard (kernel + strides + dilations).allSatisfy({ $0 > 0 && $0 <= limit }) else {
            throw Unsupported("kernel, strides or dilations are out of range")
        }
        switch node.string("auto_pad") ?? "NOTSET" {
        case "NOTSET", "": break
        case "VALID": pads = [Int](repeating: 0, count: 2 * rank)
        case "SAME_UPPER": padToSame(spatial, upper: true)
        case "SAME_LOWER": padToSame(spatial, upper: false)
        case let other: throw Unsupported("auto_pad = \(other)")
        }
    }

    /// Output extent = input extent / stride, rounded up; an odd element of padding goes to the end if `upper`.
    private mutating func padToSame(_ spatial: [Int], upper: Bool) {
        for axis in spatial.indices {
            let extent = (spatial[axis] + strides[axis] - 1) / strides[axis]
            let reach = (kernel[axis] - 1) * dilations[axis] + 1
            let total = max(0, (extent - 1) * strides[axis] + reach - spatial[axis])
            pads[axis] = upper ? total / 2 : total - total / 2
            pads[spatial.count + axis] = total - pads[axis]
        }
    }
}

extension GraphImporter {
    /// Extents of the spatial axes of an input [N, C, ...].
    private func spatial(_ node: NodeReader, _ index: Int = 0) throws -> [Int] {
        let shape = shape(try node.input(index))
        guard shape.rank >= 3 else { throw Unsupported("the input has no spatial axes") }
        return Array(shape.dimensions.dropFirst(2))
    }

    /// Attributes of a convolution whose weight is the given input.
    func convolution(_ node: NodeReader, weight: Int) throws -> Convolution {
        let kernel = Array(shape(try node.input(weight)).dimensions.dropFirst(2))
        if let declared = node.ints("kernel_shape"), declared != kernel {
            throw Unsupported("kernel_shape \(declared) differs from the weight's \(kernel)")
        }
        let windows = try WindowAttributes(node, kernel: kernel, spatial: try spatial(node))
        return Convolution(
            kernel: windows.kernel, strides: windows.strides, dilations: windows.dilations, pads: windows.pads,
            groups: node.int("group", default: 1))
    }

    func pool(_ node: NodeReader) throws -> Pool {
        guard let kernel = node.ints("kernel_shape") else { throw Unsupported("kernel_shape is missing") }
        let windows = try WindowAttributes(node, kernel: kernel, spatial: try spatial(node))
        return Pool(
            kernel: windows.kernel, strides: windows.strides, dilations: windows.dilations, pads: windows.pads,
            roundsUp: node.flag("ceil_mode"), countsPadding: node.flag("count_include_pad"),
            columnMajorIndices: node.flag("storage_order"), addsRows: node.version >= 19)
    }

    mutating func addLayer(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        switch kind {
        case .conv: return try add(node, .convolution(try convolution(node, weight: 1)), node.inputs)
        case .convTranspose: return try add(node, .transposedConvolution(try transposed(node)), node.inputs)
        case .gemm:
            let gemm = Gemm(
                transposesA: node.flag("transA"), transposesB: node.flag("transB"),
                alpha: node.float("alpha", default: 1), beta: node.float("beta", default: 1))
            return try add(node, .gemm(gemm), node.inputs)
        case .matMul: return try add(node, .matMul, node.inputs)
        case .maxPool: return try add(node, .maxPool(try pool(node)), node.inputs)
        case .averagePool: return try add(node, .averagePool(try pool(node)), node.inputs)
        case .globalAveragePool: return try add(node, .globalPool(.average), node.inputs)
        case .globalMaxPool: return try add(node, .globalPool(.maximum), node.inputs)
        case .batchNormalization: return try addBatchNormalization(node)
        case .instanceNormalization:
            return try add(
                node, .instanceNormalization(epsilon: node.float("epsilon", default: 1e-5)), node.inputs)
        case .layerNormalization:
            let axis = try node.axis(node.int("axis", default: -1), rank: shape(try node.input(0)).rank)
            return try add(
                node, .layerNormalization(axis: axis, epsilon: node.float("epsilon", default: 1e-5)), node.inputs)
        case .groupNormalization: return try addGroupNormalization(node)
        case .lrn:
            guard let size = node.int("size") else { throw Unsupported("size is missing") }
            let attributes = LocalResponseNormalization(
                size: size, alpha: node.float("alpha", default: 0.0001), beta: node.float("beta", default: 0.75),
                bias: node.float("bias", default: 1))
            return try add(node, .localResponseNormalization(attributes), node.inputs)
        case .softmax, .logSoftmax: return try addSoftmax(node, logarithm: kind == .logSoftmax)
        default: preconditionFailure("\(kind) is not a layer")
        }
    }

    private func transposed(_ node: NodeReader) throws -> TransposedConvolution {
        let spatial = try spatial(node)
        let rank = spatial.count
        let kernel = Array(shape(try node.input(1)).dimensions.dropFirst(2))
        if let declared = node.ints("kernel_shape"), declared != kernel {
            throw Unsupported("kernel_shape \(declared) differs from the weight's \(kernel)")
        }
        let strides = node.ints("strides") ?? [Int](repeating: 1, count: rank)
        let dilations = node.ints("dilations") ?? [Int](repeating: 1, count: rank)
        var pads = node.ints("pads") ?? [Int](repeating: 0, count: 2 * rank)
        var outputPadding = node.ints("output_padding") ?? [Int](repeating: 0, count: rank)
        guard kernel.count == rank, strides.count == rank, dilations.count == rank, pads.count == 2 * rank,
            outputPadding.count == rank
        else { throw Unsupported("kernel, strides, dilations or pads do not have one entry per spatial axis") }
        let limit = 1 << 20
        guard (kernel + strides + dilations + outputPadding + spatial).allSatisfy({ $0 >= 0 && $0 <= limit }) else {
            throw Unsupported("kernel, strides, dilations or output padding are out of range")
        }
        let automatic = node.string("auto_pad") ?? "NOTSET"
        guard ["NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"].contains(automatic) else {
            throw Unsupported("auto_pad = \(automatic)")
        }
        if automatic == "VALID" { pads = [Int](repeating: 0, count: 2 * rank) }
        // The newer form may give all axes, the older one the spatial ones.
        var wanted = node.ints("output_shape").map { Array($0.suffix(rank)) }
        if wanted == nil && automatic.hasPrefix("SAME") { wanted = zip(spatial, strides).map { $0 * $1 } }
        if let wanted, wanted.count == rank {
            for axis in 0..<rank {
                let reach = (kernel[axis] - 1) * dilations[axis] + 1
                let natural = strides[axis] * (spatial[axis] - 1) + outputPadding[axis] + reach
                let total = max(0, natural - wanted[axis])
                outputPadding[axis] += max(0, wanted[axis] - natural)
                pads[axis] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2
                pads[rank + axis] = total - pads[axis]
            }
        }
        return TransposedConvolution(
            kernel: kernel, strides: strides, dilations: dilations, pads: pads, outputPadding: outputPadding,
            groups: node.int("group", default: 1))
    }

    /// In training mode the statistics come from the batch, and the running ones are given out too.
    private mutating func addBatchNormalization(_ node: NodeReader) throws -> [ValueID?] {
        let epsilon = node.float("epsilon", default: 1e-5)
        guard node.flag("training_mode") else {
            return try add(node, .batchNormalization(epsilon: epsilon), node.inputs)
        }
        let x = try node.input(0)
        let axes = (0..<shape(x).rank).filter { $0 != 1 }
        let mean = try step(node, .reduce(Reduce(.mean, axes: axes, keepsAxes: true)), [x])
        let difference = try step(node, .binary(.subtract), [x, mean])
        let square = try step(node, .binary(.multiply), [difference, difference])
        let variance = try step(node, .reduce(Reduce(.mean, axes: axes, keepsAxes: false)), [square])
        let flat = try step(node, .reshape(shape(variance)), [mean])
        let normalized = try step(
            node, .batchNormalization(epsilon: epsilon), [x, try node.input(1), try node.input(2), flat, variance])
        let momentum = node.float("momentum", default: 0.9)
        func running(_ index: Int, _ current: ValueID) throws -> ValueID {
            let kept = try step(
                node, .binary(.multiply), [try node.input(index), constant(node, Tensor([], [momentum]))])
            let added = try step(node, .binary(.multiply), [current, constant(node, Tensor([], [1 - momentum]))])
            return try step(node, .binary(.add), [kept, added])
        }
        return [normalized, try running(3, flat), try running(4, variance)]
    }

    /// Until version 21 scale and bias stand per group, from then on per channel.
    private mutating func addGroupNormalization(_ node: NodeReader) throws -> [ValueID?] {
        guard let groups = node.int("num_groups"), groups > 0 else { throw Unsupported("num_groups is missing") }
        let x = try node.input(0)
        let operation = Operator.groupNormalization(groups: groups, epsilon: node.float("epsilon", default: 1e-5))
        guard node.version < 21, shape(x).rank >= 2 else { return try add(node, operation, node.inputs) }
        let channels = shape(x)[1]
        guard channels % groups == 0 else { throw Unsupported("num_groups does not divide the channels") }
        let perChannel = try [1, 2].map { index in
            let column = try step(node, .reshape([groups, 1]), [try node.input(index)])
            let rows = try step(node, .expand([groups, channels / groups]), [column])
            return try step(node, .reshape([channels]), [rows])
        }
        return try add(node, operation, [x] + perChannel)
    }

    /// Before version 13 all axes from `axis` on count as one.
    private mutating func addSoftmax(_ node: NodeReader, logarithm: Bool) throws -> [ValueID?] {
        let x = try node.input(0)
        let shape = shape(x)
        let isOld = node.version < 13
        let axis = try node.axis(node.int("axis", default: isOld ? 1 : -1), rank: max(shape.rank, 1))
        func operation(_ axis: Int) -> Operator { logarithm ? .logSoftmax(axis: axis) : .softmax(axis: axis) }
        guard isOld, shape.dimensions.dropFirst(axis + 1).contains(where: { $0 != 1 }) else {
            return try add(node, operation(axis), [x])
        }
        let rows = shape.dimensions[..<axis].reduce(1, *)
        let flat = try step(node, .reshape([rows, shape.dimensions[axis...].reduce(1, *)]), [x])
        return try add(node, .reshape(shape), [try step(node, operation(1), [flat])])
    }
}
