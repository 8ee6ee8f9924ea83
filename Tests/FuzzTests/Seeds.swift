// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelGraph
import ONNX
import SwiftProtobuf
import Tensors

@testable import Inference
@testable import ModelCompression

/// Small files of every kind, made here, from which the damaged ones come.
enum Seeds {
    static func numbers(_ count: Int) -> [Float] { (0..<count).map { Float(($0 * 37 + 11) % 64) / 64 - 0.5 } }

    // MARK: Model files

    static func models() throws -> [Model] {
        let networks = [try convolutions(), try recurrent(), try dense()]
        let quantized = try networks.map { model in
            let inputs = model.graph.inputs.map { id in
                (model.graph[id].name, Tensor(model.graph[id].shape, numbers(model.graph[id].shape.count)))
            }
            return try PostTrainingQuantizer(model).quantize(
                calibration: [Dictionary(uniqueKeysWithValues: inputs)])
        }
        return networks + quantized + [try words(), try floats()]
    }

    /// Layers over stored numbers that mean floats.
    private static func floats() throws -> Model {
        var builder = GraphBuilder()
        func parameters(_ scale: Float, _ zero: Int32) -> QuantizationParameters {
            .init(scale: scale, zeroPoint: zero)
        }
        func add(_ operation: Operator, _ inputs: [ValueID?], stored zero: Int32? = nil) throws -> ValueID {
            let name = "v\(builder.graph.values.count)"
            let form = zero.map { (type: ElementType.uint8, quantization: parameters(0.03, $0)) }
            return try builder.add(name, operation, inputs, outputs: [name], stored: form).compactMap { $0 }[0]
        }
        func rounded(_ x: ValueID) throws -> ValueID {
            try add(.dequantizeLinear, [try add(.quantizeLinear, [x], stored: 120)])
        }
        func weights(_ shape: Shape) throws -> ValueID {
            let numbers = (0..<shape.count).map { Int8($0 * 37 % 255 - 127) }
            let id = builder.addConstant("w", Tensor(shape, numbers), quantization: parameters(0.01, 0))
            return try add(.dequantizeLinear, [id])
        }
        let x = try rounded(try builder.addInput("image", .float32, [1, 3, 8, 8]))
        let window = Convolution(kernel: [3, 3], pads: [1, 1, 1, 1])
        let a = try rounded(try add(.convolution(window), [x, try weights([8, 3, 3, 3])]))
        let each = Convolution(kernel: [3, 3], pads: [1, 1, 1, 1], groups: 8)
        let b = try rounded(try add(.convolution(each), [a, try weights([8, 1, 3, 3])]))
        let c = try rounded(try add(.binary(.add), [a, b]))
        let d = try rounded(try add(.averagePool(Pool(kernel: [8, 8])), [c]))
        let e = try rounded(try add(.reshape([1, 8]), [d]))
        let y = try rounded(try add(.gemm(Gemm(transposesB: true)), [e, try weights([5, 8])]))
        return Model(name: "floats", graph: QuantizationFolding.folded(try builder.finish(outputs: [y])))
    }

    /// Layers between which values are stored in 16 bits.
    private static func words() throws -> Model {
        var builder = GraphBuilder()
        func layer(
            _ x: ValueID, _ filters: Int, kernel: Int, stride: Int = 1, groups: Int = 1, _ activation: Activation
        ) throws -> ValueID {
            let shape: Shape = [filters, builder.value(x).shape[1] / groups, kernel, kernel]
            let pads = [Int](repeating: kernel / 2, count: 4)
            let convolution = Convolution(
                kernel: [kernel, kernel], strides: [stride, stride], pads: pads, groups: groups, activation: activation)
            let weights = builder.addConstant("w", Tensor(shape, numbers(shape.count)))
            let name = "v\(builder.graph.values.count)"
            return try builder.add(name, .convolution(convolution), [x, weights], outputs: [name]).compactMap { $0 }[0]
        }
        let x = try builder.addInput("image", .float32, [1, 3, 9, 11])
        let a = try layer(x, 8, kernel: 3, stride: 2, .silu)
        let b = try layer(a, 8, kernel: 3, groups: 8, .relu)
        let c = try layer(b, 12, kernel: 1, .relu6)
        let d = try layer(c, 12, kernel: 3, stride: 2, groups: 12, .silu)
        let e = try layer(d, 4, kernel: 3, .none)
        let fused = Fusion.fused(try builder.finish(outputs: [e]))
        let plan = QuantizationPlan(fused, words: QuantizationPlan(fused).quantized)
        var ranges = ChannelRanges()
        ranges.include(
            try GraphRunner(fused, alsoReading: plan.quantized).run(["image": Tensor([1, 3, 9, 11], numbers(297))]))
        let scales = ActivationScales(fused, plan: plan, ranges: ranges, pixels: [:])
        var quantized = QuantizedGraphBuilder(fused, plan: plan, parameters: scales.parameters)
        return Model(name: "words", graph: try quantized.build())
    }

