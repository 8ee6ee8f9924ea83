// SPDX-License-Identifier: Apache-2.0
import ModelGraph

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Numbers by name, as custom operators carry their options: a map in FlexBuffers
/// (https://flatbuffers.dev/flatbuffers_internals/#flexbuffers). What is neither a number nor a truth value is passed over.
struct FlexMap {
    private static let mapType = 9
    private static let maximumEntries = 256

    private(set) var numbers: [String: Double] = [:]

    /// - Throws: `ImportError.malformed` when the bytes are no map or point outside of themselves.
    init(_ data: Data) throws {
        let bytes = [UInt8](data)
        guard bytes.count >= 3 else { throw FlatBuffer.outside }
        let width = Int(bytes[bytes.count - 1])
        let type = Int(bytes[bytes.count - 2])
        guard type >> 2 == Self.mapType else { throw ImportError.malformed("options of a custom operator are no map") }
        let reader = FlexReader(bytes: bytes)
        let start = try reader.target(bytes.count - 2 - width, width)
        // The map's values; before them stand their number and where the names are.
        let own = 1 << (type & 3)
        let count = Int(clamping: try reader.unsigned(start - own, own))
        let nameWidth = Int(clamping: try reader.unsigned(start - 2 * own, own))
        let names = try reader.target(start - 3 * own, own)
        guard count <= Self.maximumEntries else { throw FlatBuffer.outside }
        for index in 0..<count {
            let name = try reader.text(try reader.target(names + index * nameWidth, nameWidth))
            let kind = try reader.unsigned(start + count * own + index, 1)
            numbers[name] = try reader.number(start + index * own, own, type: Int(kind))
        }
    }
}

private struct FlexReader {
    let bytes: [UInt8]

    func unsigned(_ position: Int, _ width: Int) throws -> UInt64 {
        guard [1, 2, 4, 8].contains(width), position >= 0, position <= bytes.count - width else {
            throw FlatBuffer.outside
        }
        return (0..<width).reduce(0) { $0 | UInt64(bytes[position + $1]) << (8 * UInt64($1)) }
    }

    /// Offsets point backwards.
    func target(_ position: Int, _ width: Int) throws -> Int {
        let target = position - Int(clamping: try unsigned(position, width))
        guard target >= 0 else { throw FlatBuffer.outside }
        return target
    }

    func text(_ position: Int) throws -> String {
        guard let end = bytes[position...].prefix(128).firstIndex(of: 0) else { throw FlatBuffer.outside }
        return String(decoding: bytes[position..<end], as: UTF8.self)
    }

    /// Nil for other types than numbers, which stand in place or (6 to 8) elsewhere, and truth values.
    func number(_ position: Int, _ width: Int, type: Int) throws -> Double? {
        let kind = type >> 2
        if (6...8).contains(kind) {
            return try number(try target(position, width), 1 << (type & 3), type: (kind - 5) << 2)
        }
        let raw = try unsigned(position, width)
        switch (kind, width) {
        case (1, _):
            let unused = UInt64(64 - 8 * width)
            return Double(Int64(bitPattern: raw << unused) >> Int64(unused))
        case (2, _), (26, _): return Double(raw)
        case (3, 8): return Double(bitPattern: raw)
        case (3, 4): return Double(Float(bitPattern: UInt32(raw)))
        case (3, 2): return Double(Float(half: UInt16(raw)))
        default: return nil
        }
    }
}
