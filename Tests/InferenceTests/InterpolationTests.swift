// SPDX-License-Identifier: Apache-2.0

import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference
@testable import ModelCompression

/// Images of another size against the definition, in float and where they are stored in bytes.
struct InterpolationTests {
    private static func graph(_ resize: Resize, channels: Int, isPlanar: Bool = false) throws -> Graph {
        var builder = GraphBuilder()
        var x = try builder.addInput("x", .float32, [2, channels, 7, 9])
        if isPlanar {
            x = try #require(builder.add("turn", .transpose(permutation: [0, 1, 2, 3]), [x], outputs: ["t"])[0])
        }
        let y = try #require(builder.add("y", .resize(resize), [x], outputs: ["y"])[0])
        return try builder.finish(outputs: [y])
    }

    private static func resize(
        _ mode: Resize.Mode, _ coordinates: Resize.Coordinates, height: Int, width: Int, channels: Int,
        antialiases: Bool = false
    ) -> Resize {
        var resize = Resize(
            mode: mode, coordinates: coordinates, scales: [1, 1, Float(height) / 7, Float(width) / 9],
            sizes: [2, channels, height, width])
        resize.antialiases = antialiases
        return resize
    }

    @Test(arguments: [Resize.Coordinates.halfPixel, .asymmetric, .alignCorners, .pytorchHalfPixel])
    func floatsAreThoseOfTheDefinition(_ coordinates: Resize.Coordinates) throws {
        var index = 0
        while let table = float_kernels_available(Int32(index)) {
            let kernels = FloatKernels(table: table)
            index += 1
            for (mode, height, width, channels, antialiases) in [
                (Resize.Mode.linear, 14, 18, 5, false), (.linear, 5, 20, 16, false), (.cubic, 10, 6, 19, false),
                (.linear, 3, 4, 8, true), (.nearest, 14, 27, 3, false),
            ] {
                let resize = Self.resize(
                    mode, coordinates, height: height, width: width, channels: channels, antialiases: antialiases)
                for isPlanar in [false, true] {
                    let graph = try Self.graph(resize, channels: channels, isPlanar: isPlanar)
                    let difference = try SessionTests.difference(graph, kernels, seed: 5)
                    #expect(difference < 1e-5, "\(mode) \(height) x \(width)")
                }
            }
        }
    }

    /// The sums of ONNX Runtime's linear form, which is rounded after each of four products and three additions.
    @Test func sumsAreRoundedInOrder() throws {
        let resize = Self.resize(.linear, .halfPixel, height: 14, width: 18, channels: 1)
        var numbers = Numbers(seed: 3)
        let input = numbers.tensor([2, 1, 7, 9])
        let session = try CompiledModel(Model(name: "test", graph: Self.graph(resize, channels: 1))).makeSession()
        session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(input.buffer.bytes))
        try session.run()
        func taps(_ position: Int, _ extent: Int) -> [(Int, Float)] {
            let x = min(max((Float(position) + 0.5) / 2 - 0.5, 0), Float(extent - 1))
            let first = Int(x)
            // The last pixel is two halves of it.
            if first == extent - 1 { return [(first, 0.5), (first, 0.5)] }
            return [(first, 1 - (x - Float(first))), (first + 1, x - Float(first))]
        }
        let (actual, pixels) = (session.output(0), input.array(of: Float.self))
        for (place, result) in actual.enumerated() {
            let (image, y, x) = (place / 252, place / 18 % 14, place % 18)
            var sum: Float = 0
            for (row, down) in taps(y, 7) {
                for (column, across) in taps(x, 9) {
                    let product = (down * across) * pixels[(image * 7 + row) * 9 + column]
                    sum += product
                }
            }
            #expect(result == sum)
        }
    }

    /// Between layers of integers a linear resize stays in them, and rounds once.
    @Test func linearResizesOfQuantizedNetworksStayIntegers() throws {
        var numbers = Numbers(seed: 8)
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [1, 3, 8, 8])
        func layer(_ x: ValueID, _ filters: Int) throws -> ValueID {
            let weight = numbers.tensor([filters, builder.value(x).shape[1], 1, 1], scale: 0.7)
            return try #require(
                builder.add(
                    "layer", .convolution(Convolution(kernel: [1, 1], activation: .relu)),
                    [x, builder.addConstant("w", weight)], outputs: ["l"])[0])
        }
        let resize = Resize(
            mode: .linear, coordinates: .halfPixel, scales: [1, 1, 2, 2], sizes: [1, 12, 16, 16])
        let doubled = try #require(builder.add("resize", .resize(resize), [layer(x, 12)], outputs: ["r"])[0])
        let y = try layer(doubled, 4)
        let model = Model(name: "test", graph: try builder.finish(outputs: [y]))
        let inputs = (0..<12).map { _ in ["x": numbers.tensor([1, 3, 8, 8])] }
        let quantized = try PostTrainingQuantizer(model).quantize(calibration: inputs)
        let node = try #require(quantized.graph.nodes.first { $0.operation.isResize })
        #expect(node.outputs.allSatisfy { id in id.map { quantized.graph[$0].type == .uint8 } ?? false })
        let ratio = try #require(quantized.quantization?.outputs.first).signalToNoiseDecibels
        #expect(ratio > 30, "\(ratio) dB")
        var plan = PlanBuilder(quantized.graph, images: [:], kernels: .best, int8Kernels: .best, threads: 1)
        _ = try plan.build()
        #expect(plan.unfoldable.isEmpty)
    }
}
