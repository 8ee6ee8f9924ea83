// SPDX-License-Identifier: Apache-2.0
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Foundation
#endif

/// C's functions under names that no case of `Unary` has.
private func exponential(_ x: Double) -> Double { exp(x) }
private func logarithm(_ x: Double) -> Double { log(x) }

extension Activation {
    /// The function applied in place.
    package func apply(_ x: UnsafeMutablePointer<Float>, count: Int) {
        guard let function = unary else { return }
        for index in 0..<count { x[index] = function(x[index]) }
    }

    /// The same function as an operator of its own; nil for none.
    package var unary: Unary? {
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

extension Unary {
    /// The function of one number. `not`, `isNaN` and `isInfinite` have no float result and give NaN here.
    package func callAsFunction(_ x: Float) -> Float {
        switch self {
        case .relu: x < 0 ? 0 : x
        case .sigmoid: Self.sigmoid(x)
        case .silu: x * Self.sigmoid(x)
        case .hardSwish: x * Swift.max(0, Swift.min(1, x / 6 + 0.5))
        case .mish: x * tanhf(Self.softplus(x))
        case .tanh: tanhf(x)
        case .softplus: Self.softplus(x)
        case .softsign: x / (1 + Swift.abs(x))
        case .leakyRelu(let slope): x < 0 ? slope * x : x
        case .hardSigmoid(let slope, let offset): Swift.max(0, Swift.min(1, slope * x + offset))
        case .elu(let alpha): x < 0 ? alpha * expm1f(x) : x
        case .selu(let alpha, let gamma): gamma * (x <= 0 ? alpha * expm1f(x) : x)
        case .celu(let alpha): Swift.max(0, x) + Swift.min(0, alpha * expm1f(x / alpha))
        case .thresholdedRelu(let alpha): x > alpha ? x : 0
        case .gelu(approximatesWithTanh: false): 0.5 * x * (1 + erff(x * 0.70710678118654752))
        // sqrt(2 / pi), from Hendrycks and Gimpel, 2016, arXiv:1606.08415
        case .gelu(approximatesWithTanh: true):
            0.5 * x * (1 + tanhf(0.79788456080286536 * (x + 0.044715 * x * x * x)))
        // As numpy's clip: the upper bound wins when it is the smaller one.
        case .clip(let low, let high): x.isNaN ? x : Swift.min(Swift.max(x, low), high)
        case .negate: -x
        case .abs: Swift.abs(x)
        case .sign: x > 0 ? 1 : x < 0 ? -1 : x
        case .reciprocal: 1 / x
        case .sqrt: x.squareRoot()
        case .exp: expf(x)
        case .log: logf(x)
        case .erf: erff(x)
        case .round: x.rounded(.toNearestOrEven)
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .sin: sinf(x)
        case .cos: cosf(x)
        case .tan: tanf(x)
        case .asin: asinf(x)
        case .acos: acosf(x)
        case .atan: atanf(x)
        case .sinh: sinhf(x)
        case .cosh: coshf(x)
        case .asinh: asinhf(x)
        case .acosh: acoshf(x)
        case .atanh: atanhf(x)
        case .not, .isNaN, .isInfinite: .nan
        }
    }

    /// For the shape chains that some exporters compute in float64; functions that never stand there go through float32.
    fileprivate func callAsFunction(_ x: Double) -> Double {
        switch self {
        case .relu: x < 0 ? 0 : x
        case .clip(let low, let high): x.isNaN ? x : Swift.min(Swift.max(x, Double(low)), Double(high))
        case .negate: -x
        case .abs: Swift.abs(x)
        case .sign: x > 0 ? 1 : x < 0 ? -1 : x
        case .reciprocal: 1 / x
        case .sqrt: x.squareRoot()
        case .round: x.rounded(.toNearestOrEven)
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .exp: exponential(x)
        case .log: logarithm(x)
        default: Double(self(Float(x)))
        }
    }

    /// In a form that does not overflow.
    static func sigmoid(_ x: Float) -> Float {
        if x >= 0 { return 1 / (1 + expf(-x)) }
        let power = expf(x)
        return power / (1 + power)
    }

    static func softplus(_ x: Float) -> Float { Swift.max(x, 0) + log1pf(expf(-Swift.abs(x))) }
}

extension ReferenceEvaluator {
    static func unary(_ function: Unary, _ x: Tensor, _ type: TensorType) -> Tensor {
        let result = Tensor(type.type, type.shape)
        let count = x.count
        switch x.type {
        case .float32:
            let input = x.floats
            switch function {
            case .isNaN: fill(result, count) { input[$0].isNaN }
            case .isInfinite(let positive, let negative):
                fill(result, count) { input[$0].isInfinite && (input[$0] > 0 ? positive : negative) }
            default:
                let output = result.floats
                for index in 0..<count { output[index] = function(input[index]) }
            }
        case .float64:
            let input = x.base(Double.self)
            switch function {
            case .isNaN: fill(result, count) { input[$0].isNaN }
            case .isInfinite(let positive, let negative):
                fill(result, count) { input[$0].isInfinite && (input[$0] > 0 ? positive : negative) }
            default:
                let output = result.base(Double.self)
                for index in 0..<count { output[index] = function(input[index]) as Double }
            }
        case .bool:
            let input = x.base(UInt8.self)
            fill(result, count) { input[$0] == 0 }
        default: x.type.dispatch(IntegerUnary(function: function, x: x, result: result))
        }
        return result
    }

    private static func fill(_ result: Tensor, _ count: Int, _ predicate: (Int) -> Bool) {
        let output = result.base(UInt8.self)
        for index in 0..<count { output[index] = predicate(index) ? 1 : 0 }
    }

    private struct IntegerUnary: NumberWork {
        let function: Unary
        let x: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let (input, output) = (x.base(type), result.base(type))
            for index in 0..<x.count {
                let value = input[index]
                let isNegative = value < .zero
                switch function {
                case .negate: output[index] = .difference(.zero, value)
                case .abs: output[index] = isNegative ? .difference(.zero, value) : value
                case .sign: output[index] = isNegative ? .difference(.zero, .one) : value > .zero ? .one : .zero
                case .relu: output[index] = isNegative ? .zero : value
                default: preconditionFailure("not defined on integers")
                }
            }
        }
    }

    static func binary(_ function: Binary, _ a: Tensor, _ b: Tensor, _ type: TensorType) -> Tensor {
        // Only a power may have an exponent of another type.
        let right = function == .power ? cast(b, to: .float64) : b
        let result = Tensor(type.type, type.shape)
        a.type.dispatch(BinaryWork(function: function, a: a, b: right, result: result))
        return result
    }

    private struct BinaryWork: NumberWork {
        let function: Binary
        let a: Tensor
        let b: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            switch function {
            case .add: map(type) { Element.sum($0, $1) }
            case .subtract: map(type) { Element.difference($0, $1) }
            case .multiply: map(type) { Element.product($0, $1) }
            case .divide: map(type) { Element.quotient($0, $1) }
            case .power: mapTo(type, type, Double.self) { Element.power($0, $1) }
            case .minimum: map(type) { $0.isNotANumber ? $0 : $1.isNotANumber || $1 < $0 ? $1 : $0 }
            case .maximum: map(type) { $0.isNotANumber ? $0 : $1.isNotANumber || $1 > $0 ? $1 : $0 }
            case .parametricRelu: map(type) { $0 < .zero ? Element.product($0, $1) : $0 }
            case .modulo: map(type) { Element.modulo($0, $1) }
            case .remainder: map(type) { Element.remainder($0, $1) }
            case .equal: mapTo(UInt8.self, type, type) { $0 == $1 ? 1 : 0 }
            case .less: mapTo(UInt8.self, type, type) { $0 < $1 ? 1 : 0 }
            case .lessOrEqual: mapTo(UInt8.self, type, type) { $0 <= $1 ? 1 : 0 }
            case .greater: mapTo(UInt8.self, type, type) { $0 > $1 ? 1 : 0 }
            case .greaterOrEqual: mapTo(UInt8.self, type, type) { $0 >= $1 ? 1 : 0 }
            case .and: mapTo(UInt8.self, type, type) { $0 != .zero && $1 != .zero ? 1 : 0 }
            case .or: mapTo(UInt8.self, type, type) { $0 != .zero || $1 != .zero ? 1 : 0 }
            case .xor: mapTo(UInt8.self, type, type) { ($0 != .zero) != ($1 != .zero) ? 1 : 0 }
            }
        }

        private func map<Element: Number>(_ type: Element.Type, _ body: (Element, Element) -> Element) {
            mapTo(type, type, type, body)
        }

        @inline(__always)
        private func mapTo<Output: Number, Left: Number, Right: Number>(
            _: Output.Type, _: Left.Type, _: Right.Type, _ body: (Left, Right) -> Output
        ) {
            let dimensions = result.shape.dimensions
            let (left, right) = (a.base(Left.self), b.base(Right.self))
            let output = result.base(Output.self)
            let strides = (broadcastStrides(a.shape, to: dimensions), broadcastStrides(b.shape, to: dimensions))
            let (stepA, stepB) = (strides.0.last ?? 0, strides.1.last ?? 0)
            let width = dimensions.last ?? 1
            forEachRow(dimensions, denseStrides(dimensions), strides.0, strides.1) { row, rowA, rowB in
                for column in 0..<width {
                    output[row + column] = body(left[rowA + column * stepA], right[rowB + column * stepB])
                }
            }
        }
    }

