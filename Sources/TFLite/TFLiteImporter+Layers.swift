// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension TFLiteImporter {
    /// Padding of a window along both spatial axes: begin of each, then end of each. `SAME` pads so that the output has
    /// input / stride elements, rounded up, and an odd one goes to the end.
    private func pads(
        _ padding: Int, _ spatial: [Int], kernel: [Int], strides: [Int], dilations: [Int] = [1, 1]
    ) throws -> [Int] {
        let limit = 1 << 20
        guard (kernel + strides + dilations).allSatisfy({ $0 > 0 && $0 <= limit }) else {
            throw Unsupported("kernel, strides or dilations are out of range")
        }
        guard padding == 0 else { return [0, 0, 0, 0] }
        let totals = (0..<2).map { axis in
            let extent = (spatial[axis] + strides[axis] - 1) / strides[axis]
            return max(0, (extent - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - spatial[axis])
        }
        return totals.map { $0 / 2 } + totals.map { $0 - $0 / 2 }
    }

    mutating func addConvolution(_ node: OperatorReader, depthwise: Bool) throws {
        let x = try channelsSecond(try node.input(0))
        let input = value(x).shape
        let filter = try node.input(1)
        guard try shape(filter).rank == 4 else { throw Unsupported("the filter must have four axes") }
        // Filters have the order [K, H, W, C], or [1, H, W, C * multiplier] when they are per channel.
        let weight = try turned(try plain(filter), depthwise ? [3, 0, 1, 2] : [0, 3, 1, 2])
        let extents = value(weight).shape
        let groups = depthwise ? input[1] : extents[1] > 0 ? input[1] / extents[1] : 0
        let place = depthwise ? 4 : 3
        let strides = [try node.int(2), try node.int(1)]
        let dilations = [try node.int(place + 2, default: 1), try node.int(place + 1, default: 1)]
        let kernel = [extents[2], extents[3]]
        let convolution = Convolution(
            kernel: kernel, strides: strides, dilations: dilations,
            pads: try pads(
                try node.byte(0), [input[2], input[3]], kernel: kernel, strides: strides, dilations: dilations),
            groups: groups, activation: try node.activation(place))
        var inputs: [ValueID?] = [x, weight]
        if let bias = node.optionalInput(2) { inputs.append(try self.bias(bias, x: x, weight: weight)) }
        try give(node, try add(node, .convolution(convolution), inputs), channelsSecond: true)
    }

    /// An integer bias counts in steps of x's scale times the weight's.
    private mutating func bias(_ index: Int, x: ValueID, weight: ValueID) throws -> ValueID {
        let id = try plain(index)
        let bias = value(id)
        if bias.type == .float32 { return id }
        guard let tensor = builder.constant(id), let input = value(x).quantization, input.scales.count == 1,
            let factors = value(weight).quantization, bias.shape.rank == 1
        else { throw Unsupported("a bias of type \(bias.type)") }
        let scales = factors.scales.map { max($0 * input.scales[0], .leastNormalMagnitude) }
        guard scales.count == 1 || scales.count == bias.shape.count else {
            throw Unsupported("a bias of shape \(bias.shape) beside \(scales.count) scales")
        }
        if bias.type == .int32 {
            let quantization = QuantizationParameters(
                scales: scales, zeroPoints: scales.map { _ in 0 }, axis: scales.count == 1 ? nil : 0)
            return builder.addConstant(bias.name, tensor, quantization: quantization)
        }
        // Beside activations of 16 bits a bias has 64.
        guard let steps = tensor.integers else { throw Unsupported("a bias of type \(bias.type)") }
        let real = steps.enumerated().map { Float($1) * scales[scales.count == 1 ? 0 : $0] }
        return builder.addConstant(bias.name, Tensor(bias.shape, real))
    }

    mutating func addTransposedConvolution(_ node: OperatorReader) throws {
        // (shape of the output, filter [K, H, W, C], x, bias?)
        let wanted = try integers(node, 0)
        let x = try channelsSecond(try node.input(2))
        let filter = try node.input(1)
        guard wanted.count == 4, try shape(filter).rank == 4 else {
            throw Unsupported("the output must have four axes")
        }
        let weight = try turned(try plain(filter), [3, 0, 1, 2])
        let (input, extents) = (value(x).shape, value(weight).shape)
        let kernel = [extents[2], extents[3]]
        let strides = [try node.int(2), try node.int(1)]
        let output = [wanted[1], wanted[2]]
        guard output.allSatisfy({ $0 > 0 && $0 <= 1 << 20 }) else { throw Unsupported("output shape \(wanted)") }
        // What the convolution that it inverts would pad is cut off.
        let cut = try pads(try node.byte(0), output, kernel: kernel, strides: strides)
        let rest = (0..<2).map { axis in
            output[axis] - ((input[axis + 2] - 1) * strides[axis] + kernel[axis] - cut[axis] - cut[axis + 2])
        }
        guard rest.allSatisfy({ $0 >= 0 }) else { throw Unsupported("output shape \(wanted)") }
        let attributes = TransposedConvolution(
            kernel: kernel, strides: strides, dilations: [1, 1], pads: cut, outputPadding: rest, groups: 1)
        var inputs: [ValueID?] = [x, weight]
        if let bias = node.optionalInput(3) { inputs.append(try self.bias(bias, x: x, weight: weight)) }
        try giveActivated(
            node, .transposedConvolution(attributes), inputs, try node.activation(3), channelsSecond: true)
    }

    mutating func addFullyConnected(_ node: OperatorReader) throws {
        guard try node.byte(1) == 0 else { throw Unsupported("shuffled weights") }
        let weight = try plain(try node.input(1))
        guard value(weight).shape.rank == 2 else { throw Unsupported("the weight must have two axes") }
        let (columns, depth) = (value(weight).shape[0], value(weight).shape[1])
        let x = try node.input(0)
        let shape = try shape(x)
        guard depth > 0, shape.count % depth == 0 else { throw Unsupported("\(shape) does not fit \(depth) columns") }
        let rows = try step(node, .reshape([shape.count / depth, depth]), [try plain(x)])
        var inputs: [ValueID?] = [rows, weight]
        if let bias = node.optionalInput(2) { inputs.append(try self.bias(bias, x: rows, weight: weight)) }
        let gemm = Gemm(transposesB: true, activation: try node.activation(0))
        let result = try add(node, .gemm(gemm), inputs)
        guard try node.flag(2), shape.rank != 2 else { return try give(node, result) }
        try give(node, try step(node, .reshape(Shape(shape.dimensions.dropLast() + [columns])), [result]))
    }

    mutating func addPool(_ node: OperatorReader, average: Bool) throws {
        let x = try channelsSecond(try node.input(0))
        let spatial = [value(x).shape[2], value(x).shape[3]]
        let (strides, kernel) = ([try node.int(2), try node.int(1)], [try node.int(4), try node.int(3)])
        let pool = Pool(
            kernel: kernel, strides: strides,
            pads: try pads(try node.byte(0), spatial, kernel: kernel, strides: strides))
        try giveActivated(
            node, average ? .averagePool(pool) : .maxPool(pool), [x], try node.activation(5), channelsSecond: true)
    }

    /// Gives the result of an operator with a function behind it that is not part of the operator.
    mutating func giveActivated(
        _ node: OperatorReader, _ operation: Operator, _ inputs: [ValueID?], _ activation: Activation,
        channelsSecond: Bool
    ) throws {
        let result = try add(node, operation, inputs)
        guard let function = activation.function else { return try give(node, result, channelsSecond: channelsSecond) }
        try give(node, try add(node, .unary(function), [result]), channelsSecond: channelsSecond)
    }

    mutating func addBatchMatMul(_ node: OperatorReader) throws {
        var operands: [ValueID] = []
        for place in 0..<2 {
            let id = try plain(try node.input(place))
            let rank = value(id).shape.rank
            guard rank >= 2 else { throw Unsupported("an input must have two axes") }
            var order = Array(0..<rank)
            order.swapAt(rank - 2, rank - 1)
            operands.append(try node.flag(place) ? try turned(id, order) : id)
        }
        try give(node, try add(node, .matMul, operands))
    }

    mutating func addSoftmax(_ node: OperatorReader, logarithm: Bool) throws {
        var x = try plain(try node.input(0))
        let axis = value(x).shape.rank - 1
        guard axis >= 0 else { throw Unsupported("the input has no axes") }
        if logarithm { return try give(node, try add(node, .logSoftmax(axis: axis), [x])) }
        let beta = try node.float(0, default: 1)
        if beta != 1 {
            x = try step(node, .binary(.multiply), [x, number(beta)])
        }
        try give(node, try add(node, .softmax(axis: axis), [x]))
    }

    /// x / sqrt(sum of x^2 over the last axis)
    mutating func addL2Normalization(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        let axis = value(x).shape.rank - 1
        guard axis >= 0, value(x).meant.type == .float32 else { throw Unsupported("an input that is no float tensor") }
        let norm = try step(node, .reduce(Reduce(.l2, axes: [axis], keepsAxes: true)), [x])
        // The smallest norm is that of TensorFlow Lite's kernel.
        let safe = try step(node, .binary(.maximum), [norm, number(1e-6)])
        try giveActivated(node, .binary(.divide), [x, safe], try node.activation(0), channelsSecond: false)
    }

    /// One direction in float, without peepholes, projection and normalization: what Keras makes.
    mutating func addLSTM(_ node: OperatorReader) throws {
        for place in [9, 10, 11, 16, 17, 20, 21, 22, 23] where node.optionalInput(place) != nil {
            throw Unsupported("peepholes, projection or normalization")
        }
        guard try node.activation(0) == .tanh else { throw Unsupported("another activation than tanh") }
        let x = try plain(try node.input(0))
        guard value(x).type == .float32, value(x).shape.rank == 3 else {
            throw Unsupported("an input that is no float tensor of three axes")
        }
        // The file has the order input, forget, cell, output; a graph input, output, forget, cell.
        let order = [0, 3, 1, 2]
        func joined(_ first: Int, _ importer: inout TFLiteImporter) throws -> ValueID {
            let parts = try order.map { try importer.plain(try node.input(first + $0)) }
            return try importer.step(node, .concat(axis: 0), parts)
        }
        let (weights, recurrence, bias) = (try joined(1, &self), try joined(5, &self), try joined(12, &self))
        let (rows, depth, hidden) = (value(weights).shape[0], value(x).shape[2], value(recurrence).shape[1])
        let zeros = builder.addConstant("zeros", Tensor(.float32, [rows]))
        let timeMajor = try node.flag(3)
        let steps = timeMajor ? x : try turned(x, [1, 0, 2])
        let recurrent = Recurrent(
            cell: .lstm, direction: .forward, hiddenSize: hidden, functions: [.sigmoid, .tanh, .tanh],
            clip: nil)
        guard try node.float(1) == 0 else { throw Unsupported("a clipped cell") }
        let result = try step(
            node, .recurrent(recurrent),
            [
                steps, try step(node, .reshape([1, rows, depth]), [weights]),
                try step(node, .reshape([1, rows, hidden]), [recurrence]),
                try step(node, .reshape([1, 2 * rows]), [try step(node, .concat(axis: 0), [bias, zeros])]),
            ])
        let shape = value(steps).shape
        let flat = try step(node, .reshape([shape[0], shape[1], hidden]), [result])
        try give(node, timeMajor ? flat : try turned(flat, [1, 0, 2]))
    }
}

extension Activation {
    /// The function on its own; nil when there is none.
    var function: Unary? {
        switch self {
        case .none: nil
        case .relu: .relu
        case .relu6: .clip(low: 0, high: 6)
        case .leakyRelu(let slope): .leakyRelu(slope: slope)
        case .clip(let low, let high): .clip(low: low, high: high)
        case .sigmoid: .sigmoid
        case .silu: .silu
        case .hardSigmoid(let slope, let offset): .hardSigmoid(slope: slope, offset: offset)
        case .hardSwish: .hardSwish
        case .tanh: .tanh
        }
    }
}
