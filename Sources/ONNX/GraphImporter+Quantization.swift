// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Type and parameters of a quantized value.
private typealias Stored = (type: ElementType, quantization: QuantizationParameters)

extension GraphImporter {
    mutating func addQuantized(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        switch kind {
        case .quantizeLinear, .microsoftQuantizeLinear: return try addQuantize(node)
        case .dequantizeLinear, .microsoftDequantizeLinear: return try addDequantize(node)
        case .dynamicQuantizeLinear: return try add(node, .dynamicQuantizeLinear, node.inputs)
        case .convInteger:
            return try add(node, .convolutionInteger(try convolution(node, weight: 1)), node.inputs)
        case .matMulInteger: return try add(node, .matMulInteger, node.inputs)
        case .qLinearConv: return try addQLinearConvolution(node)
        case .microsoftQLinearConv: return try withChannelsSecond(node) { try $0.addQLinearConvolution($1) }
        case .nhwcMaxPool:
            return try withChannelsSecond(node) { try $0.add($1, .maxPool(try $0.pool($1)), $1.inputs) }
        case .qLinearMatMul:
            let a = try quantized(node, 0, scale: 1, zeroPoint: 2, axis: rowAxis(node, 0))
            let b = try quantized(node, 3, scale: 4, zeroPoint: 5, axis: shape(try node.input(3)).rank - 1)
            return try add(node, .matMul, [a, b], scale: 6, zeroPoint: 7)
        case .qLinearAdd, .qLinearMul:
            let a = try quantized(node, 0, scale: 1, zeroPoint: 2)
            let b = try quantized(node, 3, scale: 4, zeroPoint: 5)
            return try add(node, .binary(kind == .qLinearAdd ? .add : .multiply), [a, b], scale: 6, zeroPoint: 7)
        case .qLinearConcat:
            // Output scale and zero point, then (input, scale, zero point) for each input.
            guard node.inputs.count >= 5, (node.inputs.count - 2) % 3 == 0 else {
                throw Unsupported("number of inputs")
            }
            let inputs = try stride(from: 2, to: node.inputs.count, by: 3).map {
                try quantized(node, $0, scale: $0 + 1, zeroPoint: $0 + 2)
            }
            let axis = try node.axis(node.int("axis", default: 1), rank: shape(inputs[0]).rank)
            return try add(node, .concat(axis: axis), inputs, scale: 0, zeroPoint: 1)
        case .qLinearSigmoid:
            return try add(
                node, .unary(.sigmoid), [try quantized(node, 0, scale: 1, zeroPoint: 2)], scale: 3, zeroPoint: 4)
        case .qLinearLeakyRelu:
            let function = Unary.leakyRelu(slope: node.float("alpha", default: 0.01))
            return try add(
                node, .unary(function), [try quantized(node, 0, scale: 1, zeroPoint: 2)], scale: 3, zeroPoint: 4)
        case .qLinearAveragePool:
            return try withChannelsSecond(node) { importer, node in
                let x = try importer.quantized(node, 0, scale: 1, zeroPoint: 2)
                return try importer.add(node, .averagePool(try importer.pool(node)), [x], scale: 3, zeroPoint: 4)
            }
        case .qLinearGlobalAveragePool:
            return try withChannelsSecond(node) { importer, node in
                let x = try importer.quantized(node, 0, scale: 1, zeroPoint: 2)
                return try importer.add(node, .globalPool(.average), [x], scale: 3, zeroPoint: 4)
            }
        case .qLinearSoftmax: return try addQLinearSoftmax(node)
        case .qGemm: return try addQGemm(node)
        case .qLinearWhere:
            let a = try quantized(node, 1, scale: 2, zeroPoint: 3)
            let b = try quantized(node, 4, scale: 5, zeroPoint: 6)
            return try add(node, .select, [try node.input(0), a, b], scale: 7, zeroPoint: 8)
        case .dynamicQuantizeMatMul: return try addDynamicQuantizeMatMul(node)
        case .matMulIntegerToFloat: return try addMatMulIntegerToFloat(node)
        case .dynamicQuantizeLSTM: return try addDynamicQuantizeLSTM(node)
        case .fusedConv: return try addFusedConvolution(node)
        default: preconditionFailure("\(kind) is not about quantization")
        }
    }

    /// A node over images whose channels may be last: then it stands between two transpositions.
    private mutating func withChannelsSecond(
        _ node: NodeReader, _ add: (inout Self, NodeReader) throws -> [ValueID?]
    ) throws -> [ValueID?] {
        guard node.flag("channels_last", default: node.operation == "NhwcMaxPool") else { return try add(&self, node) }
        let x = try node.input(0)
        let rank = shape(x).rank
        guard rank >= 3 else { throw Unsupported("the input has no spatial axes") }
        let second = try step(node, .transpose(permutation: [0, rank - 1] + Array(1..<(rank - 1))), [x])
        let results = try add(&self, try node.with(inputs: [second] + node.inputs.dropFirst()))
        return [try step(node, .transpose(permutation: [0] + Array(2..<rank) + [1]), results)]
    }

