// SPDX-License-Identifier: Apache-2.0

extension Float {
    /// IEEE 754 binary16, without the `Float16` type, which Swift has not on every platform.
    package init(half: UInt16) {
        let sign: Float = half & 0x8000 == 0 ? 1 : -1
        let (exponent, fraction) = (Int(half >> 10 & 0x1f), Float(half & 0x3ff))
        self =
            switch exponent {
            case 0: sign * Float(sign: .plus, exponent: -24, significand: fraction)
            case 31: fraction == 0 ? sign * .infinity : .nan
            default: sign * Float(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
            }
    }
}
