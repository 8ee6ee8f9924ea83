// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Operator {
    /// Types and shapes of the outputs for inputs of the given types and shapes, nil where one is left out.
    ///
    /// This is where an operator's attributes and inputs are checked: whatever passes can be computed without another look
    /// at shapes. Everything may come from a file, so no attribute is trusted and no sum overflows.
    package func outputTypes(_ inputs: [TensorType?]) throws -> [TensorType] {
        let arguments = Arguments(node: self, types: inputs)
        let outputs = try infer(arguments)
        for output in outputs { try output.checked() }
        return outputs
    }

    /// Name for messages: that of the case.
    package var name: String {
        let text = String(describing: self)
        return String(text.prefix { $0 != "(" })
    }

    private func infer(_ arguments: Arguments) throws -> [TensorType] {
        switch self {
        case .convolution(let convolution): return [try convolution.outputType(arguments)]
        case .convolutionInteger(let convolution): return [try convolution.integerOutputType(arguments)]
        case .transposedConvolution(let convolution): return [try convolution.outputType(arguments)]
        case .gemm(let gemm): return [try gemm.outputType(arguments)]
        case .matMul:
            try arguments.expect(2...2)
            let (a, b) = (try arguments[0], try arguments[1])
            try arguments.require(a.type == b.type && a.type.isNumber, "inputs must be numbers of one type")
            return [TensorType(a.type, try arguments.matMulShape(a.shape, b.shape))]
        case .matMulInteger:
            try arguments.expect(2...4)
            let (a, b) = (try arguments[0], try arguments[1])
            try arguments.require(a.type.isByte && b.type.isByte, "inputs must be 8-bit integers")
            let shape = try arguments.matMulShape(a.shape, b.shape)
            if let zero = arguments.optional(2) {
                let rows = a.shape.rank > 1 ? a.shape[a.shape.rank - 2] : 1
                try arguments.require(
                    zero.type == a.type && (zero.shape.count == 1 || zero.shape.count == rows),
                    "one zero point for a, or one per row")
            }
            if let zero = arguments.optional(3) {
                let columns = b.shape.rank > 1 ? b.shape[b.shape.rank - 1] : 1
                try arguments.require(
                    zero.type == b.type && (zero.shape.count == 1 || zero.shape.count == columns),
                    "one zero point for b, or one per column")
            }
            return [TensorType(.int32, shape)]
        case .maxPool(let pool):
            try arguments.expect(1...1)
            let x = try arguments[0]
            let shape = try pool.outputShape(arguments)
            return [TensorType(x.type, shape), TensorType(.int64, shape)]
        case .averagePool(let pool):
            try arguments.expect(1...1)
            try arguments.requireFloat(0)
            return [TensorType(.float32, try pool.outputShape(arguments))]
        case .globalPool:
            try arguments.expect(1...1)
            try arguments.requireFloat(0)
            let shape = try arguments[0].shape
            try arguments.require(shape.rank >= 2, "needs at least two axes")
            try arguments.require(shape.dimensions.dropFirst(2).allSatisfy { $0 > 0 }, "nothing to pool")
            return [TensorType(.float32, Shape(shape.dimensions.enumerated().map { $0.offset < 2 ? $0.element : 1 }))]
        case .batchNormalization: return [try arguments.normalization(parameters: 4, required: 4)]
        case .instanceNormalization: return [try arguments.normalization(parameters: 2, required: 2)]
        case .groupNormalization(let groups, _):
            let x = try arguments.normalization(parameters: 2, required: 2)
            try arguments.require(groups > 0 && x.shape[1] % groups == 0, "groups must divide the channels")
            return [x]
        case .layerNormalization(let axis, _):
            try arguments.expect(2...3)
            try arguments.requireFloat(0, 1, 2)
            let x = try arguments[0]
            try arguments.requireAxis(axis, rank: x.shape.rank)
            let normalized = Shape(Array(x.shape.dimensions[axis...]))
            for index in 1...2 {
                guard let parameter = arguments.optional(index) else { continue }
                try arguments.require(
                    try arguments.broadcast(parameter.shape, normalized) == normalized,
                    "scale and bias must broadcast to the normalized axes")
            }
            let statistics = Shape(x.shape.dimensions.enumerated().map { $0.offset < axis ? $0.element : 1 })
            return [x, TensorType(.float32, statistics), TensorType(.float32, statistics)]
        case .localResponseNormalization(let attributes):
            try arguments.expect(1...1)
            try arguments.requireFloat(0)
            try arguments.require(attributes.size > 0 && attributes.size <= 1 << 20, "size must be positive")
            try arguments.require(try arguments[0].shape.rank >= 2, "needs at least two axes")
            return [try arguments[0]]
        case .softmax(let axis), .logSoftmax(let axis):
            try arguments.expect(1...1)
            try arguments.requireFloat(0)
            try arguments.requireAxis(axis, rank: try arguments[0].shape.rank)
            return [try arguments[0]]
        case .recurrent(let recurrent): return try recurrent.outputTypes(arguments)
        case .unary(let unary):
            try arguments.expect(1...1)
            return [try unary.outputType(arguments)]
        case .binary(let binary, let activation):
            try arguments.expect(2...2)
            let output = try binary.outputType(arguments)
            try arguments.require(activation == .none || output.type == .float32, "activations work on float32")
            return [output]
        case .select:
            try arguments.expect(3...3)
            let (condition, a, b) = (try arguments[0], try arguments[1], try arguments[2])
            try arguments.require(condition.type == .bool, "the condition must be bool")
            try arguments.require(a.type == b.type, "both choices must have one type")
            let shape = try arguments.broadcast(condition.shape, try arguments.broadcast(a.shape, b.shape))
            return [TensorType(a.type, shape)]
        case .cast(let type):
            try arguments.expect(1...1)
            let x = try arguments[0]
            try arguments.require(x.type != .float16 && type != .float16, "float16 is converted at import")
            return [TensorType(type, x.shape)]
        case .reduce(let reduce): return [try reduce.outputType(arguments)]
        case .argReduce(let reduce):
            try arguments.expect(1...1)
            let x = try arguments[0]
            try arguments.require(x.type.isNumber, "works on numbers")
            try arguments.requireAxis(reduce.axis, rank: x.shape.rank)
            try arguments.require(x.shape[reduce.axis] > 0, "nothing to choose from")
            var dimensions = x.shape.dimensions
            if reduce.keepsAxis { dimensions[reduce.axis] = 1 } else { dimensions.remove(at: reduce.axis) }
            return [TensorType(.int64, Shape(dimensions))]
        case .topK(let topK):
            try arguments.expect(1...1)
            let x = try arguments[0]
            try arguments.require(x.type.isNumber, "works on numbers")
            try arguments.requireAxis(topK.axis, rank: x.shape.rank)
            try arguments.require(
                topK.count >= 0 && topK.count <= x.shape[topK.axis], "k must not exceed the axis' extent")
            var dimensions = x.shape.dimensions
            dimensions[topK.axis] = topK.count
            return [TensorType(x.type, Shape(dimensions)), TensorType(.int64, Shape(dimensions))]
        case .cumulativeSum(let sum):
            try arguments.expect(1...1)
            let x = try arguments[0]
            try arguments.require(x.type.isNumber, "works on numbers")
            try arguments.requireAxis(sum.axis, rank: x.shape.rank)
            return [x]
        case .nonMaxSuppression: throw GraphError.dataDependentShape(operation: name, input: "boxes and scores")
        case .detectionPostProcess(let attributes): return try attributes.outputTypes(arguments)
        case .nonZero: throw GraphError.dataDependentShape(operation: name, input: "its input")
        case .concat, .split, .slice, .selectChannels, .gather, .gatherElements, .gatherND, .scatterElements,
            .scatterND, .reshape,
            .transpose, .expand, .tile, .pad, .resize, .depthToSpace, .spaceToDepth, .oneHot, .triangle:
            return try inferMovement(arguments)
        case .quantizeLinear, .dequantizeLinear:
            // Both mean the same number before and after; what is stored is the values' matter.
            try arguments.expect(1...1)
            try arguments.requireFloat(0)
            return [try arguments[0]]
        case .reinterpret:
            try arguments.expect(1...1)
            return [try arguments[0]]
        case .dynamicQuantizeLinear:
            try arguments.expect(1...1)
            try arguments.requireFloat(0)
            return [
                TensorType(.uint8, try arguments[0].shape), TensorType(.float32, Shape([])),
                TensorType(.uint8, Shape([])),
            ]
        }
    }
}

