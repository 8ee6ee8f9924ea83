// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Quantization whose parameters are computed while the network runs, or stand per block: written out in arithmetic.
extension GraphImporter {
    /// Whether the parameters are not such as belong to a value.
    func needsFormula(_ node: NodeReader) -> Bool {
        let parameters = (1...2).compactMap { node.optionalInput($0) }
        return node.int("block_size", default: 0) != 0 || parameters.contains { builder.constant($0) == nil }
    }

    /// saturate(roundHalfEven(x / scale) + zeroPoint)
    mutating func addQuantizeFormula(_ node: NodeReader, to type: ElementType) throws -> [ValueID?] {
        let x = try node.input(0)
        let scale = try spread(node, try node.input(1))
        var steps = try step(node, .unary(.round), [try step(node, .binary(.divide), [x, scale])])
        if let zero = node.optionalInput(2) {
            let offset = try step(node, .cast(to: .float32), [try spread(node, zero)])
            steps = try step(node, .binary(.add), [steps, offset])
        }
        let range = type.quantizedRange
        let limits = Unary.clip(low: Float(range.lowerBound), high: Float(range.upperBound - 1))
        return try add(node, .cast(to: type), [try step(node, .unary(limits), [steps])])
    }

    /// (x - zeroPoint) * scale
    mutating func addDequantizeFormula(_ node: NodeReader) throws -> [ValueID?] {
        let x = builder.reinterpret(try node.input(0), as: nil)
        let scale = try spread(node, try node.input(1))
        var steps = try step(node, .cast(to: .float32), [x])
        if let zero = node.optionalInput(2) {
            let offset = try step(node, .cast(to: .float32), [try spread(node, zero)])
            steps = try step(node, .binary(.subtract), [steps, offset])
        }
        return try add(node, .binary(.multiply), [steps, scale])
    }

    /// Parameters in a shape that broadcasts to that of the node's first input: one for all, one per index of `axis`, or one
    /// per `block_size` indices of it.
    private mutating func spread(_ node: NodeReader, _ parameters: ValueID) throws -> ValueID {
        let (x, own) = (shape(try node.input(0)), shape(parameters))
        if own.count == 1 { return try step(node, .reshape([]), [parameters]) }
        let axis = try node.axis(node.int("axis", default: 1), rank: x.rank)
        let block = node.int("block_size", default: 0)
        if block == 0 {
            guard own.count == x[axis] else { throw Unsupported("\(own.count) scales along axis \(axis) of \(x)") }
            let extents = (0..<x.rank).map { $0 == axis ? x[axis] : 1 }
            return try step(node, .reshape(Shape(extents)), [parameters])
        }
        guard own.rank == x.rank, block > 0, block <= x[axis], (own[axis] - 1) * block < x[axis],
            own[axis] * block >= x[axis]
        else { throw Unsupported("scales of shape \(own) for blocks of \(block)") }
        var (narrow, wide, whole) = (own.dimensions, own.dimensions, own.dimensions)
        narrow.insert(1, at: axis + 1)
        wide.insert(block, at: axis + 1)
        whole[axis] = own[axis] * block
        let column = try step(node, .reshape(Shape(narrow)), [parameters])
        let repeated = try step(node, .expand(Shape(wide)), [column])
        let joined = try step(node, .reshape(Shape(whole)), [repeated])
        guard whole[axis] > x[axis] else { return joined }
        whole[axis] = x[axis]
        let cut = Slice(starts: whole.map { _ in 0 }, steps: whole.map { _ in 1 }, sizes: whole)
        return try step(node, .slice(cut), [joined])
    }

    // MARK: Products with parameters that come along (com.microsoft)

    /// (a float, b stored, b scale, b zero point?, bias?): a is quantized while the network runs.
    mutating func addDynamicQuantizeMatMul(_ node: NodeReader) throws -> [ValueID?] {
        let names: [String?] = ["stored", "scale", "zero"].map { "\(node.name)/\($0)" }
        let parts = try builder.add(node.name, .dynamicQuantizeLinear, [try node.input(0)], outputs: names)
        guard parts.count == 3, let a = parts[0], let scale = parts[1], let zero = parts[2] else {
            throw Unsupported("a cannot be quantized")
        }
        return try addScaledProduct(
            node, a, try node.input(1), zeroA: zero, zeroB: node.optionalInput(3), scaleA: scale,
            scaleB: try node.input(2), bias: node.optionalInput(4))
    }

