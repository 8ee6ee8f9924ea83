// SPDX-License-Identifier: Apache-2.0

import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// Transposed convolutions as convolutions, and blocks of pixels, against the definition.
struct TransposedLayersTests {
    private static func graph(
        kernel: Int, stride: Int, padding: Int, extra: Int = 0, groups: Int = 1, hasBias: Bool = true
    ) throws -> Graph {
        var numbers = Numbers(seed: UInt64(kernel * 10 + stride))
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [2, 6, 5, 7])
        let weight = builder.addConstant("w", numbers.tensor([6, 4 / groups, kernel, kernel]))
        let bias = hasBias ? builder.addConstant("b", numbers.tensor([4])) : nil
        let layer = TransposedConvolution(
            kernel: [kernel, kernel], strides: [stride, stride], dilations: [1, 1],
            pads: [padding, padding, padding, padding], outputPadding: [extra, extra], groups: groups)
        let y = try #require(builder.add("y", .transposedConvolution(layer), [x, weight, bias], outputs: ["y"])[0])
        let z = try #require(builder.add("z", .unary(.relu), [y], outputs: ["z"])[0])
        return try builder.finish(outputs: [z])
    }

    private static func isWritten(_ graph: Graph) -> Bool {
        !TransposedLayers.written(graph).nodes.contains {
            if case .transposedConvolution = $0.operation { true } else { false }
        }
    }

    @Test(arguments: [
        (2, 2, 0, 0, 1), (4, 2, 1, 0, 1), (3, 2, 1, 1, 2), (5, 3, 1, 0, 1), (3, 1, 1, 0, 2), (2, 3, 0, 1, 1),
        (9, 2, 4, 1, 1),
        (7, 4, 1, 0, 1),
    ])
    func resultsAreThoseOfTheDefinition(_ kernel: Int, _ stride: Int, _ padding: Int, _ extra: Int, _ groups: Int)
        throws
    {
        for hasBias in [true, false] {
            let graph = try Self.graph(
                kernel: kernel, stride: stride, padding: padding, extra: extra, groups: groups, hasBias: hasBias)
            let extents = graph[graph.outputs[0]].shape.dimensions.suffix(2)
            #expect(Self.isWritten(graph) == extents.allSatisfy { $0 % stride == 0 })
            #expect(try SessionTests.difference(graph, .best, seed: 2) < 1e-5)
        }
    }

    @Test func windowsThatDoNotOverlapAreOneLayer() throws {
        let written = TransposedLayers.written(try Self.graph(kernel: 2, stride: 2, padding: 0))
        #expect(written.nodes.map(\.operation.name) == ["convolution", "depthToSpace", "unary"])
    }

    @Test(arguments: [DepthToSpaceOrder.dcr, .crd])
    func blocksOfPixelsAreChannels(_ order: DepthToSpaceOrder) throws {
        for isDeep in [true, false] {
            var builder = GraphBuilder()
            let x = try builder.addInput("x", .float32, isDeep ? [2, 12, 3, 5] : [2, 3, 6, 10])
            // Behind a layer, where channels lie together.
            let weight = builder.addConstant(
                "w", Tensor([isDeep ? 12 : 3, 1, 1, 1], [Float](repeating: 2, count: isDeep ? 12 : 3)))
            let layer = Convolution(kernel: [1, 1], groups: isDeep ? 12 : 3)
            let y = try #require(builder.add("y", .convolution(layer), [x, weight], outputs: ["y"])[0])
            let operation: Operator =
                isDeep ? .depthToSpace(blockSize: 2, order: order) : .spaceToDepth(blockSize: 2, order: order)
            let z = try #require(builder.add("z", operation, [y], outputs: ["z"])[0])
            let graph = try builder.finish(outputs: [z])
            #expect(try SessionTests.difference(graph, .best, seed: 2) == 0)
        }
    }
}