    /// Before operator set 13 all axes from `axis` on count as one.
    private mutating func addQLinearSoftmax(_ node: NodeReader) throws -> [ValueID?] {
        let x = try quantized(node, 0, scale: 1, zeroPoint: 2)
        let shape = shape(x)
        let isOld = node.int("opset", default: 13) < 13
        let axis = try node.axis(node.int("axis", default: -1), rank: shape.rank)
        guard isOld, shape.dimensions.dropFirst(axis + 1).contains(where: { $0 != 1 }) else {
            return try add(node, .softmax(axis: axis), [x], scale: 3, zeroPoint: 4)
        }
        let rows = shape.dimensions[..<axis].reduce(1, *)
        let flat = try step(node, .reshape([rows, shape.dimensions[axis...].reduce(1, *)]), [x])
        let result = try add(node, .softmax(axis: 1), [flat], scale: 3, zeroPoint: 4)
        return [try step(node, .reshape(shape), result)]
    }

    private func rowAxis(_ node: NodeReader, _ index: Int) throws -> Int {
        max(shape(try node.input(index)).rank - 2, 0)
    }

    // MARK: Parameters

    /// Parameters from constant inputs; several scales go with an axis.
    private func parameters(_ node: NodeReader, scale: Int, zeroPoint: Int, axis: Int?) throws -> QuantizationParameters
    {
        let scales = try floats(try constant(node, scale)).map { value -> Float in
            guard value >= 0 && value.isFinite else { throw Unsupported("a scale of \(value)") }
            // Channels that are never used have scale zero in some files.
            return max(value, .leastNormalMagnitude)
        }
        let zeroPoints = try optionalIntegers(node, zeroPoint) ?? scales.map { _ in 0 }
        guard !scales.isEmpty, zeroPoints.count == scales.count || zeroPoints.count == 1 else {
            throw Unsupported("scales and zero points do not fit")
        }
        let all = zeroPoints.count == scales.count ? zeroPoints : scales.map { _ in zeroPoints[0] }
        guard scales.count > 1 || axis != nil || all.count == 1 else { throw Unsupported("several zero points") }
        return QuantizationParameters(
            scales: scales, zeroPoints: all.map { Int32(clamping: $0) }, axis: scales.count == 1 ? nil : axis)
    }

    /// An input as a value with the parameters that stand beside it.
    private mutating func quantized(
        _ node: NodeReader, _ index: Int, scale: Int, zeroPoint: Int, axis: Int? = nil
    ) throws -> ValueID {
        let id = try node.input(index)
        let quantization = try parameters(node, scale: scale, zeroPoint: zeroPoint, axis: axis)
        return try stored(id, as: quantization)
    }

    private mutating func stored(_ id: ValueID, as quantization: QuantizationParameters) throws -> ValueID {
        let value = value(id)
        guard !value.type.quantizedRange.isEmpty else { throw Unsupported("quantized values of type \(value.type)") }
        guard quantization.zeroPoints.allSatisfy({ value.type.quantizedRange.contains($0) }) else {
            throw Unsupported("a zero point is out of range")
        }
        if let axis = quantization.axis {
            guard axis >= 0, axis < value.shape.rank, value.shape[axis] == quantization.scales.count else {
                throw Unsupported("\(quantization.scales.count) scales along axis \(axis) of \(value.shape)")
            }
        } else if quantization.scales.count != 1 {
            throw Unsupported("several scales without an axis")
        }
        return builder.reinterpret(id, as: quantization)
    }

    /// Adds an operator whose result is stored under the parameters of two further inputs.
    private mutating func add(
        _ node: NodeReader, _ operation: Operator, _ inputs: [ValueID?], scale: Int, zeroPoint: Int
    ) throws -> [ValueID?] {
        let type = node.optionalInput(zeroPoint).map { value($0).type } ?? .uint8
        let quantization = try parameters(node, scale: scale, zeroPoint: zeroPoint, axis: nil)
        guard quantization.axis == nil, quantization.scales.count == 1 else {
            throw Unsupported("several scales of the result")
        }
        return try builder.add(
            node.name, operation, inputs, outputs: [node.proto.output.first ?? node.name], stored: (type, quantization))
    }

    // MARK: Between numbers and stored numbers