extension ElementType {
    /// Whether arithmetic is defined on it here.
    var isNumber: Bool { self != .bool && self != .float16 }
    var isFloat: Bool { self == .float32 || self == .float64 }
    var isByte: Bool { self == .uint8 || self == .int8 }
    var isIndex: Bool { self == .int32 || self == .int64 }
}

/// The inputs of one operator, with checks that name it.
struct Arguments {
    let node: Operator
    let types: [TensorType?]

    /// For messages: finding it takes longer than all checks.
    var operation: String { node.name }

    /// A required input.
    subscript(index: Int) -> TensorType {
        get throws {
            guard index < types.count, let type = types[index] else {
                throw GraphError.unsuitable(operation: operation, reason: "input \(index) is missing")
            }
            return type
        }
    }

    func optional(_ index: Int) -> TensorType? { index < types.count ? types[index] : nil }

    func require(_ condition: @autoclosure () throws -> Bool, _ reason: @autoclosure () -> String) throws {
        guard try condition() else { throw GraphError.unsuitable(operation: operation, reason: reason()) }
    }

    /// As many inputs as `count` says; those below its lower bound are present.
    func expect(_ count: ClosedRange<Int>) throws {
        try require(
            count.contains(types.count), "takes \(count.lowerBound) to \(count.upperBound) inputs, has \(types.count)")
        for index in 0..<count.lowerBound { _ = try self[index] }
    }

