// SPDX-License-Identifier: Apache-2.0

/// Smooth noise over the plane: random values on an integer lattice, interpolated between.
struct ValueNoise {
    private let seed: UInt32

    init(random: inout SplitMix64) { seed = UInt32(truncatingIfNeeded: random.next()) }

    private func lattice(_ x: Int32, _ y: Int32) -> Float {
        var h = UInt32(bitPattern: x) &* 0x85EB_CA6B ^ UInt32(bitPattern: y) &* 0xC2B2_AE35 ^ seed
        h = (h ^ (h >> 15)) &* 0x2C1B_3C6D
        h = (h ^ (h >> 12)) &* 0x297A_2D39
        h ^= h >> 15
        return Float(h >> 8) * (2 / 16_777_216) - 1
    }

    /// In -1...1, of features about one unit wide.
    func value(_ x: Float, _ y: Float) -> Float {
        let x0 = x.rounded(.down)
        let y0 = y.rounded(.down)
        let column = Int32(max(-1e6, min(1e6, x0)))
        let row = Int32(max(-1e6, min(1e6, y0)))
        let u = (x - x0) * (x - x0) * (3 - 2 * (x - x0))
        let v = (y - y0) * (y - y0) * (3 - 2 * (y - y0))
        let upper = lattice(column, row) * (1 - u) + lattice(column + 1, row) * u
        let lower = lattice(column, row + 1) * (1 - u) + lattice(column + 1, row + 1) * u
        return upper * (1 - v) + lower * v
    }

    /// Three octaves, in about -1...1.
    func cloud(_ x: Float, _ y: Float) -> Float {
        value(x, y) * 0.55 + value(x * 2.1 + 17, y * 2.1) * 0.3 + value(x * 4.3, y * 4.3 + 31) * 0.15
    }
}
