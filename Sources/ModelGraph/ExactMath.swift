// SPDX-License-Identifier: Apache-2.0

/// Functions that give the same bits on every processor, because they consist of operations that IEEE 754 rounds exactly:
/// what `exact_vector.h` computes for vectors. `x < y ? x : y` gives y when one is NaN.
enum ExactMath {
    private static let magic: Float = 12_582_912  // 1.5 * 2^23: adding it rounds to an integer, ties to even

    private static func fused(_ a: Float, _ b: Float, _ c: Float) -> Float { c.addingProduct(a, b) }
    private static func least(_ a: Float, _ b: Float) -> Float { a < b ? a : b }
    private static func greatest(_ a: Float, _ b: Float) -> Float { a > b ? a : b }

    /// 2^t for t limited to -30...30, to 3e-6.
    static func powerOfTwo(_ t: Float) -> Float {
        let t = least(greatest(t, -30), 30)
        let shifted = t + magic
        let f = t - (shifted - magic)
        var p: Float = 0.00958285
        for coefficient in [0.05590643, 0.24024099, 0.69312419, 1] as [Float] { p = fused(p, f, coefficient) }
        return Float(bitPattern: p.bitPattern &+ shifted.bitPattern << 23)
    }

    /// exp(x) to about 2 units in the last place.
    static func exponential(_ x: Float) -> Float {
        let x = least(greatest(x, -87), 88)
        let shifted = fused(x, 1.44269504088896, magic)
        let n = shifted - magic
        var r = fused(n, -0.693145751953125, x)
        r = fused(n, -1.42860682030941723212e-6, r)
        var p: Float = 1.0 / 5040
        for coefficient in [1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1] as [Float] {
            p = fused(p, r, coefficient)
        }
        return p * Float(bitPattern: (shifted.bitPattern &- magic.bitPattern &+ 127) << 23)
    }

    static func logistic(_ x: Float) -> Float { 1 / (1 + exponential(-x)) }

    static func activated(_ x: Float, _ activation: Activation) -> Float {
        switch activation {
        case .none: least(greatest(x, -.infinity), .infinity)
        case .relu: least(greatest(x, 0), .infinity)
        case .relu6: least(greatest(x, 0), 6)
        case .clip(let low, let high): least(greatest(x, low), high)
        case .leakyRelu(let slope): fused(slope, least(x, 0), greatest(x, 0))
        case .sigmoid: logistic(x)
        case .silu: x * logistic(x)
        case .hardSigmoid(let slope, let offset): greatest(least(fused(slope, x, offset), 1), 0)
        case .hardSwish: x * greatest(least(fused(x, 1.0 / 6, 0.5), 1), 0)
        case .tanh: 2 * logistic(x + x) - 1
        }
    }

    /// clamp(rint(fma(x, inverse scale, zero point)), 0, 255)
    static func stored(_ x: Float, _ inverseScale: Float, _ zeroPoint: Float) -> UInt8 {
        UInt8(least(greatest(fused(x, inverseScale, zeroPoint), 0), 255).rounded(.toNearestOrEven))
    }
}