    /// Those of the given inputs that are present must be float32.
    func requireFloat(_ indices: Int...) throws {
        for index in indices {
            if let type = optional(index) {
                try require(type.type == .float32, "input \(index) must be float32, is \(type.type)")
            }
        }
    }

    func requireAxis(_ axis: Int, rank: Int) throws {
        try require(axis >= 0 && axis < rank, "axis \(axis) of a tensor with \(rank) axes")
    }

    /// Attributes small enough that no sum or product of two overflows.
    func requireModerate(_ attributes: [Int]) throws {
        let limit = 1 << 31
        try require(attributes.allSatisfy { $0 >= -limit && $0 <= limit }, "an attribute is out of range")
    }

    /// Shape of an element-wise result, by NumPy's rules.
    func broadcast(_ a: Shape, _ b: Shape) throws -> Shape {
        let rank = max(a.rank, b.rank)
        var dimensions = [Int](repeating: 1, count: rank)
        for axis in 0..<rank {
            let left = axis < rank - a.rank ? 1 : a[axis - (rank - a.rank)]
            let right = axis < rank - b.rank ? 1 : b[axis - (rank - b.rank)]
            try require(left == right || left == 1 || right == 1, "shapes \(a) and \(b) do not broadcast")
            dimensions[axis] = left == 1 ? right : left
        }
        return Shape(dimensions)
    }

    func matMulShape(_ a: Shape, _ b: Shape) throws -> Shape {
        try require(a.rank >= 1 && b.rank >= 1, "inputs need at least one axis")
        let left = a.rank == 1 ? [1, a[0]] : a.dimensions
        let right = b.rank == 1 ? [b[0], 1] : b.dimensions
        try require(
            left[left.count - 1] == right[right.count - 2], "inner extents of \(a) and \(b) differ")
        let batch = try broadcast(Shape(Array(left.dropLast(2))), Shape(Array(right.dropLast(2))))
        var dimensions = batch.dimensions
        if a.rank > 1 { dimensions.append(left[left.count - 2]) }
        if b.rank > 1 { dimensions.append(right[right.count - 1]) }
        return Shape(dimensions)
    }

