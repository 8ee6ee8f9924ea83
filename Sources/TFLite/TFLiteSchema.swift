// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The tables of a TensorFlow Lite file that matter here. Fields are called by their number in
/// `tensorflow/lite/schema/schema.fbs`, version 3.
struct TFLiteSchema {
    static let identifier = "TFL3"
    static let version = 3
    private static let customOperator = 32

    private let buffer: FlatBuffer
    private let model: FlatTable
    private let graph: FlatTable
    let operatorCount: Int
    let tensorCount: Int
    let inputs: [Int]
    let outputs: [Int]

    init(_ data: Data) throws {
        let buffer = try FlatBuffer(data, identifier: Self.identifier)
        let model = try buffer.root()
        guard try model.uint32(0) == Self.version else {
            throw ImportError.malformed("version \(try model.uint32(0)) of the schema is not \(Self.version)")
        }
        guard try model.tableCount(2) > 0 else { throw ImportError.malformed("there is no graph in it") }
        try self.init(buffer, model, subgraph: 0)
    }

    private init(_ buffer: FlatBuffer, _ model: FlatTable, subgraph: Int) throws {
        self.buffer = buffer
        self.model = model
        graph = try model.table(2, subgraph)
        operatorCount = try graph.tableCount(3)
        tensorCount = try graph.tableCount(0)
        inputs = try graph.int32s(1) ?? []
        outputs = try graph.int32s(2) ?? []
    }

    /// The same file, seen from another one of its graphs.
    func subgraph(_ index: Int) throws -> TFLiteSchema { try TFLiteSchema(buffer, model, subgraph: index) }

    // MARK: Tensors

    struct TensorEntry {
        var name: String
        /// Nil for types that networks here do not have.
        var type: TFLiteType?
        /// As the converter left it; 1 where it is open.
        var shape: [Int]
        /// -1 where an extent is open; empty when none is.
        var signature: [Int]
        var buffer: Int
        var quantization: QuantizationParameters?
        var isVariable: Bool
    }

    func tensor(_ index: Int) throws -> TensorEntry {
        let table = try graph.table(0, index)
        let shape = try table.int32s(0) ?? []
        let limit = 1 << 31
        guard shape.count <= 16, shape.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw ImportError.malformed("tensor \(index) has an impossible shape")
        }
        var name = try table.string(3) ?? ""
        if name.isEmpty { name = "tensor \(index)" }
        let type = TFLiteType(rawValue: try table.int8(1))
        return TensorEntry(
            name: name, type: type, shape: shape, signature: try table.int32s(7) ?? [], buffer: try table.uint32(2),
            quantization: try table.table(4).flatMap { try quantization($0, shape, type, name) },
            isVariable: try table.flag(5))
    }

    /// Nil when there are no scales: older converters write the table for every tensor.
    private func quantization(
        _ table: FlatTable, _ shape: [Int], _ type: TFLiteType?, _ name: String
    ) throws -> QuantizationParameters? {
        let scales = try table.floats(2) ?? []
        if scales.isEmpty { return nil }
        let zeros = try table.int64s(3) ?? []
        let axis = try table.int32(6)
        guard scales.allSatisfy({ $0 >= 0 && $0.isFinite }), zeros.isEmpty || zeros.count == scales.count else {
            throw ImportError.malformed("tensor \(name) has impossible quantization parameters")
        }
        guard scales.count == 1 || (axis >= 0 && axis < shape.count && shape[axis] == scales.count) else {
            throw ImportError.malformed("tensor \(name) has \(scales.count) scales, which do not fit its shape")
        }
        // Channels that are never used have scale zero in some files.
        return QuantizationParameters(
            scales: scales.map { max($0, .leastNormalMagnitude) },
            zeroPoints: scales.indices.map { zeros.isEmpty ? 0 : Int32(clamping: zeros[$0]) },
            axis: scales.count == 1 ? nil : axis)
    }

    /// Bytes of a constant; nil when the tensor is computed.
    func contents(_ index: Int) throws -> Data? {
        guard index > 0 else { return nil }
        let table = try model.table(4, index)
        // Of files over 2 GiB, contents stand behind the buffer.
        let (offset, size) = (try table.uint64(1), try table.uint64(2))
        if offset > 1 {
            guard let start = Int(exactly: offset), let count = Int(exactly: size) else { throw FlatBuffer.outside }
            return try buffer.slice(start, count)
        }
        guard let bytes = try table.bytes(0), !bytes.isEmpty else { return nil }
        return bytes
    }

    // MARK: Operators

    struct OperatorEntry {
        var kind: TFLiteOperator?
        /// For messages.
        var name: String
        /// -1 where one is left out.
        var inputs: [Int]
        var outputs: [Int]
        var options: FlatTable?
        /// Name of an operator that the schema does not have, and its options.
        var custom: String?
        var customOptions: Data?
    }

    func operation(_ index: Int) throws -> OperatorEntry {
        let table = try graph.table(3, index)
        let code = try model.table(1, try table.uint32(0))
        // Codes over 126 stand in the newer field, which older files lack.
        let number = max(try code.int8(0), try code.int32(3))
        let kind = TFLiteOperator(rawValue: number)
        let custom = number == Self.customOperator ? try code.string(1) : nil
        return OperatorEntry(
            kind: kind, name: custom ?? TFLiteOperator.name(number), inputs: try table.int32s(1) ?? [],
            outputs: try table.int32s(2) ?? [], options: try table.table(4), custom: custom,
            customOptions: custom == nil ? nil : try table.bytes(5))
    }
}

/// Element types (`TensorType`) that can be read.
enum TFLiteType: Int {
    case float32 = 0
    case float16 = 1
    case int32 = 2
    case uint8 = 3
    case int64 = 4
    case bool = 6
    case int16 = 7
    case int8 = 9
    case float64 = 10
    case uint32 = 15
    case uint16 = 16

    /// What it becomes in the graph.
    var type: ElementType {
        switch self {
        case .float32, .float16: .float32
        case .int32: .int32
        case .uint8: .uint8
        case .int64, .uint32: .int64
        case .bool: .bool
        case .int16: .int16
        case .int8: .int8
        case .float64: .float64
        case .uint16: .uint16
        }
    }
}
