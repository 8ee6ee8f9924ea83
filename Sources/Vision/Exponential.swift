// SPDX-License-Identifier: Apache-2.0

/// e^x by additions, multiplications and a bit pattern only, so that every machine computes the same bits; the C library's
/// differs with the processor's instructions. x = k ln 2 + r, |r| <= ln 2 / 2; e^r by its series to r^13 in double
/// precision (remainder below 5e-18), times 2^k. The result is the nearest float but for ties beyond double precision.
/// 0 below -104, infinite above 89, NaN for NaN.
func exponential(_ x: Float) -> Float {
    guard x < 89 else { return x.isNaN ? x : .infinity }
    guard x > -104 else { return 0 }
    let value = Double(x)
    let k = (value * 1.442_695_040_888_963_4).rounded(.toNearestOrEven)
    // ln 2 in two parts (W. J. Cody and W. Waite, 1980): k times the first is exact.
    let r = (value - k * 0.693_147_180_369_123_8) - k * 1.908_214_929_270_587_7e-10
    var sum = 1.0
    var n = 13.0
    while n >= 1 {
        sum = 1 + sum * r / n
        n -= 1
    }
    return Float(sum * Double(bitPattern: UInt64(1023 + Int(k)) << 52))
}

/// 1 / (1 + e^-x), 0...1; NaN for NaN.
func sigmoid(_ x: Float) -> Float { 1 / (1 + exponential(-x)) }
