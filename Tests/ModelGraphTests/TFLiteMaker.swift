// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelGraph
import TFLite
import Tensors

/// A FlatBuffers value to be written.
indirect enum Flat {
    case int8(Int)
    case int32(Int)
    case table([Int: Flat])
    case tables([Flat])
    case int32s([Int])
    case int64s([Int])
    case floats([Float])
    case bytes([UInt8])
    case string(String)

    /// A file with this table as its root.
    func file(identifier: String = "TFL3") -> Data {
        var writer = FlatWriter()
        writer.bytes = [0, 0, 0, 0] + Array(identifier.utf8)
        writer.set(UInt32(writer.write(self)), at: 0)
        return Data(writer.bytes)
    }
}

/// Writes each value behind those that refer to it, so that all offsets point forward.
private struct FlatWriter {
    var bytes: [UInt8] = []

    mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func set<Number: FixedWidthInteger>(_ number: Number, at position: Int) {
        withUnsafeBytes(of: number.littleEndian) { bytes.replaceSubrange(position..<(position + $0.count), with: $0) }
    }

    mutating func align() { while bytes.count % 8 != 0 { bytes.append(0) } }

    /// Where the value stands.
    mutating func write(_ value: Flat) -> Int {
        align()
        switch value {
        case .int8, .int32: preconditionFailure("stands in a table")
        case .table(let fields): return writeTable(fields)
        case .tables(let tables):
            let start = bytes.count
            append(UInt32(tables.count))
            for _ in tables { append(UInt32(0)) }
            for (index, table) in tables.enumerated() { refer(from: start + 4 + 4 * index, to: table) }
            return start
        case .int32s(let numbers): return writeVector(numbers.map { Int32($0) })
        case .floats(let numbers): return writeVector(numbers.map(\.bitPattern))
        case .bytes(let numbers): return writeVector(numbers)
        case .string(let text): return writeVector(Array(text.utf8))
        case .int64s(let numbers):
            append(UInt32(0))
            return writeVector(numbers.map { Int64($0) })
        }
    }

    private mutating func writeVector<Number: FixedWidthInteger>(_ numbers: [Number]) -> Int {
        let start = bytes.count
        append(UInt32(numbers.count))
        for number in numbers { append(number) }
        return start
    }

    private mutating func writeTable(_ fields: [Int: Flat]) -> Int {
        let slots = (fields.keys.max() ?? -1) + 1
        let vtable = bytes.count
        for _ in 0..<(2 + slots) { append(UInt16(0)) }
        align()
        let start = bytes.count
        append(Int32(start - vtable))
        var references: [(Int, Flat)] = []
        for (slot, value) in fields.sorted(by: { $0.key < $1.key }) {
            set(UInt16(bytes.count - start), at: vtable + 4 + 2 * slot)
            switch value {
            case .int8(let number):
                append(Int8(number))
                while bytes.count % 4 != 0 { bytes.append(0) }
            case .int32(let number): append(Int32(number))
            default:
                references.append((bytes.count, value))
                append(UInt32(0))
            }
        }
        set(UInt16(4 + 2 * slots), at: vtable)
        set(UInt16(bytes.count - start), at: vtable + 2)
        for (place, value) in references { refer(from: place, to: value) }
        return start
    }

    private mutating func refer(from place: Int, to value: Flat) {
        let target = write(value)
        set(UInt32(target - place), at: place)
    }
}

/// Builds TensorFlow Lite files operator by operator.
struct TFLiteMaker {
    /// Numbers of element types in the schema.
    static let float32 = 0
    static let int32 = 2
    static let int8 = 9

    private var tensors: [Flat] = []
    private var buffers: [Flat] = [.table([:])]
    private var codes: [Flat] = []
    private var operators: [Flat] = []
    var inputs: [Int] = []
    var outputs: [Int] = []
    private var subgraphs: [Flat] = []

    /// Ends a graph; what follows belongs to the next one.
    mutating func endGraph() {
        subgraphs.append(graph)
        (tensors, operators, inputs, outputs) = ([], [], [], [])
    }

    private var graph: Flat {
        .table([0: .tables(tensors), 1: .int32s(inputs), 2: .int32s(outputs), 3: .tables(operators)])
    }

    mutating func tensor(
        _ name: String, _ shape: [Int], type: Int = float32, scales: [Float] = [], zeros: [Int] = [], axis: Int = 0,
        contents: [UInt8]? = nil, buffer given: Int = 0
    ) -> Int {
        var buffer = given
        if let contents {
            buffers.append(.table([0: .bytes(contents)]))
            buffer = buffers.count - 1
        }
        var fields: [Int: Flat] = [0: .int32s(shape), 1: .int8(type), 2: .int32(buffer), 3: .string(name)]
        if !scales.isEmpty { fields[4] = .table([2: .floats(scales), 3: .int64s(zeros), 6: .int32(axis)]) }
        tensors.append(.table(fields))
        return tensors.count - 1
    }

    mutating func constant<Element: TensorElement>(
        _ name: String, _ shape: [Int], _ values: [Element], type: Int, scales: [Float] = [], zeros: [Int] = [],
        axis: Int = 0
    ) -> Int {
        tensor(
            name, shape, type: type, scales: scales, zeros: zeros, axis: axis,
            contents: values.withUnsafeBytes { Array($0) })
    }

    mutating func operation(_ code: Int, _ inputs: [Int], _ outputs: [Int], options: [Int: Flat] = [:]) {
        add([0: .int8(min(code, 127)), 3: .int32(code)], inputs, outputs, [4: .table(options)])
    }

