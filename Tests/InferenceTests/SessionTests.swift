// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// Deterministic numbers in -1...1.
struct Numbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40) / Float(1 << 23) - 1
    }

    mutating func tensor(_ shape: Shape, scale: Float = 1) -> Tensor {
        Tensor(shape, (0..<shape.count).map { _ in next() * scale })
    }
}

@Suite struct SessionTests {
    /// Largest difference between the session's outputs and the reference's, relative to the largest output.
    static func difference(_ graph: Graph, _ kernels: FloatKernels, seed: UInt64) throws -> Float {
        let compiled = try CompiledModel(Model(name: "test", graph: graph), batch: 1, kernels: kernels)
        let session = compiled.makeSession()
        var numbers = Numbers(seed: seed)
        var inputs: [String: Tensor] = [:]
        for (index, id) in graph.inputs.enumerated() {
            let tensor = numbers.tensor(graph[id].shape)
            inputs[graph[id].name] = tensor
            session.inputBytes(index).copyMemory(from: UnsafeRawBufferPointer(tensor.buffer.bytes))
        }
        let expected = try ReferenceEvaluator(graph).run(inputs)
        try session.run()
        var worst: Float = 0
        for (index, port) in compiled.outputs.enumerated() {
            let reference = try #require(expected[port.name]).array(of: Float.self)
            let largest = reference.map(abs).max() ?? 0
            for (a, b) in zip(session.output(index), reference) { worst = max(worst, abs(a - b) / max(largest, 1)) }
        }
        return worst
    }

