// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Tensors as NumPy's `.npy` files, versions 1 to 3
/// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
///
/// Read are little-endian and one-byte element types in C and Fortran order; written are C order and version 1.
package enum NumPyFile {
    package enum Fault: Error, Equatable, CustomStringConvertible {
        case unreadable(path: String)
        case unwritable(path: String)
        case notNumPy
        case unsupportedVersion(Int)
        /// The header is not what NumPy writes.
        case malformedHeader(String)
        case unsupportedType(String)
        case wrongSize(expectedBytes: Int, actualBytes: Int)

        package var description: String {
            switch self {
            case .unreadable(let path): "\(path): cannot be read"
            case .unwritable(let path): "\(path): cannot be written"
            case .notNumPy: "not a NumPy file"
            case .unsupportedVersion(let version): "version \(version) of the NumPy format is not supported"
            case .malformedHeader(let reason): "the NumPy header is malformed: \(reason)"
            case .unsupportedType(let type): "elements of type \(type) are not supported"
            case .wrongSize(let expected, let actual):
                "the shape needs \(expected) bytes of elements, there are \(actual)"
            }
        }
    }

    private static let magic: [UInt8] = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

    package static func read(_ path: String) throws -> Tensor {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) else {
            throw Fault.unreadable(path: path)
        }
        return try decode(data)
    }

    package static func write(_ tensor: Tensor, _ path: String) throws {
        do { try encode(tensor).write(to: URL(fileURLWithPath: path)) } catch { throw Fault.unwritable(path: path) }
    }

    /// - Throws: `Fault` for whatever is not a complete file of a supported kind.
    package static func decode(_ data: Data) throws -> Tensor {
        let bytes = [UInt8](data.prefix(12))
        guard bytes.count >= 10, Array(bytes.prefix(6)) == magic else { throw Fault.notNumPy }
        guard (1...3).contains(bytes[6]) else { throw Fault.unsupportedVersion(Int(bytes[6])) }
        // Two bytes of length in version 1, four in later ones.
        let start = bytes[6] == 1 ? 10 : 12
        guard bytes.count >= start else { throw Fault.notNumPy }
        let length = bytes[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= 1 << 16, data.count >= start + length else { throw Fault.malformedHeader("it is cut off") }
        let text = String(decoding: data.dropFirst(start).prefix(length), as: UTF8.self)
        let header = try Header(text)
        guard let count = header.shape.checkedCount, count <= Int.max / 16 else {
            throw Fault.malformedHeader("the shape is too large")
        }
        let body = data.dropFirst(start + length)
        guard body.count == count * header.type.sizeBytes else {
            throw Fault.wrongSize(expectedBytes: count * header.type.sizeBytes, actualBytes: body.count)
        }
        let tensor = Tensor(header.type, header.shape)
        body.withUnsafeBytes { tensor.buffer.bytes.copyMemory(from: $0) }
        return header.isFortranOrder ? tensor.fromFortranOrder() : tensor
    }

    package static func encode(_ tensor: Tensor) -> Data {
        let extents = tensor.shape.dimensions.map { "\($0)," }.joined(separator: " ")
        // NumPy writes a comma only after a single extent.
        let shape = tensor.shape.rank == 1 ? extents : String(extents.dropLast())
        var header = "{'descr': '\(tensor.type.numPyName)', 'fortran_order': False, 'shape': (\(shape)), }"
        // The elements start at a multiple of 64.
        header += String(repeating: " ", count: (64 - (10 + header.utf8.count + 1) % 64) % 64) + "\n"
        let length = header.utf8.count
        var data = Data(magic + [1, 0, UInt8(length & 0xff), UInt8(length >> 8 & 0xff)])
        data.append(contentsOf: header.utf8)
        data.append(contentsOf: tensor.buffer.bytes.prefix(tensor.count * tensor.type.sizeBytes))
        return data
    }
}

/// The dictionary literal at the start of a file.
private struct Header {
    let type: ElementType
    let isFortranOrder: Bool
    let shape: Shape

    init(_ text: String) throws {
        let type = try Self.quoted(Self.entry("descr", in: text))
        guard
            let element = ElementType.allCases.first(where: {
                $0.numPyName == type || $0.numPyName == "<" + type.dropFirst() && type.hasPrefix("=")
            })
        else { throw NumPyFile.Fault.unsupportedType(type) }
        self.type = element
        isFortranOrder = try Self.entry("fortran_order", in: text).hasPrefix("True")
        let tuple = try Self.entry("shape", in: text)
        guard tuple.hasPrefix("("), let end = tuple.firstIndex(of: ")") else {
            throw NumPyFile.Fault.malformedHeader("shape")
        }
        let extents = tuple[tuple.index(after: tuple.startIndex)..<end].split(separator: ",").map {
            String($0.filter { $0 != " " })
        }.filter { !$0.isEmpty }
        shape = Shape(
            try extents.map { text in
                guard let extent = Int(text), extent >= 0 else { throw NumPyFile.Fault.malformedHeader("shape") }
                return extent
            })
        guard shape.rank <= 64 else { throw NumPyFile.Fault.malformedHeader("shape") }
    }

    /// What follows `'key':`.
    private static func entry(_ key: String, in text: String) throws -> Substring {
        for quote in ["'", "\""] {
            if let range = text.firstRange(of: "\(quote)\(key)\(quote)") {
                let rest = text[range.upperBound...].drop { $0 == " " }
                if rest.first == ":" { return rest.dropFirst().drop { $0 == " " } }
            }
        }
        throw NumPyFile.Fault.malformedHeader("\(key) is missing")
    }

    private static func quoted(_ text: Substring) throws -> String {
        guard let quote = text.first, quote == "'" || quote == "\"" else {
            throw NumPyFile.Fault.malformedHeader("descr")
        }
        return String(text.dropFirst().prefix { $0 != quote })
    }
}

extension ElementType {
    /// NumPy's type string.
    fileprivate var numPyName: String {
        switch self {
        case .float32: "<f4"
        case .float64: "<f8"
        case .float16: "<f2"
        case .uint8: "|u1"
        case .int8: "|i1"
        case .bool: "|b1"
        case .uint16: "<u2"
        case .int16: "<i2"
        case .int32: "<i4"
        case .int64: "<i8"
        }
    }
}

extension Tensor {
    /// The tensor in C order when its memory holds it in Fortran order.
    fileprivate func fromFortranOrder() -> Tensor {
        let result = Tensor(type, shape)
        let size = type.sizeBytes
        guard let from = buffer.bytes.baseAddress, let to = result.buffer.bytes.baseAddress, count > 0 else {
            return result
        }
        var index = [Int](repeating: 0, count: shape.rank)
        for source in 0..<count {
            // Fortran order: the first index runs fastest.
            let target = zip(index, shape.dimensions).reduce(0) { $0 * $1.1 + $1.0 }
            (to + target * size).copyMemory(from: from + source * size, byteCount: size)
            for axis in 0..<shape.rank {
                index[axis] += 1
                if index[axis] < shape[axis] { break }
                index[axis] = 0
            }
        }
        return result
    }
}