    private func channelAxis(_ node: NodeReader, rank: Int) throws -> Int? {
        rank == 0 ? nil : try? node.axis(node.int("axis", default: 1), rank: rank)
    }

    private mutating func addQuantize(_ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let type: ElementType
        if let zero = node.optionalInput(2) {
            if packed.contains(zero) { throw Unsupported("quantization to 4 bits") }
            type = value(zero).type
        } else {
            let code = node.int("output_dtype", default: 0)
            guard let element = code == 0 ? .uint8 : Int32(exactly: code).flatMap(ONNXElement.init), !element.isPacked
            else {
                throw Unsupported("output_dtype = \(code)")
            }
            type = element.type
        }
        guard [.uint8, .int8, .uint16, .int16].contains(type) else { throw Unsupported("quantization to \(type)") }
        if needsFormula(node) { return try addQuantizeFormula(node, to: type) }
        let quantization = try parameters(
            node, scale: 1, zeroPoint: 2, axis: try channelAxis(node, rank: shape(x).rank))
        guard quantization.scales.count == 1 || quantization.axis != nil else {
            throw Unsupported("scales without axis")
        }
        var input = x
        if value(x).quantization != nil || value(x).type != .float32 {
            input = try step(node, .cast(to: .float32), [x])
        }
        return try builder.add(
            node.name, .quantizeLinear, [input], outputs: [node.proto.output.first ?? node.name],
            stored: (type, quantization))
    }

    private mutating func addDequantize(_ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        if needsFormula(node) { return try addDequantizeFormula(node) }
        // Constants keep their integers: what reads them works on the numbers that they stand for.
        let quantization = try parameters(
            node, scale: 1, zeroPoint: 2, axis: try channelAxis(node, rank: shape(x).rank))
        let stored = try stored(x, as: quantization)
        return try builder.add(
            node.name, .dequantizeLinear, [stored], outputs: [node.proto.output.first ?? node.name])
    }

    // MARK: Layers

    private mutating func addQLinearConvolution(_ node: NodeReader) throws -> [ValueID?] {
        let x = try quantized(node, 0, scale: 1, zeroPoint: 2)
        let weight = try quantized(node, 3, scale: 4, zeroPoint: 5, axis: 0)
        var inputs: [ValueID?] = [x, weight]
        if let bias = node.optionalInput(8) { inputs.append(try storedBias(bias, x, weight)) }
        return try add(node, .convolution(try convolution(node, weight: 3)), inputs, scale: 6, zeroPoint: 7)
    }

    /// An int32 bias counts in steps of x's scale times the weight's.
    private mutating func storedBias(_ bias: ValueID, _ x: ValueID, _ weight: ValueID) throws -> ValueID {
        guard value(bias).type == .int32 else { throw Unsupported("a bias of type \(value(bias).type)") }
        guard let input = value(x).quantization, let factors = value(weight).quantization else { return bias }
        let scales = factors.scales.map { max($0 * input.scales[0], .leastNormalMagnitude) }
        return try stored(
            bias,
            as: QuantizationParameters(
                scales: scales, zeroPoints: scales.map { _ in 0 }, axis: scales.count == 1 ? nil : 0))
    }

    private mutating func addQGemm(_ node: NodeReader) throws -> [ValueID?] {
        let gemm = Gemm(
            transposesA: node.flag("transA"), transposesB: node.flag("transB"))
        let a = try quantized(node, 0, scale: 1, zeroPoint: 2)
        // The factor applies to the sums, of which the bias is a part: it makes the steps of the weights larger.
        let alpha = node.float("alpha", default: 1)
        guard alpha > 0 && alpha.isFinite else { throw Unsupported("alpha = \(alpha)") }
        let steps = try parameters(node, scale: 4, zeroPoint: 5, axis: gemm.transposesB ? 0 : 1)
        let b = try stored(
            try node.input(3),
            as: QuantizationParameters(
                scales: steps.scales.map { max($0 * alpha, .leastNormalMagnitude) }, zeroPoints: steps.zeroPoints,
                axis: steps.axis))
        var inputs: [ValueID?] = [a, b]
        if var bias = node.optionalInput(6) {
            if shape(bias).rank == 2 && shape(bias)[0] == 1 {
                bias = try step(node, .reshape([shape(bias)[1]]), [bias])
            }
            guard shape(bias).rank == 1 || shape(bias).count == 1 else {
                throw Unsupported("a bias of shape \(shape(bias))")
            }
            inputs.append(try storedBias(bias, a, b))
        }
        guard node.optionalInput(7) != nil else {
            return try builder.add(node.name, .gemm(gemm), inputs, outputs: [node.proto.output.first ?? node.name])
        }
        return try add(node, .gemm(gemm), inputs, scale: 7, zeroPoint: 8)
    }
}
