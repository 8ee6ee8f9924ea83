// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// Activations with a scale and zero point per channel, through every operator that takes them.
struct PerChannelTests {
    /// A graph under construction, in which each channel of an activation has its own parameters.
    private struct Maker {
        var graph = Graph()
        var numbers: Numbers

        init(seed: UInt64) { numbers = Numbers(seed: seed) }

        mutating func parameters(_ channels: Int) -> QuantizationParameters {
            QuantizationParameters(
                scales: (0..<channels).map { _ in 0.02 + 0.015 * numbers.next() },
                zeroPoints: (0..<channels).map { _ in Int32(128 + 100 * numbers.next()) }, axis: 1)
        }

        mutating func value(_ shape: Shape, _ parameters: QuantizationParameters? = nil) -> ValueID {
            let type: ElementType = parameters == nil ? .float32 : .uint8
            return graph.addValue(
                Value(name: "v\(graph.values.count)", type: type, shape: shape, quantization: parameters))
        }

        @discardableResult
        mutating func add(_ operation: Operator, _ inputs: [ValueID?], _ output: ValueID) -> ValueID {
            graph.nodes.append(Node("n\(graph.nodes.count)", operation, inputs: inputs, outputs: [output]))
            return output
        }

        mutating func input(_ shape: Shape) -> ValueID {
            let id = value(shape)
            graph.inputs.append(id)
            return id
        }

        mutating func quantized(_ x: ValueID) -> ValueID {
            let shape = graph[x].shape
            return add(.quantizeLinear, [x], value(shape, parameters(shape[1])))
        }

        mutating func output(_ x: ValueID) {
            let id = value(graph[x].shape)
            graph.outputs.append(graph[x].quantization == nil ? x : add(.dequantizeLinear, [x], id))
        }

        /// A convolution over channels of different scales, or with one filter per channel.
        mutating func convolution(
            _ x: ValueID, filters: Int, _ convolution: Convolution, residual: ValueID? = nil
        ) -> ValueID {
            let (shape, isDepthwise) = (graph[x].shape, convolution.groups > 1)
            let depth = isDepthwise ? 1 : shape[1]
            let weights = Tensor(
                Shape([filters, depth] + convolution.kernel),
                (0..<filters * depth * convolution.kernel.reduce(1, *)).map { _ in Int8(32 * numbers.next()) })
            let step = isDepthwise ? 0.01 : 0.02 / Float(depth)
            let weight = graph.addConstant(
                "w", weights,
                quantization: .init(
                    scales: (0..<filters).map { step * Float($0 % 3 + 1) / 40 * (isDepthwise ? 10 : 1) },
                    zeroPoints: [Int32](repeating: 0, count: filters), axis: 0))
            let bias = graph.addConstant("b", numbers.tensor([filters]))
            var source = x
            if !isDepthwise, let parameters = graph[x].quantization {
                let plain = QuantizationParameters(
                    scales: parameters.scales.map { _ in 1 }, zeroPoints: parameters.zeroPoints, axis: 1)
                source = add(.reinterpret, [x], value(shape, plain))
            }
            let kernel = convolution.kernel[0]
            let extents = [2, 3].map { (shape[$0] + 2 * convolution.pads[0] - kernel) / convolution.strides[0] + 1 }
            let y = value([shape[0], filters, extents[0], extents[1]], parameters(filters))
            return add(.convolution(convolution), [source, weight, bias] + (residual.map { [$0] } ?? []), y)
        }
    }

