// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Turns tensors of an ONNX file into tensors.
///
/// Half precision (`FLOAT16`, `BFLOAT16`) becomes `float32`, `UINT32` and `UINT64` become `int64`, 4-bit integers 8-bit ones:
/// the graph has none of them.
struct TensorDecoder {
    /// Folder of the ONNX file; external data may stand there and nowhere else. Nil when the model came from memory.
    let folder: String?

    func decode(_ proto: ONNXTensorProto) throws -> Tensor {
        let shape = try Self.shape(proto)
        guard let source = ONNXElement(rawValue: proto.dataType) else {
            throw Unsupported("tensor \(proto.name) has the element type \(proto.dataType), which is not supported")
        }
        try TensorType(source.type, shape).checked()
        if proto.dataLocation == 1 {
            return try decode(raw: try externalData(proto), source, shape, proto.name)
        }
        if proto.hasRawData, !(proto.rawData.isEmpty && shape.count > 0) {
            return try decode(raw: proto.rawData, source, shape, proto.name)
        }
        return try decode(fields: proto, source, shape)
    }

    private static func shape(_ proto: ONNXTensorProto) throws -> Shape {
        guard proto.dims.count <= 64, proto.dims.allSatisfy({ $0 >= 0 && $0 <= 1 << 31 }) else {
            throw ImportError.malformed("tensor \(proto.name) has an impossible shape")
        }
        return Shape(proto.dims.map(Int.init))
    }

    private func decode(raw: Data, _ source: ONNXElement, _ shape: Shape, _ name: String) throws -> Tensor {
        let needed = source.isPacked ? (shape.count + 1) / 2 : shape.count * source.sizeBytes
        guard raw.count == needed else {
            throw ImportError.malformed("tensor \(name) has \(raw.count) bytes, its shape \(shape) needs \(needed)")
        }
        let tensor = Tensor(source.type, shape)
        raw.withUnsafeBytes { bytes in
            switch source {
            case .float16: widen(bytes, UInt16.self, tensor) { Float(half: $0) }
            case .bfloat16: widen(bytes, UInt16.self, tensor) { Float(bitPattern: UInt32($0) << 16) }
            case .uint32: widen(bytes, UInt32.self, tensor) { Int64($0) }
            case .uint64: widen(bytes, UInt64.self, tensor) { Int64(clamping: $0) }
            case .bool: widen(bytes, UInt8.self, tensor) { $0 != 0 }
            case .uint4, .int4: unpack(bytes, isSigned: source == .int4, tensor)
            default: tensor.buffer.bytes.copyMemory(from: bytes)
            }
        }
        return tensor
    }

    /// Two elements per byte, the first one in the lower half.
    private func unpack(_ bytes: UnsafeRawBufferPointer, isSigned: Bool, _ tensor: Tensor) {
        for index in 0..<tensor.count {
            let bits = bytes[index / 2] >> (index % 2 == 0 ? 0 : 4) & 0x0f
            tensor.buffer.bytes[index] = isSigned && bits & 0x08 != 0 ? bits | 0xf0 : bits
        }
    }