    /// An operator that the schema does not have.
    mutating func custom(_ name: String, _ inputs: [Int], _ outputs: [Int], options: [UInt8] = []) {
        add([0: .int8(32), 1: .string(name), 3: .int32(32)], inputs, outputs, [5: .bytes(options)])
    }

    private mutating func add(_ code: [Int: Flat], _ inputs: [Int], _ outputs: [Int], _ options: [Int: Flat]) {
        codes.append(.table(code))
        let own: [Int: Flat] = [0: .int32(codes.count - 1), 1: .int32s(inputs), 2: .int32s(outputs)]
        operators.append(.table(own.merging(options) { first, _ in first }))
    }

    var data: Data {
        Flat.table([
            0: .int32(3), 1: .tables(codes),
            2: .tables(subgraphs + [graph]), 4: .tables(buffers),
        ]).file()
    }

    func model(shapes: [String: Shape] = [:]) throws -> Model {
        try TFLiteFile(data, name: "made").model(shapes: shapes)
    }
}

/// A map of FlexBuffers whose entries are all of four bytes.
func flexMap(_ entries: [(name: String, number: Float)]) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ number: Int) { withUnsafeBytes(of: UInt32(number).littleEndian) { bytes += $0 } }
    let entries = entries.sorted { $0.name < $1.name }
    let names = entries.map { entry in
        bytes += Array(entry.name.utf8) + [0]
        return bytes.count - entry.name.utf8.count - 1
    }
    append(entries.count)
    let keys = bytes.count
    for name in names { append(bytes.count - name) }
    append(bytes.count - keys)
    append(4)
    append(entries.count)
    let values = bytes.count
    // Whole numbers as integers.
    let areWhole = entries.map { $0.number == $0.number.rounded() }
    for (entry, isWhole) in zip(entries, areWhole) {
        append(isWhole ? Int(entry.number) : Int(entry.number.bitPattern))
    }
    bytes += areWhole.map { $0 ? 1 << 2 | 2 : 3 << 2 | 2 }
    append(bytes.count - values)
    return bytes + [9 << 2 | 2, 4]
}

extension TFLiteMaker {
    /// x and a counter from 0: while the counter is less than 3, x = x * 2 + the counter's number in a table.
    static func loop(limit: Int32 = 3) -> TFLiteMaker {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1])
        let zero = maker.constant("zero", [1], [Int32(0)], type: int32)
        let y = [maker.tensor("i", [1], type: int32), maker.tensor("y", [1])]
        maker.operation(119, [zero, x], y, options: [0: .int32(1), 1: .int32(2)])
        (maker.inputs, maker.outputs) = ([x], [y[1]])
        maker.endGraph()
        let (i, a) = (maker.tensor("i", [1], type: int32), maker.tensor("a", [1]))
        let end = maker.constant("end", [1], [limit], type: int32)
        let isLess = maker.tensor("less", [1], type: 6)
        maker.operation(58, [i, end], [isLess])
        (maker.inputs, maker.outputs) = ([i, a], [isLess])
        maker.endGraph()
        let (j, b) = (maker.tensor("i", [1], type: int32), maker.tensor("a", [1]))
        let one = maker.constant("one", [1], [Int32(1)], type: int32)
        let table = maker.constant("table", [3], [Float(10), 20, 30], type: float32)
        let (next, doubled) = (maker.tensor("next", [1], type: int32), maker.tensor("doubled", [1]))
        let (entry, sum) = (maker.tensor("entry", [1]), maker.tensor("sum", [1]))
        maker.operation(0, [j, one], [next])
        maker.operation(0, [b, b], [doubled])
        maker.operation(36, [table, j], [entry])
        maker.operation(0, [doubled, entry], [sum])
        (maker.inputs, maker.outputs) = ([j, b], [next, sum])
        return maker
    }

    /// Three boxes of which the second overlaps the first, and a third one; background and two classes.
    static func detector() -> TFLiteMaker {
        var maker = TFLiteMaker()
        let codes = maker.tensor("codes", [1, 3, 4])
        let scores = maker.tensor("scores", [1, 3, 3])
        let anchors = maker.constant(
            "anchors", [3, 4], [Float(0.25), 0.25, 0.5, 0.5, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.5, 0.5], type: float32)
        let outputs = [[1, 4, 4], [1, 4], [1, 4], [1]].enumerated().map { maker.tensor("out\($0)", $1) }
        maker.custom(
            "TFLite_Detection_PostProcess", [codes, scores, anchors], outputs,
            options: flexMap([
                ("max_detections", 4), ("max_classes_per_detection", 1), ("num_classes", 2),
                ("nms_score_threshold", 0.125), ("nms_iou_threshold", 0.6), ("y_scale", 10), ("x_scale", 10),
                ("h_scale", 5), ("w_scale", 5), ("use_regular_nms", 0),
            ]))
        (maker.inputs, maker.outputs) = ([codes, scores], outputs)
        return maker
    }

    /// x (int8, steps of 0.5 from -1) -> fully connected with weights per row -> y (int8, steps of 1)
    static func integerFullyConnected() -> TFLiteMaker {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 2], type: TFLiteMaker.int8, scales: [0.5], zeros: [-1])
        let w = maker.constant(
            "w", [2, 2], [Int8(2), 4, -3, 1], type: TFLiteMaker.int8, scales: [0.5, 1], zeros: [0, 0])
        let b = maker.constant("b", [2], [Int32(4), -2], type: TFLiteMaker.int32, scales: [0.25, 0.5], zeros: [0, 0])
        let y = maker.tensor("y", [1, 2], type: TFLiteMaker.int8, scales: [1], zeros: [3])
        maker.operation(9, [x, w, b], [y])
        (maker.inputs, maker.outputs) = ([x], [y])
        return maker
    }
}
