// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors
import Testing

@testable import Inference
@testable import ModelCompression

struct QuantizerTests {
    /// A network whose channels differ in range by a factor of up to a thousand, as channels do after batch normalization
    /// was folded: layers of each kind, a residual, a concatenation, a pool and two heads.
    private static func network(seed: UInt64) throws -> Model {
        var numbers = Numbers(seed: seed)
        var builder = GraphBuilder()
        func layer(
            _ x: ValueID, _ filters: Int, kernel: Int = 1, depthwise: Bool = false, uneven: Bool = true,
            _ activation: Unary? = .relu
        ) throws -> ValueID {
            let depth = depthwise ? 1 : builder.value(x).shape[1]
            let taps = kernel * kernel
            let weights = numbers.tensor([filters, depth, kernel, kernel], scale: 2 / Float(depth * taps).squareRoot())
            let bias = numbers.tensor([filters], scale: 0.3)
            for filter in 0..<filters where uneven {
                // The next layer takes back what this one puts on: as if by chance, so that sums stay of one size.
                let factor: Float = [1, 0.03, 4, 0.2, 0.006][filter % 5]
                for index in 0..<depth * taps { weights.base[filter * depth * taps + index] *= factor }
                bias.base[filter] *= factor
            }
            let pad = kernel / 2
            let convolution = Convolution(
                kernel: [kernel, kernel], pads: [pad, pad, pad, pad], groups: depthwise ? filters : 1)
            var y = try #require(
                builder.add(
                    "layer", .convolution(convolution),
                    [x, builder.addConstant("w", weights), builder.addConstant("b", bias)], outputs: ["y"])[0])
            if let activation { y = try #require(builder.add("act", .unary(activation), [y], outputs: ["z"])[0]) }
            return y
        }
        func join(_ operation: Operator, _ inputs: [ValueID]) throws -> ValueID {
            try #require(builder.add("join", operation, inputs, outputs: ["j"])[0])
        }
        let x = try builder.addInput("x", .float32, [1, 3, 16, 16])
        let a = try layer(x, 16, kernel: 3)
        let b = try layer(a, 16, kernel: 3, depthwise: true)
        let c = try join(.binary(.add), [layer(b, 16, nil), a])
        let d = try join(.concat(axis: 1), [c, layer(c, 8, kernel: 3)])
        let e = try join(.maxPool(Pool(kernel: [2, 2], strides: [2, 2])), [d])
        let boxes = try layer(e, 4, uneven: false, nil)
        let scores = try layer(e, 3, uneven: false, .sigmoid)
        var graph = try builder.finish(outputs: [boxes, scores])
        for (id, name) in zip(graph.outputs, ["boxes", "scores"]) { graph[id].name = name }
        return Model(name: "test", graph: graph)
    }

    private static func inputs(_ count: Int, seed: UInt64) -> [[String: Tensor]] {
        var numbers = Numbers(seed: seed)
        return (0..<count).map { _ in
            let level = numbers.next()
            let tensor = numbers.tensor([1, 3, 16, 16])
            for index in 0..<tensor.count { tensor.base[index] = tensor.base[index] * 0.5 + level }
            return ["x": tensor]
        }
    }

