// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension GraphImporter {
    mutating func addUnary(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        switch kind {
        case .identity: return [x]
        case .dropout:
            // Only inference is meant; the mask keeps everything.
            if node.proto.output.count > 1 && !node.proto.output[1].isEmpty {
                throw Unsupported("the mask of a dropout")
            }
            return [x]
        case .clip: return try addClip(node)
        case .cast:
            guard let code = node.int("to"), let element = Int32(exactly: code).flatMap(ONNXElement.init),
                !element.isPacked
            else {
                throw Unsupported("a cast to element type \(node.int("to") ?? 0)")
            }
            return try addCast(node, to: element.type)
        case .castLike: return try addCast(node, to: value(try node.input(1)).type)
        default: return try add(node, .unary(try unary(kind, node)), [x])
        }
    }

    private mutating func addCast(_ node: NodeReader, to type: ElementType) throws -> [ValueID?] {
        let x = try node.input(0)
        if value(x).type == type && value(x).quantization == nil { return [x] }
        return try add(node, .cast(to: type), [x])
    }

    private func unary(_ kind: ONNXOperator, _ node: NodeReader) throws -> Unary {
        switch kind {
        case .relu: return .relu
        case .leakyRelu: return .leakyRelu(slope: node.float("alpha", default: 0.01))
        case .sigmoid: return .sigmoid
        case .hardSigmoid:
            return .hardSigmoid(slope: node.float("alpha", default: 0.2), offset: node.float("beta", default: 0.5))
        case .hardSwish: return .hardSwish
        case .mish: return .mish
        case .tanh: return .tanh
        case .softplus: return .softplus
        case .softsign: return .softsign
        case .elu: return .elu(alpha: node.float("alpha", default: 1))
        case .selu:
            // The defaults of the specification, from Klambauer et al., 2017, arXiv:1706.02515.
            return .selu(
                alpha: node.float("alpha", default: 1.67326319217681884765625),
                gamma: node.float("gamma", default: 1.05070102214813232421875))
        case .celu: return .celu(alpha: node.float("alpha", default: 1))
        case .thresholdedRelu: return .thresholdedRelu(alpha: node.float("alpha", default: 1))
        case .gelu, .microsoftGelu:
            switch node.string("approximate") ?? "none" {
            case "none": return .gelu(approximatesWithTanh: false)
            case "tanh": return .gelu(approximatesWithTanh: true)
            case let other: throw Unsupported("approximate = \(other)")
            }
        case .neg: return .negate
        case .abs: return .abs
        case .sign: return .sign
        case .reciprocal: return .reciprocal
        case .sqrt: return .sqrt
        case .exp: return .exp
        case .log: return .log
        case .erf: return .erf
        case .round: return .round
        case .floor: return .floor
        case .ceil: return .ceil
        case .sin: return .sin
        case .cos: return .cos
        case .tan: return .tan
        case .asin: return .asin
        case .acos: return .acos
        case .atan: return .atan
        case .sinh: return .sinh
        case .cosh: return .cosh
        case .asinh: return .asinh
        case .acosh: return .acosh
        case .atanh: return .atanh
        case .not: return .not
        case .isNaN: return .isNaN
        case .isInf:
            return .isInfinite(
                positive: node.flag("detect_positive", default: true),
                negative: node.flag("detect_negative", default: true))
        default: preconditionFailure("\(kind) does not have one operand")
        }
    }

    /// Bounds that are known become attributes; others, and those of integers, become `maximum` and `minimum`.
    private mutating func addClip(_ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        func known(_ attribute: String, _ index: Int) throws -> Float? {
            if let bound = node.float(attribute) { return bound }
            return try node.optionalInput(index).flatMap { builder.constant($0) }.map(scalar)
        }
        let (low, high) = (try known("min", 1), try known("max", 2))
        let isKnown = (low != nil || node.optionalInput(1) == nil) && (high != nil || node.optionalInput(2) == nil)
        if value(x).meant.type == .float32 && value(x).quantization == nil && isKnown {
            if low == nil && high == nil { return [x] }
            return try add(node, .unary(.clip(low: low ?? -.infinity, high: high ?? .infinity)), [x])
        }
        var result = x
        for (index, operation) in [(1, Binary.maximum), (2, .minimum)] {
            if let bound = node.optionalInput(index) {
                result = try step(node, .binary(operation), [result, try step(node, .reshape([]), [bound])])
            }
        }
        return [result]
    }

    mutating func addBinary(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        let operation: Binary
        switch kind {
        case .whereOperator: return try add(node, .select, node.inputs)
        case .min: return try addSeries(.minimum, node)
        case .max: return try addSeries(.maximum, node)
        case .sum: return try addSeries(.add, node)
        case .mean:
            let sum = try addSeries(.add, node)
            return try add(
                node, .binary(.divide), sum + [constant(node, Tensor([], [Float(node.inputs.count)]))])
        case .mod: operation = node.flag("fmod") ? .remainder : .modulo
        case .add: operation = .add
        case .sub: operation = .subtract
        case .mul: operation = .multiply
        case .div: operation = .divide
        case .pow: operation = .power
        case .pRelu: operation = .parametricRelu
        case .equal: operation = .equal
        case .less: operation = .less
        case .lessOrEqual: operation = .lessOrEqual
        case .greater: operation = .greater
        case .greaterOrEqual: operation = .greaterOrEqual
        case .and: operation = .and
        case .or: operation = .or
        case .xor: operation = .xor
        default: preconditionFailure("\(kind) does not have two operands")
        }
        return try add(node, .binary(operation), node.inputs)
    }

    /// Any number of operands, one after the other.
    private mutating func addSeries(_ operation: Binary, _ node: NodeReader) throws -> [ValueID?] {
        var result = try node.input(0)
        for index in 1..<max(node.inputs.count, 1) {
            result = try step(node, .binary(operation), [result, try node.input(index)])
        }
        return [result]
    }
}