    @Test func floatOperatorsMayStoreTheirResultsAsIntegers() throws {
        for operation in [
            Operator.unary(.sigmoid), .softmax(axis: 1), .reduce(Reduce(.mean, axes: [2, 3], keepsAxes: true)),
        ] {
            var builder = GraphBuilder()
            let x = try builder.addInput("x", .float32, [1, 5, 3, 4])
            let y = try builder.add(
                "y", operation, [x], outputs: ["y"],
                stored: (.uint8, QuantizationParameters(scale: 0.01, zeroPoint: 30)))
            let graph = try builder.finish(outputs: y.compactMap { $0 })
            let session = try CompiledModel(Model(name: "test", graph: graph)).makeSession()
            var numbers = Numbers(seed: 4)
            let input = numbers.tensor([1, 5, 3, 4])
            session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(input.buffer.bytes))
            try session.run()
            let expected = try #require(ReferenceEvaluator(graph).run(["x": input])["y"]).array(of: UInt8.self)
            #expect(Set(expected).count > 3)
            for (a, b) in zip(session.outputTensor(0).array(of: UInt8.self), expected) {
                #expect(abs(Int(a) - Int(b)) <= 1, "\(operation.name)")
            }
        }
    }

    @Test(arguments: [
        (1, 1, 1, 1, 1), (3, 8, 3, 2, 1), (16, 33, 3, 1, 1), (17, 16, 5, 1, 1), (32, 7, 1, 1, 1), (40, 40, 3, 1, 40),
        (19, 19, 5, 2, 19), (12, 24, 3, 1, 4), (6, 6, 3, 1, 6), (64, 50, 1, 2, 1),
    ])
    func convolutionsEqualTheReference(channels: Int, filters: Int, kernel: Int, stride: Int, groups: Int) throws {
        for kernels in FloatKernels.available {
            for activation in [Activation.none, .relu6, .silu, .leakyRelu(slope: 0.1), .hardSwish] {
                var numbers = Numbers(seed: UInt64(channels * 100 + filters))
                var builder = GraphBuilder()
                let x = try builder.addInput("x", .float32, [2, channels, 11, 13])
                let weight = builder.addConstant("w", numbers.tensor([filters, channels / groups, kernel, kernel]))
                let bias = builder.addConstant("b", numbers.tensor([filters]))
                let pad = kernel / 2
                let convolution = Convolution(
                    kernel: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad], groups: groups,
                    activation: activation)
                let y = try builder.add("conv", .convolution(convolution), [x, weight, bias], outputs: ["y"])
                var graph = builder.graph
                graph.outputs = y.compactMap { $0 }
                let difference = try Self.difference(graph, kernels, seed: 7)
                #expect(difference < 1e-5, "\(kernels.name) \(activation): \(difference)")
            }
        }
    }

    /// A network with everything that shares memory: parts of a concatenation, a split that it undoes, residuals, views and a
    /// head.
    static func detector(seed: UInt64, channels: Int, images: Int = 1) throws -> Graph {
        var numbers = Numbers(seed: seed)
        var builder = GraphBuilder()
        func layer(_ x: ValueID, _ filters: Int, _ kernel: Int, _ stride: Int) throws -> ValueID {
            let depth = builder.value(x).shape[1]
            let scale = 1 / Float(depth * kernel * kernel).squareRoot()
            let weight = builder.addConstant("w", numbers.tensor([filters, depth, kernel, kernel], scale: 2 * scale))
            let pad = kernel / 2
            let convolution = Convolution(
                kernel: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad])
            return try #require(
                builder.add(
                    "conv", .convolution(convolution), [x, weight], outputs: ["c\(builder.graph.values.count)"])[0])
        }
        func apply(_ operation: Operator, _ inputs: [ValueID?]) throws -> ValueID {
            try #require(
                builder.add("node", operation, inputs, outputs: ["v\(builder.graph.values.count)"])[0])
        }
        let x = try builder.addInput("x", .float32, [images, 3, 32, 40])
        var a = try layer(x, channels, 3, 2)
        a = try apply(.binary(.multiply), [a, apply(.unary(.sigmoid), [a])])
        let b = try apply(.unary(.relu), [layer(a, channels, 3, 1)])
        let sum = try apply(.binary(.add), [layer(b, channels, 1, 1), a])
        let down = try apply(.maxPool(Pool(kernel: [2, 2], strides: [2, 2])), [sum])
        let deep = try apply(.unary(.hardSwish), [layer(down, channels + 3, 3, 1)])
        let gate = try apply(.unary(.sigmoid), [layer(apply(.globalPool(.average), [deep]), channels + 3, 1, 1)])
        let gated = try apply(.binary(.multiply), [deep, gate])
        let up = try apply(
            .resize(
                Resize(
                    mode: .nearest, coordinates: .asymmetric, scales: [1, 1, 2, 2],
                    sizes: [images, channels + 3, 16, 20])),
            [gated])
        let sizes = [channels / 2, channels - channels / 2]
        let halves = try builder.add("split", .split(axis: 1, sizes: sizes), [sum], outputs: ["left", "right"])
            .compactMap { $0 }
        let joined = try apply(.concat(axis: 1), [up] + halves + [layer(halves[1], 5, 3, 1)])
        let heads = try [joined, down].map { level in
            let head = try layer(level, 6, 1, 1)
            let score = try apply(.unary(.sigmoid), [layer(level, 2, 1, 1)])
            let both = try apply(.concat(axis: 1), [head, score])
            let shape = builder.value(both).shape
            return try apply(.reshape([images, 8, shape[2] * shape[3]]), [both])
        }
        let all = try apply(.concat(axis: 2), heads)
        let output = try apply(.transpose(permutation: [0, 2, 1]), [all])
        var graph = builder.graph
        graph.outputs = [output]
        graph[output].name = "y"
        return graph
    }

    @Test(arguments: [4, 16, 21])
    func networkEqualsTheReference(channels: Int) throws {
        for kernels in FloatKernels.available {
            let graph = try Self.detector(seed: 3, channels: channels)
            let difference = try Self.difference(graph, kernels, seed: 11)
            #expect(difference < 1e-4, "\(kernels.name): \(difference)")
        }
    }

    @Test func batchItemsEqualSingleRuns() throws {
        let graph = try Self.detector(seed: 5, channels: 9)
        let compiled = try CompiledModel(Model(name: "test", graph: graph), batch: 3)
        let single = try CompiledModel(Model(name: "test", graph: graph)).makeSession()
        let batched = compiled.makeSession()
        var numbers = Numbers(seed: 1)
        let items = (0..<3).map { _ in numbers.tensor([1, 3, 32, 40]) }
        let bytes = batched.inputBytes(0)
        for (index, item) in items.enumerated() {
            let slot = UnsafeMutableRawBufferPointer(rebasing: bytes[(index * item.buffer.bytes.count)...])
            slot.copyMemory(from: UnsafeRawBufferPointer(item.buffer.bytes))
        }
        try batched.run(batch: 3)
        for (index, item) in items.enumerated() {
            single.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(item.buffer.bytes))
            try single.run()
            let expected = Array(single.output(0))
            #expect(Array(batched.output(0)[(index * expected.count)..<((index + 1) * expected.count)]) == expected)
        }
    }

    @Test func pixelsArePreprocessed() throws {
        var builder = GraphBuilder()
        let x = try builder.addInput("image", .float32, [1, 3, 5, 7])
        let y = try builder.add("negate", .unary(.negate), [x], outputs: ["y"])
        var graph = builder.graph
        graph.outputs = y.compactMap { $0 }
        let preprocessing = ImagePreprocessing(
            channelOrder: .bgr, fit: .stretch, padding: 0, mean: [1, 2, 3], scale: [0.5, 0.25, 2])
        let model = Model(name: "test", graph: graph, preprocessing: ["image": preprocessing])
        let session = try CompiledModel(model, batch: 2).makeSession()
        let plane = session.pixels(1)
        for pixel in 0..<35 {
            for channel in 0..<3 { plane.base[pixel * plane.pixelStride + channel] = UInt8(pixel + channel) }
        }
        try session.run(batch: 2)
        for channel in 0..<3 {
            let expected = -(Float(10 + channel) - preprocessing.mean[channel]) * preprocessing.scale[channel]
            #expect(session.output(0)[105 + channel * 35 + 10] == expected)
        }
    }
}
