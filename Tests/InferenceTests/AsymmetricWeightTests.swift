// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// Layers whose weights are `uint8` with a zero point of their own, as older TensorFlow Lite files have them.
struct AsymmetricWeightTests {
    struct Layer: Sendable, CustomTestStringConvertible {
        var channels: Int
        var filters: Int
        var kernel: Int
        var stride = 1
        var isDepthwise = false

        var testDescription: String { "\(channels) to \(filters), \(kernel)x\(kernel)\(isDepthwise ? " each" : "")" }
    }

    static let layers = [
        Layer(channels: 3, filters: 20, kernel: 3, stride: 2), Layer(channels: 16, filters: 33, kernel: 1),
        Layer(channels: 5, filters: 7, kernel: 1, stride: 2), Layer(channels: 16, filters: 8, kernel: 3),
        Layer(channels: 40, filters: 40, kernel: 3, isDepthwise: true),
        Layer(channels: 9, filters: 9, kernel: 5, isDepthwise: true),
    ]
    private static let (zeroX, zeroWeight, zeroY): (Int32, Int32, Int32) = (101, 143, 77)
    private static let extent = 9

    /// uint8 in, uint8 out; a step of the result is `scale` steps of the sums.
    private func graph(_ layer: Layer, _ weights: [UInt8], scale: Float) throws -> Graph {
        var builder = GraphBuilder()
        let x = try builder.addInput(
            "x", .uint8, [1, layer.channels, Self.extent, Self.extent],
            quantization: QuantizationParameters(scale: 1, zeroPoint: Self.zeroX))
        let depth = layer.isDepthwise ? 1 : layer.channels
        let weight = builder.addConstant(
            "w", Tensor([layer.filters, depth, layer.kernel, layer.kernel], weights),
            quantization: QuantizationParameters(scale: 1, zeroPoint: Self.zeroWeight))
        let pad = layer.kernel / 2
        let convolution = Convolution(
            kernel: [layer.kernel, layer.kernel], strides: [layer.stride, layer.stride], pads: [pad, pad, pad, pad],
            groups: layer.isDepthwise ? layer.channels : 1)
        let y = try builder.add(
            "y", .convolution(convolution), [x, weight], outputs: ["y"],
            stored: (.uint8, QuantizationParameters(scale: scale, zeroPoint: Self.zeroY)))
        return try builder.finish(outputs: y.compactMap { $0 })
    }

    /// The same by definition, in integers.
    private func expected(_ layer: Layer, _ x: [UInt8], _ weights: [UInt8], scale: Float) -> [UInt8] {
        let (extent, pad, taps) = (Self.extent, layer.kernel / 2, layer.kernel * layer.kernel)
        let size = (extent + 2 * pad - layer.kernel) / layer.stride + 1
        return (0..<layer.filters * size * size).map { index in
            let (filter, row, column) = (index / (size * size), index / size % size, index % size)
            var sum: Int32 = 0
            for depth in 0..<(layer.isDepthwise ? 1 : layer.channels) {
                let channel = layer.isDepthwise ? filter : depth
                for tap in 0..<taps {
                    let y = row * layer.stride - pad + tap / layer.kernel
                    let x0 = column * layer.stride - pad + tap % layer.kernel
                    guard (0..<extent).contains(y), (0..<extent).contains(x0) else { continue }
                    let weight = weights[(filter * (layer.isDepthwise ? 1 : layer.channels) + depth) * taps + tap]
                    sum +=
                        (Int32(x[(channel * extent + y) * extent + x0]) - Self.zeroX)
                        * (Int32(weight) - Self.zeroWeight)
                }
            }
            let steps = (Double(sum) / Double(scale)).rounded(.toNearestOrEven) + Double(Self.zeroY)
            return UInt8(min(max(steps, 0), 255))
        }
    }

    @Test(arguments: layers)
    func sumsAreExactOnEveryInstructionSet(layer: Layer) throws {
        var numbers = Numbers(seed: UInt64(layer.channels * 10 + layer.kernel))
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(127.5 + 127.5 * numbers.next()) } }
        let depth = layer.isDepthwise ? 1 : layer.channels
        // Both ends are there, so that weights less their zero point need nine bits.
        var weights = bytes(layer.filters * depth * layer.kernel * layer.kernel)
        (weights[0], weights[weights.count - 1]) = (0, 255)
        let x = bytes(layer.channels * Self.extent * Self.extent)
        // A power of two: results are exact until they are rounded.
        let scale: Float = layer.isDepthwise || layer.kernel == 1 ? 512 : 2048
        let model = Model(name: "test", graph: try graph(layer, weights, scale: scale))
        let reference = expected(layer, x, weights, scale: scale)
        #expect(Set(reference).count > 50)
        for kernels in Int8Kernels.available {
            let compiled = try CompiledModel(model, batch: 1, kernels: .best, int8Kernels: kernels)
            // Nothing is left to float.
            #expect(!compiled.plan.steps.contains { $0.name.contains("float") })
            let session = compiled.makeSession()
            x.withUnsafeBytes { session.inputBytes(0).copyMemory(from: $0) }
            try session.run()
            #expect(session.outputTensor(0).array(of: UInt8.self) == reference, "\(kernels.name)")
        }
    }

    @Test func weightsThatFitLoseTheirZeroPoint() throws {
        let layer = Layer(channels: 2, filters: 2, kernel: 1)
        for (weights, zero) in [([15, 143, 200, 255], 0), ([14, 143, 200, 255], 15)] as [([UInt8], Int32)] {
            let graph = QuantizationFolding.folded(try graph(layer, weights, scale: 64))
            let id = try #require(graph.nodes.first { $0.operation.name == "convolution" }?.inputs[1])
            #expect(graph[id].type == .int8 && graph[id].quantization?.zeroPoints == [zero])
        }
    }
}