    /// (a, b, a scale, b scale, a zero point?, b zero point?, bias?)
    mutating func addMatMulIntegerToFloat(_ node: NodeReader) throws -> [ValueID?] {
        try addScaledProduct(
            node, try node.input(0), try node.input(1), zeroA: node.optionalInput(4), zeroB: node.optionalInput(5),
            scaleA: try node.input(2), scaleB: try node.input(3), bias: node.optionalInput(6))
    }

    private mutating func addScaledProduct(
        _ node: NodeReader, _ a: ValueID, _ b: ValueID, zeroA: ValueID?, zeroB: ValueID?, scaleA: ValueID,
        scaleB: ValueID, bias: ValueID?
    ) throws -> [ValueID?] {
        let sums = try step(node, .matMulInteger, [a, b, zeroA, zeroB])
        let factors = try step(node, .binary(.multiply), [scaleA, scaleB])
        let real = try step(node, .cast(to: .float32), [sums])
        guard let bias else { return try add(node, .binary(.multiply), [real, factors]) }
        return try add(node, .binary(.add), [try step(node, .binary(.multiply), [real, factors]), bias])
    }

    /// (x, weights [D, C, 4H], recurrence [D, H, 4H], bias?, lengths?, initial h?, initial c?, peepholes?, then scale and zero
    /// point of weights and of recurrence). The recurrence runs in float over the numbers that the weights stand for.
    mutating func addDynamicQuantizeLSTM(_ node: NodeReader) throws -> [ValueID?] {
        func matrix(_ index: Int, scale: Int) throws -> ValueID {
            let tensor = try constant(node, index)
            guard tensor.shape.rank == 3 else { throw Unsupported("weights must have three axes") }
            let scales = try floats(try constant(node, scale))
            let zeros = try optionalIntegers(node, scale + 1) ?? [0]
            let columns = tensor.shape[2]
            var values = try floats(tensor)
            let (rows, count) = (tensor.shape[1], tensor.count)
            // One scale per direction, or one per direction and column.
            func place(_ index: Int, of count: Int) -> Int {
                let direction = index / (rows * columns)
                return count == 1 ? 0 : count == tensor.shape[0] ? direction : direction * columns + index % columns
            }
            guard count > 0, [1, tensor.shape[0], tensor.shape[0] * columns].contains(scales.count),
                [1, tensor.shape[0], tensor.shape[0] * columns].contains(zeros.count)
            else { throw Unsupported("scales and weights do not fit") }
            for index in 0..<count {
                values[index] =
                    (values[index] - Float(zeros[place(index, of: zeros.count)]))
                    * scales[place(index, of: scales.count)]
            }
            let real = constant(node, Tensor(tensor.shape, values))
            return try step(node, .transpose(permutation: [0, 2, 1]), [real])
        }
        var inputs = Array(node.inputs.prefix(8))
        guard inputs.count == 8 || node.inputs.count > 8 else { throw Unsupported("scales are missing") }
        inputs[1] = try matrix(1, scale: 8)
        inputs[2] = try matrix(2, scale: 10)
        return try addRecurrent(.lstm, node.with(inputs: inputs))
    }

    /// A convolution with a function behind it, as ONNX Runtime saves optimized files.
    mutating func addFusedConvolution(_ node: NodeReader) throws -> [ValueID?] {
        guard node.optionalInput(3) == nil else { throw Unsupported("a sum within the convolution") }
        let parameters = node.floats("activation_params") ?? []
        var convolution = try self.convolution(node, weight: 1)
        switch node.string("activation") ?? "" {
        case "": break
        case "Relu": convolution.activation = .relu
        case "Sigmoid": convolution.activation = .sigmoid
        case "Tanh": convolution.activation = .tanh
        case "LeakyRelu": convolution.activation = .leakyRelu(slope: parameters.first ?? 0.01)
        case "Clip" where parameters.count == 2:
            convolution.activation = .clip(low: parameters[0], high: parameters[1])
        case "HardSigmoid" where parameters.count == 2:
            convolution.activation = .hardSigmoid(slope: parameters[0], offset: parameters[1])
        case let other: throw Unsupported("activation = \(other)")
        }
        return try add(node, .convolution(convolution), Array(node.inputs.prefix(3)))
    }
}
