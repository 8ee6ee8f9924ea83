// SPDX-License-Identifier: Apache-2.0

import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// Padding that stands alone, and padding that becomes part of the window behind it.
struct PaddingTests {
    private var builder = GraphBuilder()
    private var numbers = Numbers(seed: 6)

    private mutating func add(
        _ operation: Operator, _ inputs: ValueID?..., stored: (ElementType, QuantizationParameters)? = nil
    ) throws -> ValueID {
        let name = "v\(builder.graph.values.count)"
        return try #require(builder.add(name, operation, inputs, outputs: [name], stored: stored)[0])
    }

    private mutating func layer(_ x: ValueID, _ filters: Int) throws -> ValueID {
        let weight = builder.addConstant("w", numbers.tensor([filters, builder.value(x).shape[1], 3, 3], scale: 0.3))
        return try add(.convolution(Convolution(kernel: [3, 3])), x, weight)
    }

    private func constant(_ value: Float, _ builder: inout GraphBuilder) -> ValueID {
        builder.addConstant("value", Tensor([], [value]))
    }

    private static func hasPadding(_ graph: Graph) -> Bool {
        graph.nodes.contains { if case .pad = $0.operation { true } else { false } }
    }

    @Test(arguments: [
        [0, 0, 1, 2, 0, 0, 3, 0], [0, 0, 0, 0, 0, 0, 0, 0], [0, 2, 0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0, 0, 2],
    ])
    func aConstantStandsAroundTheInput(_ pads: [Int]) throws {
        var test = PaddingTests()
        let x = try test.builder.addInput("x", .float32, [1, 3, 8, 9])
        let inner = try test.layer(x, 5)
        let value = test.constant(2.5, &test.builder)
        let pad = Operator.pad(Pad(mode: .constant, pads: pads))
        // Of channels that lie together, of planes, and right where a concatenation has it.
        let padded = try test.add(pad, inner, value)
        let planes = try test.add(pad, test.add(.transpose(permutation: [0, 1, 3, 2]), x), nil)
        let joined = try test.add(.concat(axis: 1), padded, test.add(.unary(.negate), padded))
        let graph = try test.builder.finish(outputs: [padded, planes, joined])
        #expect(Self.hasPadding(Fusion.fused(graph)))
        #expect(try SessionTests.difference(graph, .best, seed: 3) < 1e-5)
    }

    @Test func meansTakeThePaddingBeforeThemIn() throws {
        var test = PaddingTests()
        let x = try test.builder.addInput("x", .float32, [1, 3, 8, 9])
        let pad = Operator.pad(Pad(mode: .constant, pads: [0, 0, 1, 1, 0, 0, 1, 1]))
        let mean = Operator.averagePool(Pool(kernel: [3, 3], strides: [2, 2]))
        let y = try test.add(mean, test.add(pad, test.layer(x, 5), test.constant(0, &test.builder)))
        let other = try test.add(mean, test.add(pad, test.layer(x, 5), test.constant(1, &test.builder)))
        let graph = try test.builder.finish(outputs: [y, other])
        let fused = Fusion.fused(graph)
        #expect(fused.nodes.count { if case .pad = $0.operation { true } else { false } } == 1)
        #expect(try SessionTests.difference(graph, .best, seed: 3) < 1e-5)
    }

    /// What is stored for zero is what a layer has around its input.
    @Test func layersOfIntegersTakeThePaddingBeforeThemIn() throws {
        var test = PaddingTests()
        let input = QuantizationParameters(scale: 0.02, zeroPoint: 100)
        let x = try test.builder.addInput("x", .float32, [1, 3, 8, 9])
        let stored = try test.add(.quantizeLinear, x, stored: (.uint8, input))
        let pad = Operator.pad(Pad(mode: .constant, pads: [0, 0, 1, 2, 0, 0, 0, 1]))
        func made(_ value: Float) throws -> (Graph, Tensor) {
            var test = test
            // As files have it: between conversions of its own.
            let real = try test.add(.dequantizeLinear, stored)
            let padded = try test.add(
                .quantizeLinear, test.add(pad, real, test.constant(value, &test.builder)), stored: (.uint8, input))
            let weights = (0..<108).map { Int8(truncatingIfNeeded: $0 &* 37) }
            let weight = test.builder.addConstant(
                "w", Tensor([4, 3, 3, 3], weights), quantization: QuantizationParameters(scale: 0.01, zeroPoint: 0))
            let y = try test.add(
                .convolution(Convolution(kernel: [3, 3])), padded, weight,
                stored: (.uint8, QuantizationParameters(scale: 0.5, zeroPoint: 120)))
            let graph = try test.builder.finish(outputs: [y])
            var numbers = Numbers(seed: 9)
            return (graph, numbers.tensor([1, 3, 8, 9], scale: 2))
        }
        for (value, isMerged) in [(Float(0), true), (1, false)] {
            let (graph, input) = try made(value)
            let folded = Fusion.fused(QuantizationFolding.folded(Fusion.fused(graph)))
            #expect(Self.hasPadding(folded) != isMerged)
            // The conversion of the input alone.
            #expect(folded.nodes.count == (isMerged ? 2 : 3))
            let expected = try #require(try ReferenceEvaluator(graph).run(["x": input]).values.first)
            let session = try CompiledModel(Model(name: "test", graph: graph)).makeSession()
            session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(input.buffer.bytes))
            try session.run()
            #expect(session.outputTensor(0).array(of: UInt8.self) == expected.array(of: UInt8.self))
        }
    }
}