    static func select(_ condition: Tensor, _ a: Tensor, _ b: Tensor, shape: Shape) -> Tensor {
        let result = Tensor(a.type, shape)
        a.type.dispatch(SelectWork(condition: condition, a: a, b: b, result: result))
        return result
    }

    private struct SelectWork: NumberWork {
        let condition: Tensor
        let a: Tensor
        let b: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let dimensions = result.shape.dimensions
            let (chooser, left, right) = (condition.base(UInt8.self), a.base(type), b.base(type))
            let output = result.base(type)
            let strides = [condition.shape, a.shape, b.shape].map { broadcastStrides($0, to: dimensions) }
            let steps = strides.map { $0.last ?? 0 }
            let width = dimensions.last ?? 1
            // Results are visited in order, so the position of a row is counted and not a fourth stride.
            var position = 0
            forEachRow(dimensions, strides[0], strides[1], strides[2]) { row, rowA, rowB in
                for column in 0..<width {
                    output[position] =
                        chooser[row + column * steps[0]] != 0
                        ? left[rowA + column * steps[1]] : right[rowB + column * steps[2]]
                    position += 1
                }
            }
        }
    }

    /// Float to integer truncates and saturates, wider integers wrap, anything to bool is "not zero".
    static func cast(_ x: Tensor, to type: ElementType) -> Tensor {
        if x.type == type { return x }
        let result = Tensor(type, x.shape)
        x.type.dispatch(CastFrom(x: x, result: result))
        return result
    }

    private struct CastFrom: NumberWork {
        let x: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            if result.type == .bool {
                let (input, output) = (x.base(type), result.base(UInt8.self))
                for index in 0..<x.count { output[index] = input[index] == .zero ? 0 : 1 }
            } else if x.type.isFloat || result.type.isFloat {
                result.type.dispatch(CastThroughDouble<Element>(x: x, result: result))
            } else {
                result.type.dispatch(CastInteger(x: x, result: result))
            }
        }
    }

    private struct CastThroughDouble<Source: Number>: NumberWork {
        let x: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let (input, output) = (x.base(Source.self), result.base(type))
            for index in 0..<x.count { output[index] = Element(truncating: input[index].asDouble) }
        }
    }

    /// Between integers the low bits count, as in C.
    private struct CastInteger: NumberWork {
        let x: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let values = x.type == .bool ? x.base(UInt8.self).integers(x.count) : x.integers ?? []
            let output = UnsafeMutableRawPointer(result.base(type))
            let size = MemoryLayout<Element>.size
            for (index, value) in values.enumerated() {
                withUnsafeBytes(of: Int64(value).littleEndian) { bytes in
                    // The first bytes of a little-endian number are its low bits.
                    output.advanced(by: index * size).copyMemory(
                        from: bytes.baseAddress.unsafelyUnwrapped, byteCount: size)
                }
            }
        }
    }
}

extension UnsafeMutablePointer<UInt8> {
    fileprivate func integers(_ count: Int) -> [Int] { (0..<count).map { Int(self[$0]) } }
}