    /// The most steps by which an output of the session differs from the reference's.
    private func steps(_ graph: Graph, seed: UInt64) throws -> (worst: Float, share: Float, spread: Set<Float>) {
        let session = try CompiledModel(Model(name: "test", graph: graph)).makeSession()
        var numbers = Numbers(seed: seed)
        let input = numbers.tensor(graph[graph.inputs[0]].shape, scale: 3)
        session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(input.buffer.bytes))
        try session.run()
        let expected = try ReferenceEvaluator(graph).run([graph[graph.inputs[0]].name: input])
        var (worst, different, count): (Float, Float, Float) = (0, 0, 0)
        var spread = Set<Float>()
        for (index, id) in graph.outputs.enumerated() {
            let source = try #require(graph.nodes.last { $0.outputs == [id] }?.inputs[0])
            let scales = try #require(graph[source].quantization).scales
            let reference = try #require(expected[graph[id].name]).array(of: Float.self)
            let plane = reference.count / scales.count
            for (position, (a, b)) in zip(session.output(index), reference).enumerated() {
                let difference = abs(a - b) / scales[position / plane]
                worst = max(worst, difference)
                different += difference > 0.5 ? 1 : 0
                count += 1
                spread.insert(b)
            }
        }
        return (worst, different / count, spread)
    }

    @Test(arguments: [(5, 7, 1, 1), (16, 33, 1, 1), (9, 16, 3, 1), (8, 40, 3, 2), (19, 19, 3, 1), (32, 32, 5, 2)])
    func layersEqualTheReference(channels: Int, filters: Int, kernel: Int, stride: Int) throws {
        for isDepthwise in [false, true] where !isDepthwise || channels == filters {
            var maker = Maker(seed: UInt64(channels))
            let x = maker.quantized(maker.input([1, channels, 9, 11]))
            let pad = kernel / 2
            let y = maker.convolution(
                x, filters: filters,
                Convolution(
                    kernel: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad],
                    groups: isDepthwise ? channels : 1, activation: .silu))
            maker.output(y)
            try maker.graph.validate()
            let result = try steps(maker.graph, seed: 3)
            // Sums are exact in one and rounded in the other: a result may fall on either side of a half.
            #expect(result.worst < 1.01 && result.share < 0.01)
            #expect(result.spread.count > 50)
        }
    }

    @Test func everythingBetweenLayersEqualsTheReference() throws {
        var maker = Maker(seed: 5)
        let pointwise = Convolution(kernel: [1, 1], pads: [0, 0, 0, 0])
        let x = maker.quantized(maker.input([1, 12, 8, 10]))
        var residual = pointwise
        (residual.residual, residual.activation) = (.afterActivation, .relu)
        let a = maker.convolution(x, filters: 12, residual, residual: x)
        let parameters = maker.parameters(12)
        let sum = maker.add(.binary(.add, activation: .relu), [a, x], maker.value([1, 12, 8, 10], parameters))
        let pooled = maker.add(
            .maxPool(Pool(kernel: [2, 2], strides: [2, 2])), [sum], maker.value([1, 12, 4, 5], parameters))
        let large = maker.add(
            .resize(
                Resize(mode: .nearest, coordinates: .asymmetric, scales: [1, 1, 2, 2], sizes: [1, 12, 8, 10])),
            [pooled], maker.value([1, 12, 8, 10], parameters))
        let other = maker.parameters(12)
        let mean = maker.add(
            .averagePool(Pool(kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1])), [a],
            maker.value([1, 12, 8, 10], other))
        func both(_ key: KeyPath<QuantizationParameters, [Float]>) -> [Float] {
            parameters[keyPath: key] + other[keyPath: key]
        }
        let joint = QuantizationParameters(
            scales: parameters.scales + other.scales, zeroPoints: parameters.zeroPoints + other.zeroPoints, axis: 1)
        let whole = maker.add(.concat(axis: 1), [large, mean], maker.value([1, 24, 8, 10], joint))
        let last = maker.convolution(whole, filters: 17, pointwise)
        let parts = [0..<7, 7..<24].map { range in
            maker.value([1, range.count, 8, 10], joint.sliced(range, of: 1))
        }
        maker.graph.nodes.append(
            Node("split", .split(axis: 1, sizes: [7, 17]), inputs: [whole], outputs: parts.map { $0 }))
        let global = maker.add(.globalPool(.average), [parts[1]], maker.value([1, 17, 1, 1], maker.parameters(17)))
        for id in [last, parts[0], parts[1], global] { maker.output(id) }
        try maker.graph.validate()
        let result = try steps(maker.graph, seed: 4)
        // A step at one place may become up to two at the next.
        #expect(result.worst < 2.01 && result.share < 0.02)
        #expect(result.spread.count > 500)
    }
}
