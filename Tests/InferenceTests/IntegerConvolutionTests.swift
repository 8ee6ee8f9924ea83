// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// Convolutions written in integers alone: sum and bias are exact, one multiplication, one rounding, then the zero point.
struct IntegerConvolutionTests {
    /// Stored bytes that are all numbers from 0 to 255, in an order that mixes neighbours.
    private static let input = (0..<512).map { UInt8(truncatingIfNeeded: $0 * 37 + $0 / 256) }

    private struct Layer {
        var convolution = Convolution(kernel: [1, 1])
        var weights: [Int8]
        var bias: [Int32]?
        var scale: Float = 0.5
        var zeroPoint: Int32 = 7
    }

    /// Bytes of a layer over two channels of 16x16 pixels with scale 1 and zero point 100, as the engine computes them.
    private func bytes(_ layer: Layer) throws -> [UInt8] {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .uint8, [1, 2, 16, 16])
        let stored = builder.reinterpret(x, as: QuantizationParameters(scale: 1, zeroPoint: 100))
        let steps = QuantizationParameters(scale: layer.scale, zeroPoint: 0)
        let depth = 2 / layer.convolution.groups
        let weight = builder.addConstant(
            "w", Tensor(Shape([2, depth] + layer.convolution.kernel), layer.weights), quantization: steps)
        var inputs: [ValueID?] = [stored, weight]
        if let bias = layer.bias { inputs.append(builder.addConstant("b", Tensor([2], bias), quantization: steps)) }
        let y = try #require(
            try builder.add(
                "c", .convolution(layer.convolution), inputs, outputs: ["y"],
                stored: (.uint8, QuantizationParameters(scale: 1, zeroPoint: layer.zeroPoint)))[0])
        let plain = builder.reinterpret(y, as: nil)
        let graph = try builder.finish(outputs: [plain])
        let session = try CompiledModel(Model(name: "test", graph: graph)).makeSession()
        session.inputBytes(0).copyBytes(from: Self.input)
        try session.run()
        return session.outputTensor(0).array(of: UInt8.self)
    }

    private func stored(_ sum: Int, _ layer: Layer) -> UInt8 {
        let steps = (Float(sum) * layer.scale).rounded(.toNearestOrEven)
        return UInt8(min(max(steps + Float(layer.zeroPoint), 0), 255))
    }

    /// Half of the sums lie between two steps, and the zero point is odd: the even neighbour is that of the steps.
    @Test(arguments: [nil, [3, -70_000]] as [[Int32]?])
    func tiesAreRoundedBeforeTheZeroPointIsAdded(bias: [Int32]?) throws {
        let layer = Layer(weights: [1, 0, 0, -1], bias: bias)
        let result = try bytes(layer)
        for filter in 0..<2 {
            for pixel in 0..<256 {
                let difference = Int(Self.input[filter * 256 + pixel]) - 100
                let sum = (filter == 0 ? difference : -difference) + Int(bias?[filter] ?? 0)
                #expect(result[filter * 256 + pixel] == stored(sum, layer), "filter \(filter), pixel \(pixel)")
            }
        }
    }

    @Test func depthwiseLayersAndBoundsDoTheSame() throws {
        let convolution = Convolution(kernel: [3, 3], pads: [1, 1, 1, 1], groups: 2, activation: .relu6)
        let layer = Layer(
            convolution: convolution, weights: [0, 0, 0, 0, 1, 0, 0, 0, 0] + [0, 0, 0, 0, -1, 0, 0, 0, 0], bias: [1, 4])
        let result = try bytes(layer)
        for index in 0..<512 {
            let difference = Int(Self.input[index]) - 100
            let sum = index < 256 ? difference + 1 : 4 - difference
            // relu6 ends at 6 steps of scale 1.
            #expect(result[index] == min(max(stored(sum, layer), 7), 13))
        }
    }
}
