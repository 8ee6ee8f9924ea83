// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors
import Testing

@testable import Inference
@testable import ModelCompression

/// A quantized network gives the same bytes on every instruction set, with any number of threads, and in any batch.
struct WholeNetworkTests {
    /// Direct and Winograd convolutions, depthwise ones, fused residuals and functions, pools, views, shuffles, copies, and
    /// outputs in float.
    private static func network() throws -> Graph {
        var numbers = Numbers(seed: 17)
        var builder = GraphBuilder()
        var count = 0
        func name() -> String {
            count += 1
            return "v\(count)"
        }
        func layer(
            _ x: ValueID, _ filters: Int, _ kernel: Int, stride: Int = 1, isDepthwise: Bool = false,
            _ activation: Activation = .none
        ) throws -> ValueID {
            let channels = builder.value(x).shape[1]
            let depth = isDepthwise ? 1 : channels
            let scale = 2 / Float(depth * kernel * kernel).squareRoot()
            let weight = builder.addConstant("w", numbers.tensor([filters, depth, kernel, kernel], scale: scale))
            let bias = builder.addConstant("b", numbers.tensor([filters], scale: 0.2))
            let pad = kernel / 2
            let convolution = Convolution(
                kernel: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad],
                groups: isDepthwise ? channels : 1, activation: activation)
            return try #require(
                builder.add("conv", .convolution(convolution), [x, weight, bias], outputs: [name()])[0])
        }
        func apply(_ operation: Operator, _ inputs: [ValueID?]) throws -> ValueID {
            try #require(builder.add("node", operation, inputs, outputs: [name()])[0])
        }
        let x = try builder.addInput("x", .float32, [1, 3, 37, 41])
        let first = try layer(x, 24, 3, stride: 2, .silu)
        let second = try layer(first, 24, 3, isDepthwise: true, .relu6)
        let third = try layer(second, 40, 1, .silu)
        let fourth = try layer(third, 40, 3, .relu)
        let sum = try apply(.binary(.add), [layer(fourth, 40, 3), third])
        let down = try apply(.maxPool(Pool(kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1])), [sum])
        let deep = try layer(layer(down, 70, 3, .hardSwish), 70, 3, stride: 2, isDepthwise: true, .silu)
        let wide = try layer(deep, 33, 1)
        let pooled = try apply(.globalPool(.average), [wide])
        let fine = try layer(layer(first, 20, 1), 20, 3, isDepthwise: true)
        let (left, right) = (try layer(second, 16, 1, .relu), try layer(second, 16, 1, .silu))
        let joined = try apply(.concat(axis: 1), [left, right])
        let shuffled = try apply(.selectChannels((0..<32).map { $0 % 2 * 16 + $0 / 2 }), [joined])
        let halves = try builder.add("split", .split(axis: 1, sizes: [16, 16]), [shuffled], outputs: [name(), name()])
            .map { try #require($0) }
        let chain = try apply(.binary(.add), [layer(halves[0], 16, 1, .silu), halves[1]])
        let next = try apply(.binary(.add), [layer(chain, 16, 1), chain])
        let low = try apply(.maxPool(Pool(kernel: [2, 2], strides: [2, 2])), [next])
        let doubled = Resize(
            mode: .nearest, coordinates: .asymmetric, nearestRounding: .floor, scales: [1, 1, 2, 2],
            sizes: [1, 16, 18, 20])
        let up = try layer(apply(.resize(doubled), [low]), 9, 1)
        let five = try layer(layer(third, 40, 5, isDepthwise: true, .relu), 8, 1)
        let heads = [try layer(pooled, 10, 1), try layer(wide, 12, 3), fine, up, five]
        var graph = builder.graph
        graph.outputs = heads
        for (index, id) in heads.enumerated() { graph[id].name = "y\(index)" }
        return graph
    }

    private static func quantized() throws -> Model {
        var numbers = Numbers(seed: 4)
        let calibration = (0..<3).map { _ in ["x": numbers.tensor([1, 3, 37, 41])] }
        return try PostTrainingQuantizer(Model(name: "test", graph: network())).quantize(calibration: calibration)
    }

    /// With all values in 16 bits for which there are kernels, those between the first layers; weights are rounded to the nearest.
    private static func rounded(words hasWords: Bool = true) throws -> Model {
        var numbers = Numbers(seed: 4)
        let fused = Fusion.fused(try network())
        let all = QuantizationPlan(fused)
        let plan = QuantizationPlan(fused, words: hasWords ? all.quantized : [])
        var ranges = ChannelRanges()
        let observer = try GraphRunner(fused, alsoReading: plan.quantized)
        for _ in 0..<3 { ranges.include(try observer.run(["x": numbers.tensor([1, 3, 37, 41])])) }
        let scales = ActivationScales(fused, plan: plan, ranges: ranges, pixels: [:])
        var builder = QuantizedGraphBuilder(fused, plan: plan, parameters: scales.parameters)
        return Model(name: "test", graph: try builder.build())
    }

    private static func outputs(_ compiled: CompiledModel, _ inputs: [Tensor]) throws -> [[[Float]]] {
        let session = compiled.makeSession()
        let slots = session.inputBytes(0)
        for (index, tensor) in inputs.enumerated() {
            let size = tensor.buffer.bytes.count
            UnsafeMutableRawBufferPointer(rebasing: slots[(index * size)..<((index + 1) * size)])
                .copyMemory(from: UnsafeRawBufferPointer(tensor.buffer.bytes))
        }
        try session.run(batch: inputs.count)
        return inputs.indices.map { item in
            (0..<session.outputCount).map { index in
                let all = session.output(index)
                let size = all.count / compiled.batch
                return Array(all[(item * size)..<((item + 1) * size)])
            }
        }
    }

    @Test func instructionSetsThreadsAndBatchesGiveTheSameBytes() throws {
        let model = try Self.quantized()
        #expect(model.graph.nodes.contains { $0.kernel?.winograd == true })
        try expectTheSameBytes(model)
    }

    @Test func valuesOfSixteenBitsGiveTheSameBytesEverywhere() throws {
        let model = try Self.rounded()
        let layers = model.graph.nodes.filter { node in
            (node.inputs + node.outputs).contains { id in
                id.map { model.graph[$0].type == .int16 && model.graph.constants[$0] == nil } ?? false
            }
        }
        #expect(layers.count >= 4)
        #expect(layers.contains { $0.isDepthwise })
        func isPassed(_ operation: Operator) -> Bool { operation.passesChannels }
        #expect(layers.count { isPassed($0.operation) } >= 5)
        #expect(layers.count { $0.inputs.count == 4 && $0.inputs[3].map { model.graph[$0].type } == .int16 } == 2)
        #expect(layers.contains { $0.isDepthwise && $0.outputs[0].map(model.graph.outputs.contains) ?? false })
        var builder = PlanBuilder(model.graph, images: [:], kernels: .best, int8Kernels: .best, threads: 1)
        _ = try builder.build()
        #expect(builder.unfoldable.isEmpty)
        try expectTheSameBytes(model)
    }

    @Test func valuesOfSixteenBitsAreCloser() throws {
        var numbers = Numbers(seed: 9)
        let input = numbers.tensor([1, 3, 37, 41])
        let expected = try Self.outputs(CompiledModel(Model(name: "test", graph: Self.network())), [input])[0]
        func noise(_ model: Model) throws -> Float {
            zip(try Self.outputs(CompiledModel(model), [input])[0].joined(), expected.joined())
                .reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        }
        let (words, bytes) = (try noise(Self.rounded()), try noise(Self.rounded(words: false)))
        #expect(words < bytes)
    }

    private func expectTheSameBytes(_ model: Model) throws {
        var numbers = Numbers(seed: 8)
        let inputs = (0..<5).map { _ in numbers.tensor([1, 3, 37, 41]) }
        let single = try CompiledModel(model, batch: 1, kernels: .best, int8Kernels: .best)
        let expected = try inputs.map { try Self.outputs(single, [$0])[0] }
        for kernels in Int8Kernels.available {
            for threads in [1, 2, 3] {
                let compiled = try CompiledModel(
                    model, batch: 5, threads: threads, kernels: .best, int8Kernels: kernels)
                // More items than threads, as many, fewer.
                for count in [5, 3, 2, 1] {
                    let actual = try Self.outputs(compiled, Array(inputs.prefix(count)))
                    #expect(actual == Array(expected.prefix(count)), "\(kernels.name), \(threads) threads, \(count)")
                }
            }
        }
    }

    /// Rounding of transformed filters stays far below that of 8-bit activations.
    @Test func winogradStaysCloseToTheDirectConvolution() throws {
        let model = try Self.quantized()
        var direct = model
        for index in direct.graph.nodes.indices { direct.graph.nodes[index].kernel?.winograd = false }
        var numbers = Numbers(seed: 9)
        let input = numbers.tensor([1, 3, 37, 41])
        let actual = try Self.outputs(CompiledModel(model), [input])[0]
        let expected = try Self.outputs(CompiledModel(direct), [input])[0]
        for (a, b) in zip(actual, expected) {
            let power = b.reduce(0) { $0 + $1 * $1 }
            let noise = zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            #expect(noise < power * 1e-3, "noise \(noise) of \(power)")
        }
    }
}
