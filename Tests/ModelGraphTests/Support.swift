// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelGraph
import ONNX
import SwiftProtobuf
import Tensors

/// Builds ONNX files message by message.
struct ONNXMaker {
    var proto = ONNXModelProto()

    init(version: Int64 = 17) {
        proto.irVersion = 8
        proto.opsetImport = [.with { $0.version = version }]
    }

    mutating func input(_ name: String, _ extents: [String], type: Int32 = 1) {
        proto.graph.input.append(Self.value(name, extents, type))
    }

    mutating func output(_ name: String) { proto.graph.output.append(Self.value(name, [], 1)) }

    mutating func floats(_ name: String, _ dims: [Int64], _ values: [Float]) {
        initializer(name, type: 1, dims) { $0.floatData = values }
    }

    mutating func bytes(_ name: String, _ dims: [Int64], _ values: [UInt8]) {
        initializer(name, type: 2, dims) { $0.rawData = Data(values) }
    }

    mutating func integers(_ name: String, _ values: [Int64]) {
        initializer(name, type: 7, [Int64(values.count)]) { $0.int64Data = values }
    }

    private mutating func initializer(
        _ name: String, type: Int32, _ dims: [Int64], _ setElements: (inout ONNXTensorProto) -> Void
    ) {
        var tensor = ONNXTensorProto.with {
            $0.name = name
            $0.dataType = type
            $0.dims = dims
        }
        setElements(&tensor)
        proto.graph.initializer.append(tensor)
    }

    mutating func node(
        _ type: String, _ inputs: [String], _ outputs: [String], domain: String = "",
        attributes: [ONNXAttributeProto] = []
    ) {
        proto.graph.node.append(Self.node(type, inputs, outputs, domain: domain, attributes: attributes))
    }

    static func node(
        _ type: String, _ inputs: [String], _ outputs: [String], domain: String = "",
        attributes: [ONNXAttributeProto] = []
    ) -> ONNXNodeProto {
        .with {
            $0.opType = type
            $0.input = inputs
            $0.output = outputs
            $0.domain = domain
            $0.attribute = attributes
        }
    }

    static func ints(_ name: String, _ values: [Int64]) -> ONNXAttributeProto {
        .with {
            $0.name = name
            $0.type = 7
            $0.ints = values
        }
    }

    static func int(_ name: String, _ value: Int64) -> ONNXAttributeProto {
        .with {
            $0.name = name
            $0.type = 2
            $0.i = value
        }
    }

    private static func value(_ name: String, _ extents: [String], _ type: Int32) -> ONNXValueInfoProto {
        .with {
            $0.name = name
            $0.type.tensorType.elemType = type
            $0.type.tensorType.shape.dim = extents.map { text in
                .with { dimension in
                    if let extent = Int64(text) { dimension.dimValue = extent } else { dimension.dimParam = text }
                }
            }
        }
    }

    func model(_ options: ONNXFile.Options = .init(), folder: String? = nil) throws -> Model {
        try ONNXFile(try proto.serializedBytes() as Data, name: "made", folder: folder).model(options)
    }
}

/// A small network with all that a file can hold: constants of several types, scales per channel, labels, a report.
func smallModel() throws -> Model {
    var builder = GraphBuilder()
    let x = try builder.addInput("image", .float32, [1, 3, 8, 8])
    let activation = QuantizationParameters(scale: 0.02, zeroPoint: 3)
    let quantized = try builder.add(
        "q", .quantizeLinear, [x], outputs: ["xq"], stored: (.uint8, activation))[0]
    let weight = builder.addConstant(
        "weight", Tensor([4, 3, 3, 3], (0..<108).map { Int8($0 - 54) }),
        quantization: .init(scales: [0.5, 0.25, 0.125, 1], zeroPoints: [0, 0, 0, 0], axis: 0))
    let bias = builder.addConstant("bias", Tensor([4], [Float(1), -1, 0.5, 0]))
    let convolved = try builder.add(
        "conv", .convolution(Convolution(kernel: [3, 3], pads: [1, 1, 1, 1], activation: .relu6)),
        [quantized, weight, bias], outputs: ["y"],
        stored: (.uint8, .init(scales: [0.1, 0.2, 0.3, 0.4], zeroPoints: [0, 1, 2, 255], axis: 1)))[0]
    let plain = try builder.add("d", .dequantizeLinear, [convolved], outputs: ["f"])[0]
    let clipped = try builder.add("clip", .unary(.clip(low: 0, high: .infinity)), [plain], outputs: ["c"])[0]
    let pooled = try builder.add("pool", .globalPool(.average), [clipped], outputs: ["p"])[0]
    let scores = try builder.add("flat", .reshape([1, 4]), [pooled], outputs: ["scores"])
    return Model(
        name: "small", graph: try builder.finish(outputs: scores.compactMap { $0 }),
        preprocessing: [
            "image": ImagePreprocessing(
                channelOrder: .bgr, fit: .letterbox, padding: 114, mean: [1, 2, 3], scale: [0.1, 0.2, 0.3])
        ],
        interpretation: .classification(.init(output: "scores", scoresAreLogits: true)), labels: ["a", "b", "c", "d"],
        quantization: QuantizationReport(floatBytes: 448, quantizedBytes: 124, calibrationInputs: 3))
}

func decode(_ data: Data) throws -> (model: Model, digest: String) {
    let buffer = Buffer(byteCount: data.count)
    data.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
    return try ModelFile.decode(UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
}
