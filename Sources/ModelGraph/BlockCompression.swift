// SPDX-License-Identifier: Apache-2.0

/// Compression of text that repeats itself, as a manifest does: the block format of LZ4
/// (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md).
///
/// A block is a row of sequences: a token (upper four bits: count of literals, lower four: length of a match less 4, 15
/// meaning that bytes up to the first that is not 255 are added), literals, then the distance of the match, two bytes
/// little-endian, and the rest of its length. The last sequence has literals only.
enum BlockCompression {
    private static let shortestMatch = 4
    private static let farthest = 65535
    /// The last bytes of a block are literals.
    private static let tail = 12
    private static let hashBits: UInt32 = 14

    static func compressed(_ input: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        var heads = [Int](repeating: -1, count: 1 << hashBits)
        var (position, literals) = (0, 0)
        let end = input.count - tail
        func word(_ index: Int) -> UInt32 {
            UInt32(input[index]) | UInt32(input[index + 1]) << 8 | UInt32(input[index + 2]) << 16
                | UInt32(input[index + 3]) << 24
        }
        while position < end {
            let current = word(position)
            let slot = Int((current &* 2_654_435_761) >> (32 - hashBits))
            let candidate = heads[slot]
            heads[slot] = position
            guard candidate >= 0, position - candidate <= farthest, word(candidate) == current else {
                position += 1
                continue
            }
            var length = shortestMatch
            while position + length < input.count - 5, input[candidate + length] == input[position + length] {
                length += 1
            }
            append(input[literals..<position], match: (position - candidate, length), to: &output)
            position += length
            literals = position
        }
        append(input[literals...], match: nil, to: &output)
        return output
    }

    private static func append(
        _ literals: ArraySlice<UInt8>, match: (distance: Int, length: Int)?, to output: inout [UInt8]
    ) {
        let rest = match.map { $0.length - shortestMatch } ?? 0
        output.append(UInt8(min(literals.count, 15) << 4 | min(rest, 15)))
        appendLength(literals.count, to: &output)
        output += literals
        guard let match else { return }
        output += [UInt8(match.distance & 255), UInt8(match.distance >> 8)]
        appendLength(rest, to: &output)
    }

    private static func appendLength(_ length: Int, to output: inout [UInt8]) {
        guard length >= 15 else { return }
        var rest = length - 15
        while rest >= 255 {
            output.append(255)
            rest -= 255
        }
        output.append(UInt8(rest))
    }

    /// - Parameter count: of bytes that come out.
    /// - Returns: nil if the block is not one, or gives another count.
    static func expanded(_ block: UnsafeRawBufferPointer, count: Int) -> [UInt8]? {
        // A byte of a block gives 255 at most.
        guard count >= 0, count / 255 <= block.count else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(count)
        var position = 0
        func next() -> Int? {
            guard position < block.count else { return nil }
            position += 1
            return Int(block[position - 1])
        }
        func length(_ short: Int) -> Int? {
            var length = short
            guard short == 15 else { return length }
            while let byte = next() {
                length += byte
                if byte < 255 { return length }
            }
            return nil
        }
        while let token = next() {
            guard let literals = length(token >> 4), literals <= block.count - position,
                literals <= count - output.count
            else { return nil }
            output.append(contentsOf: block[position..<(position + literals)])
            position += literals
            if position == block.count { return output.count == count ? output : nil }
            guard let low = next(), let high = next(), let rest = length(token & 15) else { return nil }
            let (distance, matched) = (low | high << 8, rest + shortestMatch)
            guard distance > 0, distance <= output.count, matched <= count - output.count else { return nil }
            // The match may reach into what it gives.
            for _ in 0..<matched { output.append(output[output.count - distance]) }
        }
        return nil
    }
}