    private static func convolutions() throws -> Model {
        var builder = GraphBuilder()
        func add(_ operation: Operator, _ inputs: [ValueID?]) throws -> ValueID {
            let name = "v\(builder.graph.values.count)"
            return try builder.add(name, operation, inputs, outputs: [name]).compactMap { $0 }[0]
        }
        func weights(_ shape: Shape) -> ValueID { builder.addConstant("w", Tensor(shape, numbers(shape.count))) }
        let x = try builder.addInput("image", .float32, [1, 3, 8, 8])
        let a = try add(
            .convolution(Convolution(kernel: [3, 3], pads: [1, 1, 1, 1], activation: .relu)),
            [x, weights([8, 3, 3, 3]), weights([8])])
        let b = try add(
            .convolution(Convolution(kernel: [3, 3], pads: [1, 1, 1, 1], groups: 8)), [a, weights([8, 1, 3, 3])])
        let c = try add(.concat(axis: 1), [a, try add(.unary(.sigmoid), [b])])
        let d = try add(.maxPool(Pool(kernel: [2, 2], strides: [2, 2])), [c])
        let e = try add(
            .resize(Resize(mode: .nearest, coordinates: .asymmetric, scales: [1, 1, 2, 2], sizes: [1, 16, 8, 8])), [d])
        let f = try add(.convolution(Convolution(kernel: [1, 1])), [e, weights([4, 16, 1, 1])])
        let g = try add(
            .softmax(axis: 1),
            [try add(.slice(Slice(starts: [0, 1, 0, 0], steps: [1, 1, 2, 2], sizes: [1, 3, 4, 4])), [f])])
        return Model(
            name: "convolutions", graph: try builder.finish(outputs: [g]),
            preprocessing: [
                "image": ImagePreprocessing(
                    channelOrder: .rgb, fit: .stretch, padding: 0, mean: [0, 1, 2], scale: [0.01, 0.01, 0.02])
            ], labels: ["a", "b", "c"])
    }