    /// x [N, C, ...] with `parameters` further inputs of shape [C].
    func normalization(parameters: Int, required: Int) throws -> TensorType {
        try expect((1 + required)...(1 + parameters))
        let x = try self[0]
        try requireFloat(0)
        try require(x.shape.rank >= 2, "needs at least two axes")
        for index in 1...parameters {
            guard let parameter = optional(index) else { continue }
            try require(
                parameter.type == .float32 && parameter.shape == Shape([x.shape[1]]),
                "input \(index) must be float32 with one element per channel")
        }
        return x
    }
}

/// Extents of windows that slide over spatial axes.
struct Windows {
    let kernel: [Int]
    let strides: [Int]
    let dilations: [Int]
    let pads: [Int]
    var roundsUp = false

    func outputExtents(_ spatial: [Int], _ arguments: Arguments) throws -> [Int] {
        let rank = spatial.count
        try arguments.require(rank >= 1 && rank <= 3, "one to three spatial axes are supported")
        try arguments.require(
            kernel.count == rank && strides.count == rank && dilations.count == rank && pads.count == 2 * rank,
            "kernel, strides, dilations and pads must match the spatial axes")
        try arguments.requireModerate(kernel + strides + dilations + pads)
        try arguments.require(
            (kernel + strides + dilations).allSatisfy { $0 > 0 } && pads.allSatisfy { $0 >= 0 },
            "kernel, strides and dilations must be positive, pads not negative")
        return try (0..<rank).map { axis in
            let reach = (kernel[axis] - 1) * dilations[axis] + 1
            let padded = spatial[axis] + pads[axis] + pads[rank + axis]
            try arguments.require(padded >= reach, "the window is larger than the padded input")
            let (quotient, rest) = (padded - reach).quotientAndRemainder(dividingBy: strides[axis])
            var extent = quotient + 1
            if roundsUp && rest > 0 && extent * strides[axis] < spatial[axis] + pads[axis] { extent += 1 }
            return extent
        }
    }
}

extension Pool {
    var windows: Windows {
        Windows(kernel: kernel, strides: strides, dilations: dilations, pads: pads, roundsUp: roundsUp)
    }

    func outputShape(_ arguments: Arguments) throws -> Shape {
        let x = try arguments[0]
        try arguments.require(x.shape.rank >= 3, "needs at least three axes")
        try arguments.require(x.type.isNumber, "works on numbers")
        let spatial = Array(x.shape.dimensions.dropFirst(2))
        let extents = try windows.outputExtents(spatial, arguments)
        for axis in spatial.indices {
            try arguments.require(
                pads[axis] <= (kernel[axis] - 1) * dilations[axis]
                    && pads[spatial.count + axis] <= (kernel[axis] - 1) * dilations[axis],
                "padding is as large as the window")
        }
        return Shape([x.shape[0], x.shape[1]] + extents)
    }
}

extension Convolution {
    var windows: Windows { Windows(kernel: kernel, strides: strides, dilations: dilations, pads: pads) }

    func outputType(_ arguments: Arguments) throws -> TensorType {
        try arguments.expect(2...4)
        try arguments.requireFloat(0, 1, 2, 3)
        let shape = try outputShape(arguments)
        if let bias = arguments.optional(2) {
            try arguments.require(bias.shape == Shape([shape[1]]), "bias must have one element per output channel")
        }
        try arguments.require((arguments.optional(3) != nil) == (residual != nil), "residual input and attribute")
        if let addend = arguments.optional(3) {
            try arguments.require(addend.shape == shape, "the residual must have the output's shape")
        }
        return TensorType(.float32, shape)
    }

    func integerOutputType(_ arguments: Arguments) throws -> TensorType {
        try arguments.expect(2...4)
        let (x, weight) = (try arguments[0], try arguments[1])
        try arguments.require(x.type.isByte && weight.type.isByte, "inputs must be 8-bit integers")
        try arguments.require(activation == .none && residual == nil, "nothing follows an integer convolution")
        let shape = try outputShape(arguments)
        if let zero = arguments.optional(2) {
            try arguments.require(zero.type == x.type && zero.shape.count == 1, "one zero point for x")
        }
        if let zero = arguments.optional(3) {
            try arguments.require(
                zero.type == weight.type && (zero.shape.count == 1 || zero.shape.count == shape[1]),
                "one zero point for the weight, or one per output channel")
        }
        return TensorType(.int32, shape)
    }

