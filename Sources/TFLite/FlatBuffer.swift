// SPDX-License-Identifier: Apache-2.0
import ModelGraph

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Reads a FlatBuffers file without a schema compiler (https://flatbuffers.dev/internals).
///
/// Every offset is checked against the file. A file may refer to one place many times: what is read is counted against a
/// budget, so that a small file cannot cost more than its size suggests.
final class FlatBuffer {
    private let bytes: Data
    private var budget: Int

    /// - Throws: `ImportError.malformed` when the file does not bear the identifier at bytes 4 to 7.
    init(_ data: Data, identifier: String) throws {
        // A slice has indices of its own.
        bytes = data.startIndex == 0 ? data : Data(data)
        budget = 8 * data.count + (1 << 20)
        guard bytes.count >= 8, Array(bytes[4..<8]) == Array(identifier.utf8) else {
            throw ImportError.malformed("it does not begin as \(identifier) files do")
        }
    }

    var count: Int { bytes.count }

    func root() throws -> FlatTable { try FlatTable(self, at: Int(try read(0, as: UInt32.self))) }

    func read<Number: FixedWidthInteger>(_ position: Int, as _: Number.Type) throws -> Number {
        let size = MemoryLayout<Number>.size
        guard position >= 0, position <= bytes.count - size else { throw Self.outside }
        return bytes.withUnsafeBytes {
            Number(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Number.self))
        }
    }

    func slice(_ position: Int, _ count: Int) throws -> Data {
        guard position >= 0, count >= 0, position <= bytes.count - count else { throw Self.outside }
        try spend(count)
        return bytes[position..<(position + count)]
    }

    func spend(_ count: Int) throws {
        budget -= count
        if budget < 0 { throw ImportError.malformed("it refers to its contents too often") }
    }

    static var outside: ImportError { .malformed("an offset points outside the file") }
}

/// A table: fields by number, each of which may be absent.
struct FlatTable {
    private let buffer: FlatBuffer
    private let position: Int
    private let fields: Int
    private let fieldsEnd: Int

    init(_ buffer: FlatBuffer, at position: Int) throws {
        self.buffer = buffer
        self.position = position
        fields = position - Int(try buffer.read(position, as: Int32.self))
        let size = Int(try buffer.read(fields, as: UInt16.self))
        guard size >= 4 else { throw ImportError.malformed("a table has no fields") }
        fieldsEnd = fields + size
        try buffer.spend(4)
    }

    /// Where a field's contents stand.
    private func place(_ field: Int) throws -> Int? {
        let entry = fields + 4 + 2 * field
        guard entry + 2 <= fieldsEnd else { return nil }
        let offset = Int(try buffer.read(entry, as: UInt16.self))
        return offset == 0 ? nil : position + offset
    }

    private func target(_ field: Int) throws -> Int? {
        guard let place = try place(field) else { return nil }
        return place + Int(try buffer.read(place, as: UInt32.self))
    }

    func int8(_ field: Int, default value: Int = 0) throws -> Int {
        try place(field).map { Int(try buffer.read($0, as: Int8.self)) } ?? value
    }

    func uint8(_ field: Int, default value: Int = 0) throws -> Int {
        try place(field).map { Int(try buffer.read($0, as: UInt8.self)) } ?? value
    }

    func int32(_ field: Int, default value: Int = 0) throws -> Int {
        try place(field).map { Int(try buffer.read($0, as: Int32.self)) } ?? value
    }

    func uint32(_ field: Int, default value: Int = 0) throws -> Int {
        try place(field).map { Int(try buffer.read($0, as: UInt32.self)) } ?? value
    }

    func uint64(_ field: Int) throws -> UInt64 {
        try place(field).map { try buffer.read($0, as: UInt64.self) } ?? 0
    }

    func float(_ field: Int, default value: Float = 0) throws -> Float {
        try place(field).map { Float(bitPattern: try buffer.read($0, as: UInt32.self)) } ?? value
    }

    func flag(_ field: Int, default value: Bool = false) throws -> Bool {
        try uint8(field, default: value ? 1 : 0) != 0
    }

    func table(_ field: Int) throws -> FlatTable? { try target(field).map { try FlatTable(buffer, at: $0) } }

    // MARK: Vectors

    /// Start and number of elements of a vector of elements of `size` bytes, all of them inside the file.
    private func vector(_ field: Int, size: Int) throws -> (start: Int, count: Int)? {
        guard let place = try target(field) else { return nil }
        let count = Int(try buffer.read(place, as: UInt32.self))
        guard count <= (buffer.count - place - 4) / size else { throw FlatBuffer.outside }
        return (place + 4, count)
    }

    private func elements<Number: FixedWidthInteger>(_ field: Int, as type: Number.Type) throws -> [Number]? {
        let size = MemoryLayout<Number>.size
        guard let (start, count) = try vector(field, size: size) else { return nil }
        try buffer.spend(count * size)
        return try (0..<count).map { try buffer.read(start + $0 * size, as: type) }
    }

    func int32s(_ field: Int) throws -> [Int]? { try elements(field, as: Int32.self)?.map(Int.init) }
    func int64s(_ field: Int) throws -> [Int64]? { try elements(field, as: Int64.self) }
    func floats(_ field: Int) throws -> [Float]? { try elements(field, as: UInt32.self)?.map(Float.init(bitPattern:)) }

    func bytes(_ field: Int) throws -> Data? {
        guard let (start, count) = try vector(field, size: 1) else { return nil }
        return try buffer.slice(start, count)
    }

    func string(_ field: Int) throws -> String? { try bytes(field).map { String(decoding: $0, as: UTF8.self) } }

    func tableCount(_ field: Int) throws -> Int { try vector(field, size: 4)?.count ?? 0 }

    /// An element of a vector of tables.
    func table(_ field: Int, _ index: Int) throws -> FlatTable {
        guard let (start, count) = try vector(field, size: 4), index >= 0, index < count else {
            throw ImportError.malformed("there is no entry \(index)")
        }
        let place = start + 4 * index
        return try FlatTable(buffer, at: place + Int(try buffer.read(place, as: UInt32.self)))
    }
}