    private static func recurrent() throws -> Model {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [4, 2, 5])
        func constant(_ shape: Shape) -> ValueID { builder.addConstant("w", Tensor(shape, numbers(shape.count))) }
        let layer = Recurrent(
            cell: .lstm, direction: .bidirectional, hiddenSize: 6,
            functions: [.sigmoid, .tanh, .tanh, .sigmoid, .tanh, .tanh])
        let outputs = try builder.add(
            "layer", .recurrent(layer), [x, constant([2, 24, 5]), constant([2, 24, 6]), constant([2, 48])],
            outputs: ["y", "h", "c"])
        return Model(name: "recurrent", graph: try builder.finish(outputs: outputs.compactMap { $0 }))
    }

    private static func dense() throws -> Model {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [2, 9])
        let w = builder.addConstant("w", Tensor([9, 7], numbers(63)))
        let y = try builder.add("product", .matMul, [x, w], outputs: ["p"])
        let z = try builder.add(
            "last", .gemm(Gemm(activation: .relu)),
            [y[0], builder.addConstant("v", Tensor([7, 3], numbers(21))), nil], outputs: ["y"])
        return Model(name: "dense", graph: try builder.finish(outputs: z.compactMap { $0 }))
    }

    // MARK: ONNX

    static func onnx() throws -> [[UInt8]] {
        [try onnxConvolution(), try onnxShapes(), try onnxQuantized()].map { Array($0) }
    }

    private static func file(_ build: (inout ONNXGraphProto) -> Void) throws -> Data {
        var model = ONNXModelProto()
        model.irVersion = 8
        model.opsetImport = [.with { $0.version = 17 }]
        build(&model.graph)
        return try model.serializedData()
    }

    private static func value(_ name: String, _ extents: [Int64]) -> ONNXValueInfoProto {
        .with {
            $0.name = name
            $0.type.tensorType.elemType = 1
            $0.type.tensorType.shape.dim = extents.map { extent in .with { $0.dimValue = extent } }
        }
    }

    private static func tensor(_ name: String, _ dims: [Int64], _ type: Int32 = 1, _ values: [Int64] = [])
        -> ONNXTensorProto
    {
        let count = Int(dims.reduce(1, *))
        return .with {
            $0.name = name
            $0.dims = dims
            $0.dataType = type
            switch type {
            case 1: $0.floatData = numbers(count)
            case 7: $0.int64Data = values
            default: $0.rawData = Data((0..<count).map { UInt8($0 * 29 % 256) })
            }
        }
    }

    private static func node(
        _ type: String, _ inputs: [String], _ outputs: [String], _ integers: [String: [Int64]] = [:]
    ) -> ONNXNodeProto {
        .with {
            $0.opType = type
            $0.input = inputs
            $0.output = outputs
            $0.attribute = integers.map { name, values in
                .with {
                    $0.name = name
                    $0.ints = values
                    $0.type = 7
                }
            }
        }
    }

    private static func onnxConvolution() throws -> Data {
        try file { graph in
            graph.input = [value("x", [1, 3, 6, 6])]
            graph.output = [value("y", [])]
            graph.initializer = [tensor("w", [4, 3, 3, 3]), tensor("b", [4]), tensor("m", [4, 2])]
            graph.node = [
                node(
                    "Conv", ["x", "w", "b"], ["c"],
                    ["kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]]),
                node("Relu", ["c"], ["r"]), node("GlobalAveragePool", ["r"], ["g"]), node("Flatten", ["g"], ["f"]),
                node("MatMul", ["f", "m"], ["y"]),
            ]
        }
    }

    private static func onnxShapes() throws -> Data {
        try file { graph in
            graph.input = [value("x", [2, 3, 4])]
            graph.output = [value("y", [])]
            graph.initializer = [
                tensor("i", [2], 7, [0, 2]), tensor("minus", [1], 7, [-1]), tensor("s", [1], 7, [1]),
                tensor("e", [1], 7, [9]),
                tensor("p", [6], 7, [0, 0, 1, 0, 0, 1]),
            ]
            graph.node = [
                node("Shape", ["x"], ["a"]), node("Gather", ["a", "i"], ["b"]), node("Concat", ["b", "minus"], ["c"]),
                node("Reshape", ["x", "c"], ["d"]), node("Slice", ["d", "s", "e"], ["f"]),
                node("Pad", ["x", "p"], ["g"]),
                node("Transpose", ["g"], ["h"], ["perm": [2, 0, 1]]),
                node("ReduceMean", ["h"], ["y"], ["axes": [0, 2]]),
            ]
            graph.node[2].attribute = [
                .with {
                    $0.name = "axis"
                    $0.i = 0
                }
            ]
        }
    }

    private static func onnxQuantized() throws -> Data {
        try file { graph in
            graph.input = [value("x", [1, 8])]
            graph.output = [value("y", [])]
            graph.initializer = [
                tensor("scale", []), tensor("zero", [], 2), tensor("w", [8, 4], 3), tensor("zero weight", [], 3),
            ]
            graph.initializer[0].floatData = [0.05]
            graph.node = [
                node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
                node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
                node("DequantizeLinear", ["w", "scale", "zero weight"], ["v"]), node("MatMul", ["d", "v"], ["m"]),
                node("QuantizeLinear", ["m", "scale", "zero"], ["n"]),
                node("DequantizeLinear", ["n", "scale", "zero"], ["y"]),
            ]
        }
    }

    // MARK: TensorFlow Lite

    static func tflite() -> [[UInt8]] { [Array(floatTFLite().data), Array(TFLiteMaker.integerFullyConnected().data)] }

    private static func floatTFLite() -> TFLiteMaker {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 3, 3, 2])
        let w = maker.constant("w", [4, 2, 2, 2], numbers(32), type: TFLiteMaker.float32)
        let b = maker.constant("b", [4], numbers(4), type: TFLiteMaker.float32)
        let (c, y) = (maker.tensor("c", [1, 3, 3, 4]), maker.tensor("y", [1, 3, 3, 4]))
        maker.operation(3, [x, w, b], [c], options: [1: .int32(1), 2: .int32(1), 3: .int8(1)])
        maker.operation(14, [c], [y])
        (maker.inputs, maker.outputs) = ([x], [y])
        return maker
    }
}