    @Test func resultsStayCloseThoughChannelsDifferInRange() throws {
        let model = try Self.network(seed: 1)
        let quantized = try PostTrainingQuantizer(model).quantize(calibration: Self.inputs(24, seed: 2))
        let outputs = try #require(quantized.quantization?.outputs)
        #expect(outputs.map(\.name) == ["boxes", "scores"])
        for output in outputs { #expect(output.signalToNoiseDecibels > 30, "\(output)") }
        let types = quantized.graph.nodes.filter { $0.operation.hasWeights }.map {
            $0.inputs[0].map { quantized.graph[$0].type }
        }
        #expect(types.allSatisfy { $0 == .uint8 || $0 == .int16 })
    }

    @Test func everyLayerKeepsTheLaneLimit() throws {
        let quantized = try PostTrainingQuantizer(Self.network(seed: 3)).quantize(calibration: Self.inputs(3, seed: 4))
        var count = 0
        for node in quantized.graph.nodes {
            guard case .convolution(let convolution) = node.operation, convolution.groups == 1,
                let weights = node.inputs[1].flatMap({ quantized.graph.constants[$0] }), weights.type == .int8
            else { continue }
            let order = KernelOrder(weights.shape)
            let stored = weights.array(of: Int8.self)
            for filter in 0..<weights.shape[0] {
                let steps = (0..<order.steps).map { stored[filter * order.steps + order.position($0)] }
                #expect(WeightRounding.keepsLaneLimit(steps))
                count += 1
            }
        }
        #expect(count > 30)
    }

    @Test func theSameInputsGiveTheSameModel() throws {
        let model = try Self.network(seed: 5)
        let inputs = Self.inputs(4, seed: 6)
        let first = try ModelFile.encode(PostTrainingQuantizer(model).quantize(calibration: inputs)).digest
        #expect(try ModelFile.encode(PostTrainingQuantizer(model).quantize(calibration: inputs)).digest == first)
    }

    @Test func quantizedModelSurvivesItsFile() throws {
        let quantized = try PostTrainingQuantizer(Self.network(seed: 7)).quantize(calibration: Self.inputs(2, seed: 8))
        let data = try ModelFile.encode(quantized).data
        let read = try data.withUnsafeBytes { bytes in
            try ModelFile.decode(bytes, owner: Buffer(byteCount: 1)).model.graph.values.map(\.quantization)
        }
        #expect(read == quantized.graph.values.map(\.quantization))
    }

    @Test func fewInputsAreNoted() throws {
        let model = try Self.network(seed: 9)
        let few = try PostTrainingQuantizer(model).quantize(calibration: Self.inputs(3, seed: 1)).quantization
        let many = try PostTrainingQuantizer(model).quantize(calibration: Self.inputs(12, seed: 1)).quantization
        #expect(few?.notes.contains { $0.contains("few") } == true)
        #expect(many?.notes.contains { $0.contains("few") } == false)
    }

    @Test func channelsKeepTheirScalesThroughConcatenation() throws {
        let graph = Fusion.fused(try Self.network(seed: 1).graph)
        let plan = QuantizationPlan(graph)
        var ranges = ChannelRanges()
        let runner = try GraphRunner(graph, alsoReading: plan.quantized)
        for input in Self.inputs(3, seed: 3) { ranges.include(try runner.run(input)) }
        let parameters = ActivationScales(graph, plan: plan, ranges: ranges, pixels: [:]).parameters
        let node = try #require(graph.nodes.first { if case .concat = $0.operation { true } else { false } })
        let whole = try #require(node.outputs[0].flatMap { parameters[$0] })
        let parts = node.inputs.compactMap { $0.flatMap { parameters[$0] } }
        #expect(whole.scales == parts.flatMap(\.scales))
        #expect(Set(whole.scales).count > 10)
    }

    @Test func sensitiveValuesStayInFloatWithinTheBudget() throws {
        let graph = Fusion.fused(try Self.network(seed: 1).graph)
        let plan = QuantizationPlan(graph)
        let entries = plan.quantized.sorted().map {
            SensitivityAnalysis.Entry(values: [$0], decibels: 10)
        }
        let analysis = SensitivityAnalysis(graph, plan: plan, parameters: [:])
        #expect(analysis.choose(entries, maximumSlowdown: 1).isEmpty)
        let some = analysis.choose(entries, maximumSlowdown: 1.5)
        #expect(!some.isEmpty && some.count < entries.count)
        #expect(analysis.choose(entries, maximumSlowdown: 10).count == entries.count)
    }

    /// A residual sum, what is concatenated with it and what a pool makes of both are one store of numbers.
    @Test func valuesThatCarriersPassOnAreWordsTogether() throws {
        let graph = Fusion.fused(try Self.network(seed: 1).graph)
        let groups = QuantizationPlan(graph).wordGroups()
        let concat = try #require(graph.nodes.first { if case .concat = $0.operation { true } else { false } })
        let pool = try #require(graph.nodes.first { if case .maxPool = $0.operation { true } else { false } })
        let joined = Set((concat.inputs + concat.outputs + pool.outputs).compactMap { $0 })
        #expect(groups.contains { joined.isSubset(of: $0) })
        let part = try #require(concat.inputs[0])
        #expect(QuantizationPlan(graph, words: [part]).words.isEmpty)
        #expect(QuantizationPlan(graph, words: joined).words.isSuperset(of: joined))
    }

    @Test func withMoreTimeMoreValuesAreWords() throws {
        let model = try Self.network(seed: 1)
        func noise(_ slowdown: Double) throws -> (Double, Int) {
            var settings = PostTrainingQuantizer.Settings()
            settings.maximumSlowdown = slowdown
            let result = try PostTrainingQuantizer(model, settings: settings).quantize(
                calibration: Self.inputs(24, seed: 2))
            let ratios = result.quantization?.outputs.map(\.signalToNoiseDecibels) ?? []
            let words = result.graph.values.indices.count {
                result.graph.values[$0].type == .int16 && result.graph.constants[ValueID($0)] == nil
            }
            return (ratios.min() ?? 0, words)
        }
        let (without, with) = (try noise(1), try noise(3))
        #expect(without.1 == 0 && with.1 >= 5)
        #expect(with.0 > without.0 + 6, "\(without.0) dB to \(with.0) dB")
    }

    /// Shuffles of channels, means that count padding and large depthwise windows do not leave the integers.
    @Test func shufflesAndPaddedMeansStayIntegers() throws {
        var numbers = Numbers(seed: 3)
        var builder = GraphBuilder()
        func layer(_ x: ValueID, _ filters: Int, _ kernel: Int, isDepthwise: Bool = false) throws -> ValueID {
            let depth = isDepthwise ? 1 : builder.value(x).shape[1]
            let weight = numbers.tensor(
                [filters, depth, kernel, kernel], scale: 2 / Float(depth * kernel).squareRoot())
            let pad = kernel / 2
            let convolution = Convolution(
                kernel: [kernel, kernel], pads: [pad, pad, pad, pad], groups: isDepthwise ? filters : 1,
                activation: .relu)
            return try #require(
                builder.add(
                    "layer", .convolution(convolution), [x, builder.addConstant("w", weight)], outputs: ["y"])[0])
        }
        func add(_ operation: Operator, _ inputs: [ValueID], outputs: Int = 1) throws -> [ValueID] {
            try builder.add("node", operation, inputs, outputs: (0..<outputs).map { "z\($0)" }).map { try #require($0) }
        }
        let x = try builder.addInput("x", .float32, [1, 3, 16, 16])
        let first = try layer(x, 16, 3)
        let groups = try add(.reshape([1, 2, 8, 16, 16]), [first])
        let turned = try add(.transpose(permutation: [0, 2, 1, 3, 4]), groups)
        let halves = try add(.split(axis: 1, sizes: [8, 8]), add(.reshape([1, 16, 16, 16]), turned), outputs: 2)
        let joined = try add(.concat(axis: 1), [halves[0], layer(halves[1], 8, 5, isDepthwise: true)])
        let pool = Pool(kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], countsPadding: true)
        let y = try layer(add(.averagePool(pool), joined)[0], 4, 1)
        var graph = try builder.finish(outputs: [y])
        graph[y].name = "y"
        let model = Model(name: "test", graph: graph)
        let quantized = try PostTrainingQuantizer(model).quantize(calibration: Self.inputs(24, seed: 2))
        let floats = quantized.graph.nodes.filter { node in
            node.outputs.contains { id in id.map { quantized.graph[$0].type == .float32 } ?? false }
        }
        #expect(floats.count == 1, "\(floats.map(\.operation))")
        #expect(try #require(quantized.quantization?.outputs.first).signalToNoiseDecibels > 30)
        // Its file can be read again, and says the same.
        let encoded = try ModelFile.encode(quantized)
        let read = try encoded.data.withUnsafeBytes { try ModelFile.decode($0, owner: Buffer(byteCount: 1)).model }
        #expect(read.graph.nodes == quantized.graph.nodes)
    }

    /// Two that cost as much as there is rather than the one that is worse than either of them; what costs nothing beside others.
    @Test func whatStaysInFloatTakesAwayTheMostNoise() throws {
        let graph = Fusion.fused(try Self.network(seed: 1).graph)
        let plan = QuantizationPlan(graph)
        let values = Array(plan.quantized.sorted().prefix(4))
        let entries = zip(values, [7, 8.2, 8.2, 20]).map { SensitivityAnalysis.Entry(values: [$0], decibels: $1) }
        let analysis = SensitivityAnalysis(graph, plan: plan, parameters: [:])
        func chosen(_ maximumSlowdown: Double) -> Set<ValueID> {
            let some = analysis.choose(entries, maximumSlowdown: maximumSlowdown) { wide in
                let times = zip(values, [0.03, 0.02, 0.02, wide.contains(values[0]) ? 0 : 0.025])
                return times.reduce(1) { $0 + (wide.contains($1.0) ? $1.1 : 0) }
            }
            return Set(some.flatMap(\.values))
        }
        #expect(chosen(1.01).isEmpty)
        #expect(chosen(1.031) == [values[0], values[3]])
        #expect(chosen(1.041) == [values[1], values[2]])
        #expect(chosen(1.071) == Set(values))
    }
}
