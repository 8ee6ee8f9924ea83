// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// The packed weights of a plan in a file that is mapped and used where it lies.
///
/// Numbers have the byte order of the machine, 8 bytes each.
///
///     offset  what
///          0  magic: 89 42 53 50 0D 0A 1A 0A  (0x89 "BSP" CR LF SUB LF)
///          8  H, size of everything before the data
///         16  F, size of the whole file
///         24  checksum of bytes 32 to H - 1
///         32  K, size of the key; U, number of unfolded nodes; E, number of entries; 1 if the graph is plain, else 0
///         64  key, zeros up to the next multiple of 8
///             U indices of nodes
///             E entries: label, offset in the file, size, checksum of the bytes
///          H  bytes of the entries at multiples of 64, each followed by at least 64 zeros
///
/// What is damaged, or of another key, counts as missing.
struct PlanCacheFile {
    private static let magic: [UInt8] = [0x89, 0x42, 0x53, 0x50, 0x0d, 0x0a, 0x1a, 0x0a]
    private static let alignment = 64
    private static let fixedBytes = 64
    private static let entryBytes = 32

    let findings: PackedConstants.Findings
    /// Whether entries need not be compared with their checksums (any more).
    private(set) var isKnown: Bool
    private let file: MappedFile
    private let entries: Int
    private let count: Int

    var stamp: FileStamp { file.stamp }

    /// - Parameter isKnown: whether all entries of the file with this stamp were found undamaged before.
    /// - Returns: nil unless the file is one for this key, whole, and written by this user.
    init?(_ path: String, key: [UInt8], isKnown: (FileStamp) -> Bool) {
        guard let file = try? MappedFile(path), file.isOwn else { return nil }
        let bytes = file.bytes
        guard bytes.count >= Self.fixedBytes, bytes.prefix(8).elementsEqual(Self.magic) else { return nil }
        func number(_ offset: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        guard number(16) == UInt64(bytes.count), let header = Int(exactly: number(8)), header <= bytes.count,
            header >= Self.fixedBytes,
            number(24) == Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[32..<header])),
            number(32) == UInt64(key.count), header - Self.fixedBytes >= key.count,
            bytes[Self.fixedBytes..<(Self.fixedBytes + key.count)].elementsEqual(key)
        else { return nil }
        let start = Self.fixedBytes + (key.count + 7) / 8 * 8
        guard let unfolded = Int(exactly: number(40)), let count = Int(exactly: number(48)),
            start <= header, unfolded <= (header - start) / 8,
            count <= (header - start - unfolded * 8) / Self.entryBytes
        else { return nil }
        findings = PackedConstants.Findings(
            isPlain: number(56) == 1,
            unfolded: (0..<unfolded).map { Int(truncatingIfNeeded: number(start + $0 * 8)) })
        self.file = file
        self.count = count
        entries = start + unfolded * 8
        self.isKnown = isKnown(file.stamp)
    }

    /// Compares all entries with their checksums.
    mutating func becomeKnown() -> Bool {
        isKnown = (0..<count).allSatisfy { index in
            guard let bytes = bytes(index) else { return false }
            return number(index, 3) == Checksum.of(bytes)
        }
        return isKnown
    }

    private func number(_ index: Int, _ place: Int) -> UInt64 {
        file.bytes.loadUnaligned(fromByteOffset: entries + index * Self.entryBytes + place * 8, as: UInt64.self)
    }

    /// Nil where they would not lie in the file.
    private func bytes(_ index: Int) -> UnsafeRawBufferPointer? {
        guard let offset = Int(exactly: number(index, 1)), let byteCount = Int(exactly: number(index, 2)),
            offset % Self.alignment == 0, offset <= file.bytes.count - Self.alignment,
            byteCount <= file.bytes.count - offset - Self.alignment
        else { return nil }
        return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<(offset + byteCount)])
    }

    /// The bytes of an entry; nil unless it is that of the label and the size, and undamaged.
    func buffer(_ index: Int, label: UInt64, byteCount: Int) -> Buffer? {
        guard index < count, number(index, 0) == label, let bytes = bytes(index), bytes.count == byteCount,
            isKnown || number(index, 3) == Checksum.of(bytes)
        else { return nil }
        return Buffer(borrowing: bytes, owner: file)
    }

    /// The pieces of a file, one after the other: the header, then bytes and zeros in turn.
    static func pieces(
        _ findings: PackedConstants.Findings?, _ constants: [PackedConstants.Entry], key: [UInt8]
    ) -> (header: [UInt8], data: [(Buffer, zeros: Int)]) {
        func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
        let findings = findings ?? PackedConstants.Findings(isPlain: false, unfolded: [])
        let size =
            fixedBytes + (key.count + 7) / 8 * 8 + findings.unfolded.count * 8 + constants.count * entryBytes
        let headerBytes = aligned(size)
        var data: [(Buffer, zeros: Int)] = []
        var table: [UInt64] = []
        var end = headerBytes
        for entry in constants {
            let count = entry.buffer.bytes.count
            let next = aligned(end + count + alignment)
            table += [
                entry.label, UInt64(end), UInt64(count), Checksum.of(UnsafeRawBufferPointer(entry.buffer.bytes)),
            ]
            data.append((entry.buffer, zeros: next - end - count))
            end = next
        }
        var header = magic
        func append(_ numbers: [UInt64]) {
            numbers.withUnsafeBytes { header += $0 }
        }
        append([UInt64(headerBytes), UInt64(end), 0])
        append([
            UInt64(key.count), UInt64(findings.unfolded.count), UInt64(constants.count),
            findings.isPlain ? 1 : 0,
        ])
        header += key
        header += [UInt8](repeating: 0, count: (8 - key.count % 8) % 8)
        append(findings.unfolded.map { UInt64(truncatingIfNeeded: $0) })
        append(table)
        header += [UInt8](repeating: 0, count: headerBytes - header.count)
        let sum = header.withUnsafeBytes { Checksum.of(UnsafeRawBufferPointer(rebasing: $0[32...])) }
        withUnsafeBytes(of: sum) { header.replaceSubrange(24..<32, with: $0) }
        return (header, data)
    }
}
