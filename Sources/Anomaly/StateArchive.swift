// SPDX-License-Identifier: Apache-2.0

/// Why bytes are no state of a detector. The offset is where in the bytes it was found.
package enum SnapshotFault: Error, Equatable, CustomStringConvertible {
    case notASnapshot
    case version(UInt16)
    case truncated(offset: Int)
    case damaged
    case outOfRange(offset: Int)

    package var description: String {
        switch self {
        case .notASnapshot: "these bytes are no state of a detector"
        case .version(let version): "version \(version) of the state is unknown; this program reads version 3"
        case .truncated(let offset): "the state ends early, at byte \(offset)"
        case .damaged: "the checksum of the state is wrong"
        case .outOfRange(let offset): "a value of the state is out of range, before byte \(offset)"
        }
    }
}

/// A part of a detector whose state can be written and read back: the same list of fields serves both.
protocol Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault)
}

/// Writes state to bytes, or reads it back with every byte and range checked.
///
/// Bytes: `BSAD`, version (2 bytes), the fields in order, FNV-1a checksum of all before it (8 bytes). Integers are
/// little-endian; numbers are IEEE 754 bit patterns; an optional is a byte 0 or 1 and, after 1, the value.
struct StateArchive {
    static let version: UInt16 = 3
    private static let magic: [UInt8] = [0x42, 0x53, 0x41, 0x44]

    private var bytes: [UInt8] = []
    private(set) var position = 0
    private let isReading: Bool

    static func write(_ body: (inout StateArchive) throws(SnapshotFault) -> Void) -> [UInt8] {
        var archive = StateArchive(isReading: false)
        archive.bytes = magic
        archive.append(version)
        // Only reading throws.
        do { try body(&archive) } catch { assertionFailure("\(error)") }
        archive.append(checksum(archive.bytes[...]))
        return archive.bytes
    }

    static func read(
        _ bytes: [UInt8], _ body: (inout StateArchive) throws(SnapshotFault) -> Void
    ) throws(SnapshotFault) {
        guard bytes.starts(with: magic) else { throw .notASnapshot }
        var archive = StateArchive(isReading: true)
        archive.bytes = bytes
        archive.position = magic.count
        let found = try archive.next(UInt16.self)
        guard found == version else { throw .version(found) }
        guard bytes.count >= archive.position + 8 else { throw .truncated(offset: bytes.count) }
        archive.bytes.removeLast(8)
        var end = StateArchive(isReading: true)
        end.bytes = Array(bytes.suffix(8))
        guard try end.next(UInt64.self) == checksum(archive.bytes[...]) else { throw .damaged }
        try body(&archive)
        guard archive.position == archive.bytes.count else { throw .outOfRange(offset: archive.position) }
    }

    private init(isReading: Bool) { self.isReading = isReading }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    private mutating func append<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func next<T: FixedWidthInteger & UnsignedInteger>(_: T.Type) throws(SnapshotFault) -> T {
        let size = T.bitWidth / 8
        guard bytes.count - position >= size else { throw .truncated(offset: position) }
        var value: T = 0
        for index in 0..<size { value |= T(bytes[position + index]) << T(8 * index) }
        position += size
        return value
    }

    mutating func exchange<T: FixedWidthInteger & UnsignedInteger>(
        _ value: inout T, in range: ClosedRange<T>
    ) throws(SnapshotFault) {
        guard isReading else { return append(value) }
        value = try next(T.self)
        guard range.contains(value) else { throw .outOfRange(offset: position) }
    }

    mutating func exchange(_ value: inout Int, in range: ClosedRange<Int>) throws(SnapshotFault) {
        guard isReading else { return append(Int64(value)) }
        guard let read = Int(exactly: Int64(bitPattern: try next(UInt64.self))), range.contains(read) else {
            throw .outOfRange(offset: position)
        }
        value = read
    }

    mutating func exchange(_ value: inout Bool) throws(SnapshotFault) {
        var byte: UInt8 = value ? 1 : 0
        try exchange(&byte, in: 0...1)
        value = byte == 1
    }

    mutating func exchange(_ value: inout Int64?) throws(SnapshotFault) {
        var isThere = value != nil
        try exchange(&isThere)
        guard isThere else { return value = nil }
        var bits = UInt64(bitPattern: value ?? 0)
        try exchange(&bits, in: 0...UInt64.max)
        value = Int64(bitPattern: bits)
    }

    mutating func exchange(_ value: inout Double?) throws(SnapshotFault) {
        var isThere = value != nil
        try exchange(&isThere)
        guard isThere else { return value = nil }
        var known = value ?? 0
        try exchange(&known)
        value = known
    }

    /// A finite number.
    mutating func exchange(
        _ value: inout Double,
        in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude
            ... .greatestFiniteMagnitude
    ) throws(SnapshotFault) {
        guard isReading else { return append(value.bitPattern) }
        value = Double(bitPattern: try next(UInt64.self))
        guard range.contains(value) else { throw .outOfRange(offset: position) }
    }

    mutating func exchange(_ value: inout Float) throws(SnapshotFault) {
        guard isReading else { return append(value.bitPattern) }
        value = Float(bitPattern: try next(UInt32.self))
        guard value.isFinite else { throw .outOfRange(offset: position) }
    }

    /// Numbers whose count both sides know.
    mutating func exchange(_ values: inout [Double]) throws(SnapshotFault) {
        for index in values.indices { try exchange(&values[index]) }
    }

    mutating func exchange<let n: Int>(_ values: inout InlineArray<n, Float>) throws(SnapshotFault) {
        for index in 0..<n { try exchange(&values[index]) }
    }

    mutating func exchange<let n: Int>(_ values: inout InlineArray<n, Double>) throws(SnapshotFault) {
        for index in 0..<n { try exchange(&values[index]) }
    }

    mutating func exchange(_ values: inout SIMD4<Float>) throws(SnapshotFault) {
        for index in 0..<4 { try exchange(&values[index]) }
    }

    mutating func exchange(_ values: inout SIMD4<Double>) throws(SnapshotFault) {
        for index in 0..<4 { try exchange(&values[index]) }
    }
}