    private func widen<Source: FixedWidthInteger, Element: TensorElement>(
        _ bytes: UnsafeRawBufferPointer, _: Source.Type, _ tensor: Tensor, _ convert: (Source) -> Element
    ) {
        let output = tensor.mutableElements(as: Element.self)
        for index in output.indices {
            let value = bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Source>.size, as: Source.self)
            output[index] = convert(Source(littleEndian: value))
        }
    }

    private func decode(fields proto: ONNXTensorProto, _ source: ONNXElement, _ shape: Shape) throws -> Tensor {
        func tensor<Stored, Element: TensorElement>(_ stored: [Stored], _ convert: (Stored) -> Element) throws -> Tensor
        {
            guard stored.count == shape.count else {
                throw ImportError.malformed(
                    "tensor \(proto.name) has \(stored.count) elements, its shape \(shape) needs \(shape.count)")
            }
            return Tensor(shape, stored.map(convert))
        }
        return switch source {
        case .float32: try tensor(proto.floatData) { $0 }
        case .float64: try tensor(proto.doubleData) { $0 }
        case .uint8: try tensor(proto.int32Data) { UInt8(truncatingIfNeeded: $0) }
        case .int8: try tensor(proto.int32Data) { Int8(truncatingIfNeeded: $0) }
        case .uint16: try tensor(proto.int32Data) { UInt16(truncatingIfNeeded: $0) }
        case .int16: try tensor(proto.int32Data) { Int16(truncatingIfNeeded: $0) }
        case .int32: try tensor(proto.int32Data) { $0 }
        case .int64: try tensor(proto.int64Data) { $0 }
        case .bool: try tensor(proto.int32Data) { $0 != 0 }
        case .float16: try tensor(proto.int32Data) { Float(half: UInt16(truncatingIfNeeded: $0)) }
        case .bfloat16: try tensor(proto.int32Data) { Float(bitPattern: UInt32(truncatingIfNeeded: $0) << 16) }
        case .uint32, .uint64: try tensor(proto.uint64Data) { Int64(clamping: $0) }
        case .uint4, .int4:
            try decode(raw: Data(proto.int32Data.map { UInt8(truncatingIfNeeded: $0) }), source, shape, proto.name)
        }
    }

    // MARK: External data

    /// The bytes that `external_data` names. The path must stay inside the model's folder, also after links are followed.
    private func externalData(_ proto: ONNXTensorProto) throws -> Data {
        func fault(_ reason: String) -> ImportError {
            .malformed("external data of tensor \(proto.name): \(reason)")
        }
        var entries: [String: String] = [:]
        for entry in proto.externalData { entries[entry.key] = entry.value }
        guard let folder else { throw fault("the model has no folder") }
        guard let location = entries["location"], !location.isEmpty, !location.utf8.contains(0) else {
            throw fault("no location")
        }
        let root = URL(fileURLWithPath: folder).resolvingSymlinksInPath().standardizedFileURL
        let file = root.appendingPathComponent(location).resolvingSymlinksInPath().standardizedFileURL
        let prefix = root.path.hasSuffix("/") ? root.path : root.path + "/"
        guard !location.hasPrefix("/"), file.path.hasPrefix(prefix) else {
            throw fault("\(location) is outside the model's folder")
        }
        guard let data = try? Data(contentsOf: file, options: .mappedIfSafe) else {
            throw fault("cannot open \(location)")
        }
        guard let offset = entries["offset"].map({ Int($0) }) ?? 0, offset >= 0, offset <= data.count,
            let length = entries["length"].map({ Int($0) }) ?? (data.count - offset), length >= 0,
            length <= data.count - offset
        else { throw fault("offset and length reach outside \(location)") }
        return data.dropFirst(offset).prefix(length)
    }
}

/// Element types of ONNX (`TensorProto.DataType`) that can be read.
enum ONNXElement: Int32 {
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case bool = 9
    case float16 = 10
    case float64 = 11
    case uint32 = 12
    case uint64 = 13
    case bfloat16 = 16
    case uint4 = 21
    case int4 = 22

    /// Whether two elements share a byte.
    var isPacked: Bool { self == .uint4 || self == .int4 }

    /// What it becomes in the graph.
    var type: ElementType {
        switch self {
        case .float32, .float16, .bfloat16: .float32
        case .float64: .float64
        case .uint8, .uint4: .uint8
        case .int8, .int4: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .int32: .int32
        case .int64, .uint32, .uint64: .int64
        case .bool: .bool
        }
    }

    /// In the file.
    var sizeBytes: Int {
        switch self {
        case .uint8, .int8, .bool, .uint4, .int4: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .float32, .int32, .uint32: 4
        case .float64, .int64, .uint64: 8
        }
    }
}
