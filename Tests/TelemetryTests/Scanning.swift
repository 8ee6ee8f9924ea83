// SPDX-License-Identifier: Apache-2.0

@testable import Telemetry

/// What the scanner finds at `pointers` in a text; throws its fault.
func scan(_ text: [UInt8], _ pointers: [String] = []) throws -> [JSONSlot] {
    let paths = WantedPaths(try pointers.map { try JSONPointer($0) })
    var slots = Array(repeating: JSONSlot(), count: paths.slotCount)
    try slots.withUnsafeMutableBufferPointer { slots in
        try text.withUnsafeBytes { try JSONScanner.scan($0, for: paths, into: slots) }
    }
    return paths.slotOfPointer.map { slots[$0] }
}

func scan(_ text: String, _ pointers: [String] = []) throws -> [JSONSlot] { try scan(Array(text.utf8), pointers) }

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
