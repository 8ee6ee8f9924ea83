// SPDX-License-Identifier: Apache-2.0
import Tensors

/// The large constants of a plan, weights as kernels read them, in the order in which the plan asks for them: taken from a
/// cache as far as that has them, made otherwise.
///
/// A cache is trusted with numbers only. Whatever it holds, a constant has the size that the plan asks for.
final class PackedConstants {
    struct Entry: Sendable {
        /// Of what the constant is for.
        let label: UInt64
        let buffer: Buffer
    }

    /// Smaller ones are made faster than they are looked up.
    private static let minimumBytes = 4096

    /// What was found out of the graph when its plan was made first.
    struct Findings: Equatable, Sendable {
        /// Whether fusion and folding leave it as it is.
        var isPlain: Bool
        /// Indices of the nodes that the plan computes in float for want of kernels.
        var unfolded: [Int]
    }

    /// Nil if nobody knows yet.
    var findings: Findings?
    /// Constants from a cache; nil where they turn out to be damaged.
    private let known: (_ index: Int, _ label: UInt64, _ byteCount: Int) -> Buffer?
    private(set) var entries: [Entry] = []
    /// Whether the cache lacks something that the plan asked for.
    private(set) var isIncomplete = false

    init(
        findings: Findings? = nil,
        known: @escaping (_ index: Int, _ label: UInt64, _ byteCount: Int) -> Buffer? = { _, _, _ in nil }
    ) {
        self.findings = findings
        self.known = known
    }

    /// Forgets what was asked for: another plan begins.
    func restart() { entries = [] }

    func buffer(for node: String, byteCount: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Buffer {
        if byteCount < Self.minimumBytes { return PackedConstants.made(byteCount, fill) }
        return entry(node, byteCount, fill)
    }

    /// One that is small but takes a look at all weights.
    func scanned(for node: String, byteCount: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Buffer {
        entry(node, byteCount, fill)
    }

    /// The answer to a question that takes a look at all weights.
    func answer(for node: String, _ question: () -> Bool) -> Bool {
        let buffer = entry(node, 1) { $0.storeBytes(of: question() ? 1 : 0, as: UInt8.self) }
        return buffer.bytes[0] != 0
    }

    private func entry(_ node: String, _ byteCount: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Buffer {
        let label = Checksum.of(node)
        let buffer: Buffer
        if let stored = known(entries.count, label, byteCount) {
            buffer = stored
        } else {
            isIncomplete = true
            buffer = PackedConstants.made(byteCount, fill)
        }
        entries.append(Entry(label: label, buffer: buffer))
        return buffer
    }

    static func made(_ byteCount: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Buffer {
        let buffer = Buffer(byteCount: byteCount)
        if let base = buffer.bytes.baseAddress { fill(base) }
        return buffer
    }
}

/// Finds damage, at the speed of memory; no protection against intent.
enum Checksum {
    /// Eight rows of words: their sums, and the sums of these on the way, as Fletcher has it ("An arithmetic checksum for serial
    /// transmissions", 1982). One changed word always changes the result; so do, but for chance, words that change places.
    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = bytes.baseAddress else { return 0 }
        var sums = SIMD8<UInt64>()
        var sumsOfSums = SIMD8<UInt64>()
        var offset = 0
        while offset + 64 <= bytes.count {
            sums &+= base.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            sumsOfSums &+= sums
            offset += 64
        }
        var result = UInt64(bytes.count)
        for index in 0..<8 {
            result = mixed(result ^ sums[index])
            result = mixed(result ^ sumsOfSums[index])
        }
        while offset < bytes.count {
            result = mixed(result ^ UInt64(bytes[offset]))
            offset += 1
        }
        return result
    }

    private static func mixed(_ row: UInt64) -> UInt64 {
        let product = row &* 0x9e37_79b9_7f4a_7c15
        return product << 31 | product >> 33
    }

    static func of(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { of(UnsafeRawBufferPointer($0)) }
    }
}
