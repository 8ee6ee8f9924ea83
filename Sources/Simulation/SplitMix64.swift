// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Small random generator: the same seed gives the same scenes and faults everywhere.
/// (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.)
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// A generator that is independent of the others made from `seed`, one per `stream`.
    package init(seed: UInt64, stream: UInt64) {
        state = SplitMix64.mix(seed &+ 0x9E37_79B9_7F4A_7C15) ^ SplitMix64.mix(stream &* 0xD134_2543_DE82_EF95 &+ 1)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return SplitMix64.mix(state)
    }

    /// Uniform in 0..<1, of 24 bits.
    package mutating func unit() -> Float { Float(next() >> 40) * (1 / 16_777_216) }

    package mutating func uniform(_ range: ClosedRange<Float>) -> Float {
        range.lowerBound + (range.upperBound - range.lowerBound) * unit()
    }

    /// True with the given probability.
    package mutating func chance(_ probability: Float) -> Bool { unit() < probability }

    /// Uniform in 0..<count; the bias of the plain remainder is below count / 2^64.
    package mutating func index(below count: Int) -> Int { Int(next() % UInt64(count)) }

    package mutating func pick<Element>(_ elements: [Element]) -> Element { elements[index(below: elements.count)] }

    /// Standard normal (Box and Muller).
    package mutating func gaussian() -> Float {
        let radius = (-2 * logf(max(unit(), 1e-7))).squareRoot()
        return radius * cosf(2 * .pi * unit())
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