    private func outputShape(_ arguments: Arguments) throws -> Shape {
        let (x, weight) = (try arguments[0].shape, try arguments[1].shape)
        try arguments.require(x.rank >= 3 && weight.rank == x.rank, "x and weight must have the same rank, at least 3")
        try arguments.require(groups > 0 && groups <= 1 << 31, "groups must be positive")
        try arguments.require(
            x[1] % groups == 0 && weight[1] == x[1] / groups && weight[0] % groups == 0,
            "channels \(x[1]), weight \(weight) and \(groups) groups do not fit")
        try arguments.require(Array(weight.dimensions.dropFirst(2)) == kernel, "kernel and weight differ")
        return Shape([x[0], weight[0]] + (try windows.outputExtents(Array(x.dimensions.dropFirst(2)), arguments)))
    }
}

extension TransposedConvolution {
    func outputType(_ arguments: Arguments) throws -> TensorType {
        try arguments.expect(2...3)
        try arguments.requireFloat(0, 1, 2)
        let (x, weight) = (try arguments[0].shape, try arguments[1].shape)
        let rank = x.rank - 2
        try arguments.require(
            rank >= 1 && rank <= 3 && weight.rank == x.rank, "one to three spatial axes are supported")
        try arguments.require(groups > 0 && groups <= 1 << 31, "groups must be positive")
        try arguments.require(x[1] == weight[0] && x[1] % groups == 0, "channels, weight and groups do not fit")
        try arguments.require(Array(weight.dimensions.dropFirst(2)) == kernel, "kernel and weight differ")
        try arguments.require(
            strides.count == rank && dilations.count == rank && outputPadding.count == rank && pads.count == 2 * rank,
            "strides, dilations, output padding and pads must match the spatial axes")
        try arguments.requireModerate(strides + dilations + outputPadding + pads)
        try arguments.require(
            (kernel + strides + dilations).allSatisfy { $0 > 0 } && outputPadding.allSatisfy { $0 >= 0 },
            "kernel, strides and dilations must be positive, output padding not negative")
        let channels = weight[1].multipliedReportingOverflow(by: groups)
        try arguments.require(!channels.overflow, "too many channels")
        let spatial = try (0..<rank).map { axis in
            try arguments.require(x[axis + 2] <= 1 << 30 && x[axis + 2] > 0, "an extent is out of range")
            let extent =
                (x[axis + 2] - 1) * strides[axis] + outputPadding[axis] + (kernel[axis] - 1) * dilations[axis] + 1
                - pads[axis] - pads[rank + axis]
            try arguments.require(extent >= 0, "pads are larger than the output")
            return extent
        }
        if let bias = arguments.optional(2) {
            try arguments.require(
                bias.shape == Shape([channels.partialValue]), "bias must have one element per output channel")
        }
        return TensorType(.float32, Shape([x[0], channels.partialValue] + spatial))
    }
}

extension Gemm {
    func outputType(_ arguments: Arguments) throws -> TensorType {
        try arguments.expect(2...3)
        let (a, b) = (try arguments[0], try arguments[1])
        try arguments.requireFloat(0, 1, 2)
        try arguments.require(a.shape.rank == 2 && b.shape.rank == 2, "a and b must be matrices")
        let (rows, inner) = transposesA ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
        let (depth, columns) = transposesB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
        try arguments.require(inner == depth, "inner extents of \(a.shape) and \(b.shape) differ")
        let shape = Shape([rows, columns])
        if let c = arguments.optional(2) {
            try arguments.require(try arguments.broadcast(c.shape, shape) == shape, "c does not broadcast")
        }
        return TensorType(.float32, shape)
    }
}

