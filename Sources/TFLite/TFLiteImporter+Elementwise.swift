// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension TFLiteImporter {
    mutating func add(_ kind: TFLiteOperator, _ node: OperatorReader) throws {
        switch kind {
        case .conv2D: try addConvolution(node, depthwise: false)
        case .depthwiseConv2D: try addConvolution(node, depthwise: true)
        case .transposeConv: try addTransposedConvolution(node)
        case .fullyConnected: try addFullyConnected(node)
        case .averagePool2D: try addPool(node, average: true)
        case .maxPool2D: try addPool(node, average: false)
        case .batchMatMul: try addBatchMatMul(node)
        case .softmax: try addSoftmax(node, logarithm: false)
        case .logSoftmax: try addSoftmax(node, logarithm: true)
        case .l2Normalization: try addL2Normalization(node)
        case .whileLoop: try addWhile(node)
        case .unidirectionalSequenceLSTM: try addLSTM(node)
        case .relu: try addUnary(node, .relu)
        case .relu6: try addUnary(node, .clip(low: 0, high: 6))
        case .reluN1To1: try addUnary(node, .clip(low: -1, high: 1))
        case .relu0To1: try addUnary(node, .clip(low: 0, high: 1))
        case .logistic: try addUnary(node, .sigmoid)
        case .tanh: try addUnary(node, .tanh)
        case .hardSwish: try addUnary(node, .hardSwish)
        case .leakyRelu: try addUnary(node, .leakyRelu(slope: try node.float(0)))
        case .elu: try addUnary(node, .elu(alpha: 1))
        case .gelu: try addUnary(node, .gelu(approximatesWithTanh: try node.flag(0)))
        case .abs: try addUnary(node, .abs)
        case .neg: try addUnary(node, .negate)
        case .sign: try addUnary(node, .sign)
        case .exp: try addUnary(node, .exp)
        case .log: try addUnary(node, .log)
        case .sqrt: try addUnary(node, .sqrt)
        case .floor: try addUnary(node, .floor)
        case .ceil: try addUnary(node, .ceil)
        case .round: try addUnary(node, .round)
        case .sin: try addUnary(node, .sin)
        case .cos: try addUnary(node, .cos)
        case .logicalNot: try addUnary(node, .not)
        case .rsqrt: try addReciprocalRoot(node)
        case .square: try addPair(node, .multiply, 0, 0)
        case .add: try addBinary(node, .add)
        case .sub: try addBinary(node, .subtract)
        case .mul: try addBinary(node, .multiply)
        case .div: try addBinary(node, .divide)
        case .maximum: try addPair(node, .maximum, 0, 1)
        case .minimum: try addPair(node, .minimum, 0, 1)
        case .pow: try addPair(node, .power, 0, 1)
        case .floorMod: try addPair(node, .modulo, 0, 1)
        case .prelu: try addPair(node, .parametricRelu, 0, 1)
        case .less: try addPair(node, .less, 0, 1)
        case .lessEqual: try addPair(node, .lessOrEqual, 0, 1)
        case .greater: try addPair(node, .greater, 0, 1)
        case .greaterEqual: try addPair(node, .greaterOrEqual, 0, 1)
        case .equal: try addPair(node, .equal, 0, 1)
        case .notEqual: try addNotEqual(node)
        case .logicalAnd: try addPair(node, .and, 0, 1)
        case .logicalOr: try addPair(node, .or, 0, 1)
        case .floorDiv: try addFloorDivision(node)
        case .squaredDifference: try addSquaredDifference(node)
        case .addN: try addSum(node)
        case .select, .selectV2: try addSelect(node)
        case .cast: try addCast(node)
        case .quantize: try addQuantize(node)
        case .dequantize: try addDequantize(node)
        case .mean: try addReduce(node, .mean)
        case .sum: try addReduce(node, .sum)
        case .reduceProd: try addReduce(node, .product)
        case .reduceMax: try addReduce(node, .maximum)
        case .reduceMin: try addReduce(node, .minimum)
        case .argMax, .argMin: try addArgument(node, findsMaximum: kind == .argMax)
        case .topK: try addTopK(node)
        case .cumulativeSum: try addCumulativeSum(node)
        case .reshape, .squeeze, .expandDims, .transpose, .concatenation, .pack, .unpack, .split, .splitV, .slice,
            .stridedSlice, .pad, .padV2, .mirrorPad, .gather, .gatherND, .tile, .broadcastTo, .reverse, .resizeBilinear,
            .resizeNearestNeighbor, .depthToSpace, .spaceToDepth, .shape, .rank, .fill, .zerosLike, .range:
            try addMovement(kind, node)
        }
    }

    // MARK: One number to one

    private mutating func addUnary(_ node: OperatorReader, _ function: Unary) throws {
        let x = try node.input(0)
        let isSecond = try isChannelsSecond(x)
        let id = isSecond ? try channelsSecond(x) : try plain(x)
        try give(node, try add(node, .unary(function), [id]), channelsSecond: isSecond)
    }

    private mutating func addReciprocalRoot(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        guard value(x).meant.type == .float32 else { throw Unsupported("integers") }
        try give(node, try add(node, .unary(.reciprocal), [try step(node, .unary(.sqrt), [x])]))
    }

    private mutating func addCast(_ node: OperatorReader) throws {
        let x = builder.reinterpret(try plain(try node.input(0)), as: nil)
        let type = try type(try node.output(0))
        try give(node, value(x).type == type ? x : try add(node, .cast(to: type), [x]))
    }

    private mutating func addQuantize(_ node: OperatorReader) throws {
        let x = try node.input(0)
        guard try stored(try node.output(0)) != nil else { throw Unsupported("the output has no scale") }
        let isSecond = try isChannelsSecond(x)
        let id = isSecond ? try channelsSecond(x) : try plain(x)
        guard value(id).meant.type == .float32 else { throw Unsupported("an input of type \(value(id).type)") }
        try give(node, try add(node, .quantizeLinear, [id]), channelsSecond: isSecond)
    }

    /// Constants of half precision are float already.
    private mutating func addDequantize(_ node: OperatorReader) throws {
        let x = try node.input(0)
        let isSecond = try isChannelsSecond(x)
        let id = isSecond ? try channelsSecond(x) : try plain(x)
        guard value(id).quantization != nil else {
            guard value(id).type == .float32 else {
                throw Unsupported("an input of type \(value(id).type) without scale")
            }
            return try give(node, id, channelsSecond: isSecond)
        }
        if let tensor = builder.constant(id), let quantization = value(id).quantization {
            return try give(node, builder.addConstant(node.name, ReferenceEvaluator.dequantize(tensor, quantization)))
        }
        try give(node, try add(node, .dequantizeLinear, [id]), channelsSecond: isSecond)
    }

    // MARK: Two numbers to one

    /// Operands in one order of axes, and whether that is channels second.
    private mutating func aligned(_ indices: [Int]) throws -> (ids: [ValueID], channelsSecond: Bool) {
        let shapes = try indices.map { try shape($0) }
        let rank = shapes.map(\.rank).max() ?? 0
        let isSecond = try rank == 4 && indices.contains { try isChannelsSecond($0) }
        guard isSecond else { return (try indices.map { try plain($0) }, false) }
        let ids = try zip(indices, shapes).map { index, shape -> ValueID in
            if shape.rank == 4 { return try channelsSecond(index) }
            if shape.rank == 0 { return try plain(index) }
            // Missing axes stand in front.
            let wide = Shape([Int](repeating: 1, count: 4 - shape.rank) + shape.dimensions)
            return try turned(try reshaped(try plain(index), wide), [0, 3, 1, 2])
        }
        return (ids, true)
    }

    /// Works on constants with parameters too.
    private mutating func reshaped(_ id: ValueID, _ shape: Shape) throws -> ValueID {
        let value = value(id)
        guard let tensor = builder.constant(id) else {
            return try single(builder.add(value.name, .reshape(shape), [id], outputs: [value.name]))
        }
        guard value.quantization?.axis == nil else { throw Unsupported("an operand with several scales") }
        return builder.addConstant(value.name, tensor.reshaped(to: shape), quantization: value.quantization)
    }

    private mutating func addBinary(_ node: OperatorReader, _ function: Binary) throws {
        let (ids, isSecond) = try aligned([try node.input(0), try node.input(1)])
        let operation = Operator.binary(function, activation: try node.activation(0))
        try give(node, try add(node, operation, ids), channelsSecond: isSecond)
    }

    private mutating func addPair(_ node: OperatorReader, _ function: Binary, _ first: Int, _ second: Int) throws {
        let (ids, isSecond) = try aligned([try node.input(first), try node.input(second)])
        try give(node, try add(node, .binary(function), ids), channelsSecond: isSecond)
    }

    private mutating func addNotEqual(_ node: OperatorReader) throws {
        let (ids, isSecond) = try aligned([try node.input(0), try node.input(1)])
        let equal = try step(node, .binary(.equal), ids)
        try give(node, try add(node, .unary(.not), [equal]), channelsSecond: isSecond)
    }

    private mutating func addFloorDivision(_ node: OperatorReader) throws {
        let (ids, isSecond) = try aligned([try node.input(0), try node.input(1)])
        guard value(ids[0]).type == .float32, value(ids[0]).quantization == nil else {
            // a - modulo(a, b) is a multiple of b.
            let rest = try step(node, .binary(.modulo), ids)
            let whole = try step(node, .binary(.subtract), [ids[0], rest])
            return try give(node, try add(node, .binary(.divide), [whole, ids[1]]), channelsSecond: isSecond)
        }
        let quotient = try step(node, .binary(.divide), ids)
        try give(node, try add(node, .unary(.floor), [quotient]), channelsSecond: isSecond)
    }

    private mutating func addSquaredDifference(_ node: OperatorReader) throws {
        let (ids, isSecond) = try aligned([try node.input(0), try node.input(1)])
        let difference = try step(node, .binary(.subtract), ids)
        try give(node, try add(node, .binary(.multiply), [difference, difference]), channelsSecond: isSecond)
    }

    private mutating func addSum(_ node: OperatorReader) throws {
        let (ids, isSecond) = try aligned(node.inputs)
        guard ids.count > 1 else { return try give(node, ids[0], channelsSecond: isSecond) }
        var sum = ids[0]
        for id in ids[1..<(ids.count - 1)] { sum = try step(node, .binary(.add), [sum, id]) }
        try give(node, try add(node, .binary(.add), [sum, ids[ids.count - 1]]), channelsSecond: isSecond)
    }

    private mutating func addSelect(_ node: OperatorReader) throws {
        let (ids, isSecond) = try aligned([try node.input(0), try node.input(1), try node.input(2)])
        try give(node, try add(node, .select, ids), channelsSecond: isSecond)
    }

    // MARK: Reductions

    private mutating func addReduce(_ node: OperatorReader, _ function: Reduce.Function) throws {
        let x = try node.input(0)
        let shape = try shape(x)
        let given = try integers(node, 1).map { try node.axis($0, rank: shape.rank) }
        let axes = Set(given).sorted()
        let keepsAxes = try node.flag(0)
        if function == .mean, axes == [1, 2], shape.rank == 4 {
            let pooled = try add(node, .globalPool(.average), [try channelsSecond(x)])
            if keepsAxes { return try give(node, pooled, channelsSecond: true) }
            return try give(node, try step(node, .reshape([shape[0], shape[3]]), [pooled]))
        }
        try give(node, try add(node, .reduce(Reduce(function, axes: axes, keepsAxes: keepsAxes)), [try plain(x)]))
    }

    private mutating func addArgument(_ node: OperatorReader, findsMaximum: Bool) throws {
        let x = builder.reinterpret(try plain(try node.input(0)), as: nil)
        guard let axis = try integers(node, 1).first else { throw Unsupported("the axis is missing") }
        let attributes = ArgReduce(
            findsMaximum: findsMaximum, axis: try node.axis(axis, rank: value(x).shape.rank), keepsAxis: false,
            selectsLast: false)
        try give(node, try add(node, .argReduce(attributes), [x]))
    }

    private mutating func addTopK(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        guard let count = try integers(node, 1).first, value(x).shape.rank > 0 else {
            throw Unsupported("k is missing")
        }
        let attributes = TopK(axis: value(x).shape.rank - 1, count: count, largest: true)
        let names: [String?] = [node.name, "\(node.name) indices"]
        let ids = try builder.add(
            node.name, .topK(attributes), [x], outputs: names, stored: try stored(try node.output(0)))
        for (place, id) in ids.enumerated() where place < node.outputs.count {
            if let id { try give(node, id, output: place) }
        }
    }

    private mutating func addCumulativeSum(_ node: OperatorReader) throws {
        let x = try plain(try node.input(0))
        guard let axis = try integers(node, 1).first else { throw Unsupported("the axis is missing") }
        let attributes = CumulativeSum(
            axis: try node.axis(axis, rank: value(x).shape.rank), exclusive: try node.flag(0), reverse: try node.flag(1)
        )
        try give(node, try add(node, .cumulativeSum(attributes), [x]))
    }
}
