// SPDX-License-Identifier: Apache-2.0

import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// Functions and movements that transformers are written with, against the definition.
struct ElementwiseTests {
    private static func graph(_ shape: Shape, _ make: (inout GraphBuilder, ValueID) throws -> [ValueID?]) throws
        -> Graph
    {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, shape)
        let outputs = try make(&builder, x)
        return try builder.finish(outputs: outputs.compactMap { $0 })
    }

    @Test func theErrorFunctionIsRightEverywhere() throws {
        var index = 0
        while let table = float_kernels_available(Int32(index)) {
            index += 1
            let x = (-700...700).map { Float($0) / 100 }
            var results = [Float](repeating: 0, count: x.count)
            for (activation, definition) in [
                (float_erf, Unary.erf), (float_gelu, .gelu(approximatesWithTanh: false)),
            ] {
                var epilogue = float_epilogue(activation: activation, low: 0, high: 0)
                table.pointee.unary(&epilogue, x, x.count, &results, x.count, 1, x.count)
                let expected = try ReferenceEvaluator.evaluate(.unary(definition), [Tensor([x.count], x)])[0]
                for (a, b) in zip(results, expected.array(of: Float.self)) { #expect(abs(a - b) < 5e-7) }
            }
        }
    }

    @Test func powersAreProductsAndRoots() throws {
        for (exponent, name) in [(Float(2), "binary"), (0.5, "unary"), (3, "binary")] {
            let graph = try Self.graph([2, 5, 3]) { builder, x in
                let size = try builder.add("abs", .unary(.abs), [x], outputs: ["a"])[0]
                let power = builder.addConstant("e", Tensor([], [exponent]))
                return try builder.add("power", .binary(.power), [size, power], outputs: ["y"])
            }
            let fused = Fusion.fused(graph)
            #expect(fused.nodes.last?.operation.name == name)
            if case .binary(.power, _) = fused.nodes.last?.operation { #expect(exponent == 3) }
            #expect(try SessionTests.difference(graph, .best, seed: 4) < 1e-6)
        }
    }

    @Test func numbersAreRepeated() throws {
        for operation in [
            Operator.tile(repeats: [1, 3, 2, 1]), .tile(repeats: [2, 1, 1, 5]), .tile(repeats: [1, 1, 1, 1]),
        ] {
            let graph = try Self.graph([1, 4, 2, 3]) { try $0.add("y", operation, [$1], outputs: ["y"]) }
            #expect(try SessionTests.difference(graph, .best, seed: 4) == 0)
        }
        for (from, to) in [
            (Shape([1, 4, 1, 3]), Shape([2, 4, 5, 3])), (Shape([4, 1]), Shape([3, 4, 6])), (Shape([1]), Shape([2, 7])),
        ] {
            let graph = try Self.graph(from) { try $0.add("y", .expand(to), [$1], outputs: ["y"]) }
            #expect(try SessionTests.difference(graph, .best, seed: 4) == 0)
        }
    }
}