extension Recurrent {
    func outputTypes(_ arguments: Arguments) throws -> [TensorType] {
        try arguments.expect(3...(cell == .lstm ? 8 : 6))
        try arguments.requireFloat(0, 1, 2, 3, 5, 6, 7)
        let x = try arguments[0].shape
        try arguments.require(x.rank == 3, "x must have three axes")
        try arguments.require(hiddenSize > 0 && hiddenSize <= 1 << 20, "hidden size must be positive")
        let functionsPerDirection = cell == .lstm ? 3 : cell == .gru ? 2 : 1
        try arguments.require(functions.count == directions * functionsPerDirection, "number of functions")
        if let state {
            try arguments.require(
                state.axis == nil && state.scales.count == 1 && state.zeroPoints.count == 1 && state.scales[0] > 0
                    && state.scales[0].isFinite && ElementType.uint8.quantizedRange.contains(state.zeroPoints[0]),
                "parameters of the state")
        }
        let (steps, batch) = batchFirst ? (x[1], x[0]) : (x[0], x[1])
        let rows = cell.gates * hiddenSize
        let state = batchFirst ? Shape([batch, directions, hiddenSize]) : Shape([directions, batch, hiddenSize])
        let expected: [Int: Shape] = [
            1: [directions, rows, x[2]], 2: [directions, rows, hiddenSize], 3: [directions, 2 * rows], 4: [batch],
            5: state, 6: state, 7: [directions, 3 * hiddenSize],
        ]
        for (index, shape) in expected {
            guard let input = arguments.optional(index) else { continue }
            try arguments.require(input.shape == shape, "input \(index) must be \(shape), is \(input.shape)")
        }
        if let lengths = arguments.optional(4) {
            try arguments.require(lengths.type == .int32, "sequence lengths must be int32")
        }
        let y: Shape =
            batchFirst ? [batch, steps, directions, hiddenSize] : [steps, directions, batch, hiddenSize]
        let states = [TensorType](repeating: TensorType(.float32, state), count: cell == .lstm ? 2 : 1)
        return [TensorType(.float32, y)] + states
    }
}

extension Unary {
    func outputType(_ arguments: Arguments) throws -> TensorType {
        let x = try arguments[0]
        switch self {
        case .not:
            try arguments.require(x.type == .bool, "works on bool")
        case .isNaN, .isInfinite:
            try arguments.require(x.type.isFloat, "works on floating point")
            return TensorType(.bool, x.shape)
        case .negate, .abs, .sign, .relu:
            try arguments.require(x.type.isNumber, "works on numbers")
        default:
            try arguments.require(x.type.isFloat, "works on floating point, not on \(x.type)")
        }
        return x
    }
}

extension Binary {
    func outputType(_ arguments: Arguments) throws -> TensorType {
        let (a, b) = (try arguments[0], try arguments[1])
        // The exponent may be of another type.
        try arguments.require(a.type == b.type || self == .power, "inputs are \(a.type) and \(b.type)")
        let shape = try arguments.broadcast(a.shape, b.shape)
        if isComparison { return TensorType(.bool, shape) }
        if isLogic {
            try arguments.require(a.type == .bool, "works on bool")
        } else {
            try arguments.require(a.type.isNumber && b.type.isNumber, "works on numbers")
        }
        if self == .parametricRelu { try arguments.require(shape == a.shape, "the slope must broadcast to x") }
        return TensorType(a.type, shape)
    }
}

extension Reduce {
    func outputType(_ arguments: Arguments) throws -> TensorType {
        try arguments.expect(1...1)
        let x = try arguments[0]
        let takesBool = function == .maximum || function == .minimum
        try arguments.require(x.type.isNumber || (takesBool && x.type == .bool), "works on numbers")
        try arguments.require(
            axes.allSatisfy { $0 >= 0 && $0 < x.shape.rank } && zip(axes, axes.dropFirst()).allSatisfy { $0 < $1 },
            "axes must be ascending and exist")
        var dimensions: [Int] = []
        for axis in 0..<x.shape.rank {
            if !axes.contains(axis) { dimensions.append(x.shape[axis]) } else if keepsAxes { dimensions.append(1) }
        }
        return TensorType(x.type, Shape(dimensions))
    }
}
