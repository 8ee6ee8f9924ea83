// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors
import TestSupport
import Testing

@testable import Inference

/// Layers written as operators over floats between conversions: every result is the byte that float32 sums round to.
@Suite struct FloatRoundingTests {
    /// A layer over x (scale 0.0173, zero point 117), stored as y.
    struct Layer: Sendable, CustomTestStringConvertible {
        var name: String
        var operation: Operator
        var input: Shape
        var weight: Shape?
        var biases = 0
        /// A step of y in steps of the sums, or of x.
        var step: Float
        var zero: Int32 = 128
        /// Whether x and another value are added.
        var isSum = false
        var isRectified = false
        /// Of x and y. In 16 bits x has another scale (0.000173) and zero point (30000).
        var type = ElementType.uint8
        /// FNV-1a of what ONNX Runtime 1.32 stores for y, optimizations disabled, on one thread.
        var recorded: UInt64

        var testDescription: String { name }
    }

    private static func convolution(_ kernel: Int, stride: Int = 1, pad: Int = 0, groups: Int = 1) -> Operator {
        .convolution(
            Convolution(
                kernel: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad], groups: groups))
    }

    static let layers = [
        Layer(
            name: "window", operation: convolution(3, pad: 1), input: [1, 16, 10, 9], weight: [20, 16, 3, 3],
            biases: 20, step: 64, recorded: 0x96a5_47a6_31d6_d457),
        Layer(
            name: "more steps than pixels", operation: convolution(1), input: [1, 600, 12, 12],
            weight: [6, 600, 1, 1], biases: 6, step: 16, recorded: 0xc514_deed_6892_1d81),
        Layer(
            name: "more steps than few pixels", operation: convolution(3, pad: 1), input: [1, 40, 3, 3],
            weight: [20, 40, 3, 3], biases: 20, step: 64, recorded: 0x8e95_f890_dda1_bc72),
        Layer(
            name: "a filter per channel", operation: convolution(3, stride: 2, pad: 1, groups: 24),
            input: [1, 24, 11, 10], weight: [24, 1, 3, 3], biases: 24, step: 16, zero: 0, isRectified: true,
            recorded: 0x69d2_599f_aae7_6317),
        Layer(
            name: "a wide filter per channel", operation: convolution(5, pad: 2, groups: 7), input: [1, 7, 11, 10],
            weight: [7, 1, 5, 5], step: 32, recorded: 0xa190_68d0_3962_ea42),
        Layer(
            name: "one filter", operation: convolution(3, pad: 1), input: [1, 10, 9, 9], weight: [1, 10, 3, 3],
            biases: 1, step: 64, recorded: 0xca60_3396_351a_2696),
        Layer(
            name: "one pixel", operation: convolution(1), input: [1, 50, 1, 1], weight: [403, 50, 1, 1],
            biases: 403, step: 32, recorded: 0x271c_a038_168f_a405),
        Layer(
            name: "transposed matrix", operation: .gemm(Gemm(transposesB: true)), input: [1, 70],
            weight: [403, 70], biases: 403, step: 32, recorded: 0x72c2_3e29_c566_61c6),
        Layer(
            name: "matrix", operation: .gemm(Gemm()), input: [1, 70], weight: [70, 403], biases: 403, step: 32,
            recorded: 0x8f8a_e47c_c3c3_184b),
        Layer(
            name: "rows", operation: .gemm(Gemm()), input: [9, 300], weight: [300, 20], biases: 20, step: 16,
            recorded: 0xb67e_303e_658a_3ecb),
        Layer(
            name: "matrix product", operation: .matMul, input: [5, 140], weight: [140, 60], step: 32,
            recorded: 0x4873_5c9d_29c0_e0cc),
        Layer(
            name: "mean", operation: .averagePool(Pool(kernel: [2, 2], strides: [2, 2])), input: [1, 6, 10, 10],
            step: 1, recorded: 0xde8d_9721_df3d_57c5),
        Layer(
            name: "mean of columns", operation: .averagePool(Pool(kernel: [3, 3], pads: [1, 1, 1, 1])),
            input: [1, 6, 10, 10], step: 1, recorded: 0xfa96_6e9a_e9a9_7987),
        Layer(
            name: "mean of rows", operation: .averagePool(Pool(kernel: [3, 3], pads: [1, 1, 1, 1], addsRows: true)),
            input: [1, 6, 10, 10], step: 1, recorded: 0x5fef_ff60_fd1e_c4bb),
        Layer(
            name: "mean of an image", operation: .globalPool(.average), input: [1, 40, 4, 4], step: 1,
            recorded: 0x02c8_4389_5b91_45c8),
        Layer(
            name: "sum", operation: .binary(.add), input: [1, 6, 10, 10], step: 2, zero: 3, isSum: true,
            isRectified: true, recorded: 0x6484_5a0a_ee0d_3c5a),
    ]

    /// Layers that no kernel computes on what is stored.
    static let layersOverFloats = [
        Layer(
            name: "window", operation: convolution(3, pad: 1), input: [1, 16, 10, 9], weight: [20, 16, 3, 3],
            biases: 20, step: 64, zero: 32768, type: .uint16, recorded: 0xaa61_e9f5_fda4_cef6),
        Layer(
            name: "more steps than pixels", operation: convolution(1), input: [1, 600, 12, 12],
            weight: [6, 600, 1, 1], biases: 6, step: 128, zero: 32768, type: .uint16,
            recorded: 0x8dbd_c3a4_11b5_2cb5),
        Layer(
            name: "a filter per channel", operation: convolution(3, stride: 2, pad: 1, groups: 24),
            input: [1, 24, 11, 10], weight: [24, 1, 3, 3], biases: 24, step: 16, zero: 32768, isRectified: true,
            type: .uint16, recorded: 0x10e1_2859_4ba4_60e0),
        Layer(
            name: "one pixel", operation: convolution(1), input: [1, 50, 1, 1], weight: [403, 50, 1, 1],
            biases: 403, step: 32, zero: 32768, type: .uint16, recorded: 0xfab9_4947_7815_bca1),
        Layer(
            name: "transposed matrix", operation: .gemm(Gemm(transposesB: true)), input: [1, 70],
            weight: [403, 70], biases: 403, step: 32, zero: 32768, type: .uint16, recorded: 0x735e_9c41_2066_c844),
        Layer(
            name: "matrix", operation: .gemm(Gemm()), input: [1, 70], weight: [70, 403], biases: 403, step: 32,
            zero: 32768, type: .uint16, recorded: 0xa7be_6d6d_7f87_05a5),
        Layer(
            name: "rows", operation: .gemm(Gemm()), input: [9, 300], weight: [300, 20], biases: 20, step: 64,
            zero: 32768, type: .uint16, recorded: 0xa9e2_f06d_8000_549c),
        Layer(
            name: "matrix product", operation: .matMul, input: [5, 140], weight: [140, 60], step: 32, zero: 32768,
            type: .uint16, recorded: 0x0066_4c26_e54f_00fe),
        Layer(
            name: "groups", operation: convolution(3, pad: 1, groups: 4), input: [1, 24, 10, 9],
            weight: [16, 6, 3, 3], biases: 16, step: 32, recorded: 0x00c5_c61d_ad2f_80ee),
    ]

    /// Upper bytes of a linear congruential sequence (Numerical Recipes' constants).
    private static func bytes(_ count: Int, seed: UInt32) -> [UInt8] {
        words(count, seed: seed).map { UInt8($0 >> 8) }
    }

    private static func words(_ count: Int, seed: UInt32) -> [UInt16] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt16(state >> 16)
        }
    }

    private static func hash(_ numbers: some Sequence<some BinaryInteger>) -> UInt64 {
        numbers.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private static let stepOfWeight: Float = 0.00213

    /// Conversions, the operator over floats, and a conversion.
    private func network(_ layer: Layer) throws -> Graph {
        let stepOfX: Float = layer.type == .uint8 ? 0.0173 : 0.000173
        let stepOfSum = stepOfX * Self.stepOfWeight
        var builder = GraphBuilder()
        func add(_ operation: Operator, _ inputs: [ValueID?]) throws -> ValueID {
            try #require(try builder.add("", operation, inputs, outputs: ["v\(builder.graph.values.count)"])[0])
        }
        func added(_ name: String, _ scale: Float, _ zero: Int32) throws -> ValueID {
            let parameters = QuantizationParameters(scale: scale, zeroPoint: zero)
            let id = try builder.addInput(name, layer.type, layer.input, quantization: parameters)
            return try add(.dequantizeLinear, [id])
        }
        var inputs: [ValueID?] = [try added("x", stepOfX, layer.type == .uint8 ? 117 : 30000)]
        if layer.isSum { inputs.append(try added("x2", stepOfX * 2, 90)) }
        if let shape = layer.weight {
            let weights = Self.bytes(shape.count, seed: 2).map { Int8(Int($0) % 15 - 7) }
            let parameters = QuantizationParameters(scale: Self.stepOfWeight, zeroPoint: 0)
            inputs.append(
                try add(
                    .dequantizeLinear, [builder.addConstant("w", Tensor(shape, weights), quantization: parameters)]))
        }
        if layer.biases > 0 {
            let biases = (0..<layer.biases).map { Int32($0 * 97 % 201 - 100) }
            let parameters = QuantizationParameters(scale: stepOfSum, zeroPoint: 0)
            let id = builder.addConstant("b", Tensor([layer.biases], biases), quantization: parameters)
            inputs.append(try add(.dequantizeLinear, [id]))
        }
        var y = try add(layer.operation, inputs)
        if layer.isRectified { y = try add(.unary(.relu), [y]) }
        let step = layer.step * (layer.weight == nil ? stepOfX : stepOfSum)
        let stored = try builder.add(
            "q", .quantizeLinear, [y], outputs: ["q"],
            stored: (layer.type, QuantizationParameters(scale: step, zeroPoint: layer.zero)))
        return try builder.finish(outputs: stored.compactMap { $0 })
    }

    private func inputs(_ layer: Layer) -> [String: [UInt8]] {
        var result = ["x": Self.bytes(layer.input.count, seed: 1)]
        if layer.isSum { result["x2"] = Self.bytes(layer.input.count, seed: 1000) }
        return result
    }

    private func results(
        _ graph: Graph, _ inputs: [String: [UInt8]], _ kernels: Int8Kernels, threads: Int = 1
    ) throws -> [UInt8] {
        let model = Model(name: "test", graph: graph)
        let compiled = try CompiledModel(model, batch: 1, threads: threads, kernels: .best, int8Kernels: kernels)
        // Nothing is left to float.
        #expect(!compiled.plan.steps.contains { $0.name.contains("as float") || $0.name.contains("reference") })
        let session = compiled.makeSession()
        for (index, input) in graph.inputs.enumerated() {
            inputs[graph[input].name]?.withUnsafeBytes { session.inputBytes(index).copyMemory(from: $0) }
        }
        try session.run()
        return session.outputTensor(0).array(of: UInt8.self)
    }

    @Test(arguments: layers)
    func resultsAreThoseOfONNXRuntime(layer: Layer) throws {
        let graph = QuantizationFolding.folded(try network(layer))
        let inputs = inputs(layer)
        let tensors = inputs.mapValues { Tensor(layer.input, $0) }
        let fused = QuantizationFolding.folded(Fusion.fused(graph))
        let reference = try #require(try ReferenceEvaluator(fused).run(tensors)["q"]).array(of: UInt8.self)
        #expect(Self.hash(reference) == layer.recorded)
        for kernels in Int8Kernels.available {
            for threads in 1...3 {
                #expect(try results(graph, inputs, kernels, threads: threads) == reference, "\(kernels.name)")
            }
        }
    }

    @Test(arguments: layersOverFloats)
    func layersOverFloatsGiveONNXRuntimesResultsToo(layer: Layer) throws {
        let graph = QuantizationFolding.folded(try network(layer))
        let words = Self.words(layer.input.count, seed: 1)
        let x = layer.type == .uint8 ? Tensor(layer.input, words.map { UInt8($0 >> 8) }) : Tensor(layer.input, words)
        func hash(_ y: Tensor) -> UInt64 {
            layer.type == .uint8 ? Self.hash(y.array(of: UInt8.self)) : Self.hash(y.array(of: UInt16.self))
        }
        #expect(hash(try #require(try ReferenceEvaluator(graph).run(["x": x])["q"])) == layer.recorded)
        for kernels in FloatKernels.available {
            let compiled = try CompiledModel(Model(name: "test", graph: graph), batch: 1, kernels: kernels)
            let session = compiled.makeSession()
            session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(x.buffer.bytes))
            try session.run()
            #expect(hash(session.outputTensor(0)) == layer.recorded, "\(kernels.name)")
        }
    }

    /// ONNX Runtime's `QLinearAdd` multiplies by ratios of scales.
    @Test func sumsOfStoredNumbersAreThoseOfONNXRuntime() throws {
        var builder = GraphBuilder()
        let shape: Shape = [1, 6, 10, 10]
        func form(_ scale: Float, _ zero: Int32) -> QuantizationParameters { .init(scale: scale, zeroPoint: zero) }
        let x = try builder.addInput("x", .uint8, shape, quantization: form(0.02, 147))
        let x2 = try builder.addInput("x2", .uint8, shape, quantization: form(0.04, 120))
        let y = try builder.add("q", .binary(.add), [x, x2], outputs: ["q"], stored: (.uint8, form(0.08, 134)))
        let graph = try builder.finish(outputs: y.compactMap { $0 })
        let inputs = ["x": Self.bytes(600, seed: 1), "x2": Self.bytes(600, seed: 1000)]
        for kernels in Int8Kernels.available {
            #expect(Self.hash(try results(graph, inputs, kernels)) == 0xfb0a_cedd_9d8f_34aa, "\(kernels.name)")
        }
    }

    /// Where sums are rounded by themselves, some of these results are others.
    @Test func exactSumsAreNotEnough() throws {
        for layer in [Self.layers[0], Self.layers[3], Self.layers[11]] {
            var graph = QuantizationFolding.folded(Fusion.fused(QuantizationFolding.folded(try network(layer))))
            let means = try results(graph, inputs(layer), .best)
            for index in graph.nodes.indices { graph.nodes[index].meansFloats = false }
            #expect(try results(graph, inputs(layer), .best) != means)
        }
    }

    /// All pixels of a filter may lie next to a tie: more than fit where they are noted at once.
    @Test func imagesOfOneColourAreComputedToo() throws {
        var layer = Layer(
            name: "", operation: Self.convolution(3, pad: 1), input: [1, 8, 90, 90], weight: [12, 8, 3, 3], biases: 12,
            step: 2, recorded: 0)
        for groups in [1, 8] {
            layer.operation = Self.convolution(3, pad: 1, groups: groups)
            if groups == 8 { (layer.weight, layer.biases) = ([8, 1, 3, 3], 8) }
            let graph = QuantizationFolding.folded(try network(layer))
            let x = [UInt8](repeating: 120, count: layer.input.count)
            let reference = try ReferenceEvaluator(graph).run(["x": Tensor(layer.input, x)])["q"]
            let expected = try #require(reference).array(of: UInt8.self)
            #expect(Set(expected).count > 4)
            for kernels in Int8Kernels.available {
                #expect(try results(graph, ["x": x], kernels) == expected, "\(kernels.name)")
            }
        }
    }
}
