// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ModelGraph

struct BlockCompressionTests {
    private func expanded(_ block: [UInt8], count: Int) -> [UInt8]? {
        block.withUnsafeBytes { BlockCompression.expanded($0, count: count) }
    }

    private static let texts: [[UInt8]] = {
        var state: UInt32 = 7
        func random() -> UInt8 {
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        let noise = (0..<5000).map { _ in random() }
        let repeated = (0..<300).flatMap { Array("{\"at\":\($0 * 64),\"shape\":[64,32,1,1]},".utf8) }
        return [[], [1], Array("short".utf8), [UInt8](repeating: 0, count: 100_000), noise, repeated, repeated + noise]
    }()

    @Test(arguments: texts.indices)
    func whatIsCompressedComesBack(index: Int) {
        let text = Self.texts[index]
        let block = BlockCompression.compressed(text)
        #expect(expanded(block, count: text.count) == text)
        #expect(expanded(block, count: text.count + 1) == nil)
    }

    @Test func repetitionIsStoredOnce() {
        #expect(BlockCompression.compressed(Self.texts[5]).count * 4 < Self.texts[5].count)
    }

    @Test func aBlockOfTheFormatIsRead() {
        // Three literals, then four bytes from one byte back, then one literal.
        #expect(expanded([0x30, 97, 98, 99, 1, 0, 0x10, 100], count: 8) == Array("abcccccd".utf8))
    }

    @Test(
        arguments: [
            [], [0x10], [0xf0], [0xf0, 255], [0x10, 1, 0, 0], [0x10, 1, 2, 0, 0x00], [0x0f, 1, 0, 255], [0x20, 1],
        ] as [[UInt8]])
    func whatIsNoBlockIsRefused(block: [UInt8]) { #expect(expanded(block, count: 5) == nil) }

    @Test func damagedBlocksNeverCrash() {
        let block = BlockCompression.compressed(Self.texts[6])
        for index in stride(from: 0, to: block.count, by: 7) {
            var damaged = block
            damaged[index] ^= 0x5a
            _ = expanded(damaged, count: Self.texts[6].count)
        }
    }
}
