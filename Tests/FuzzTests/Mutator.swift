// SPDX-License-Identifier: Apache-2.0

import TestSupport

/// Damages files in ways that readers have to stand: repeatable, by a seed.
struct Mutator {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(state: seed) }

    private mutating func next() -> UInt64 { generator.next() }

    mutating func below(_ count: Int) -> Int { count > 0 ? Int(next() % UInt64(count)) : 0 }

    private static let numbers = [
        "0", "-1", "1", "2", "255", "256", "65535", "2147483647", "-2147483648", "4294967296", "9223372036854775807",
        "-9223372036854775808", "1e30", "1e-40", "0.5", "null", "[]", "{}", "\"\"", "true",
    ]

    /// One to four changes of bytes, lengths and order.
    mutating func mutated(_ bytes: [UInt8], other: [UInt8]) -> [UInt8] {
        var result = bytes
        for _ in 0...below(4) {
            guard !result.isEmpty else { return other }
            let at = below(result.count)
            let length = below(min(result.count - at, 40)) + 1
            switch below(8) {
            case 0: result[at] ^= 1 << UInt8(below(8))
            case 1: result[at] = UInt8(truncatingIfNeeded: next())
            case 2: result[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)]
            case 3: result.removeSubrange(at..<min(at + length, result.count))
            case 4: result.insert(contentsOf: result[at..<min(at + length, result.count)], at: below(result.count))
            case 5:
                let from = below(other.count)
                result.insert(contentsOf: other[from..<min(from + length, other.count)], at: at)
            case 6: result.removeSubrange((at + 1)...)
            default:
                // A varint with many bytes, or a length that reaches far.
                for index in at..<min(at + below(9) + 1, result.count) { result[index] |= 0x80 }
            }
        }
        return result
    }

    /// One to three numbers or words of a JSON text replaced, or a part of it removed or doubled.
    mutating func mutatedText(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for _ in 0...below(3) {
            let digits = result.indices.filter { isNumber(result[$0]) && ($0 == 0 || !isNumber(result[$0 - 1])) }
            if below(4) > 0, !digits.isEmpty {
                let start = digits[below(digits.count)]
                var end = start
                while end < result.count, isNumber(result[end]) { end += 1 }
                result.replaceSubrange(start..<end, with: Array(Self.numbers[below(Self.numbers.count)].utf8))
            } else {
                // Whole members between commas.
                let commas = result.indices.filter { result[$0] == UInt8(ascii: ",") }
                guard commas.count > 2 else { return result }
                let first = below(commas.count - 1)
                let member = result[commas[first]..<commas[first + 1]]
                if below(2) == 0 {
                    result.removeSubrange(commas[first]..<commas[first + 1])
                } else {
                    result.insert(contentsOf: member, at: commas[below(commas.count)])
                }
            }
        }
        return result
    }

    private func isNumber(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || [0x2d, 0x2e].contains(byte)
    }
}
