// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors
import TestSupport
import Testing

@testable import Inference

/// A network made for several items at a time is computed item by item where it computes each alone.
@Suite struct ItemDivisionTests {
    @Test(arguments: [1, 2, 4]) func theResultsAreThoseOfEachItemAlone(threads: Int) throws {
        let items = 24
        let many = try SessionTests.detector(seed: 4, channels: 24, images: items)
        let compiled = try CompiledModel(
            Model(name: "many", graph: many), batch: 2, threads: threads)
        #expect(compiled.parts == items && compiled.inputs[0].shape == [2 * items, 3, 32, 40])
        let alone = try CompiledModel(Model(name: "one", graph: SessionTests.detector(seed: 4, channels: 24)))
        #expect(alone.parts == 1)
        var numbers = Numbers(seed: 9)
        let input = numbers.tensor([2 * items, 3, 32, 40])
        let (session, single) = (compiled.makeSession(), alone.makeSession())
        session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(input.buffer.bytes))
        try session.run(batch: 2)
        let results = session.output(0)
        let (inputBytes, resultCount) = (single.inputBytes(0).count, single.output(0).count)
        for item in 0..<(2 * items) {
            let bytes = input.buffer.bytes[(item * inputBytes)..<((item + 1) * inputBytes)]
            single.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes))
            try single.run()
            let expected = single.output(0).map(\.bitPattern)
            #expect(results[(item * resultCount)..<((item + 1) * resultCount)].map(\.bitPattern) == expected)
        }
    }

    /// A network of one operator behind an input of four items.
    private func graph(
        _ operation: Operator, _ shape: Shape = [4, 3, 6, 6], constants: [Tensor] = []
    ) throws -> Graph {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, shape)
        let others = constants.map { builder.addConstant("constant", $0) }
        let outputs = try builder.add("node", operation, [x] + others, outputs: ["y"])
        var graph = builder.graph
        graph.outputs = outputs.compactMap { $0 }
        return graph
    }

    private static let mixing: [(Operator, [Shape])] = [
        (.softmax(axis: 0), []), (.reduce(Reduce(.mean, axes: [0], keepsAxes: true)), []),
        (.transpose(permutation: [1, 0, 2, 3]), []), (.reshape([3, 4, 6, 6]), []), (.reshape([2, 6, 6, 6]), []),
        (.binary(.add), [[4, 1, 1, 1]]),
        (.slice(Slice(starts: [3, 0, 0, 0], steps: [-1, 1, 1, 1], sizes: [4, 3, 6, 6])), []),
        (.cumulativeSum(CumulativeSum(axis: 0, exclusive: false, reverse: false)), []),
        (.layerNormalization(axis: 0, epsilon: 1e-5), [[4, 3, 6, 6]]), (.matMul, [[4, 3, 6, 6]]),
        (.expand([2, 4, 3, 6, 6]), []),
    ]

    @Test(arguments: mixing.indices) func itemsThatDependOnEachOtherStayTogether(index: Int) throws {
        let (operation, shapes) = Self.mixing[index]
        var numbers = Numbers(seed: 2)
        let constants = shapes.map { numbers.tensor($0) }
        #expect(try graph(operation, constants: constants).forOneItem(of: 4) == nil)
    }

    private static let separate: [(Operator, [Shape])] = [
        (.softmax(axis: 1), []), (.reduce(Reduce(.mean, axes: [1, 2], keepsAxes: false)), []),
        (.transpose(permutation: [0, 2, 3, 1]), []), (.reshape([4, 108]), []), (.binary(.add), [[3, 1, 1]]),
        (.binary(.add), [[1, 3, 6, 6]]),
        (.slice(Slice(starts: [0, 1, 0, 5], steps: [1, 1, 2, -1], sizes: [4, 2, 3, 6])), []),
        (.matMul, [[6, 5]]), (.pad(Pad(mode: .constant, pads: [0, 0, 1, 1, 0, 0, 1, 1])), []),
        (.expand([4, 3, 6, 6]), []),
    ]

    @Test(arguments: separate.indices) func itemsOnTheirOwnAreSeparated(index: Int) throws {
        let (operation, shapes) = Self.separate[index]
        var numbers = Numbers(seed: 2)
        let whole = try graph(operation, constants: shapes.map { numbers.tensor($0) })
        let item = try #require(whole.forOneItem(of: 4))
        try item.validate()
        let input = numbers.tensor([4, 3, 6, 6])
        func result(_ graph: Graph, _ input: Tensor) throws -> [Float] {
            let outputs = try ReferenceEvaluator(graph).run(["x": input])
            return Array(try #require(outputs["y"]).elements(as: Float.self))
        }
        let expected = try result(whole, input)
        let parts = try (0..<4).flatMap { index -> [Float] in
            let elements = input.elements(as: Float.self)[(index * 108)..<(index * 108 + 108)]
            return try result(item, Tensor([1, 3, 6, 6], Array(elements)))
        }
        #expect(parts == expected)
    }

    /// Layers that all fit in a cache, and matrix products, would rather have all items at once.
    @Test func smallLayersAndMatricesAreNotDivided() throws {
        var numbers = Numbers(seed: 2)
        #expect(try graph(.unary(.relu)).dividedIntoItems().count == 1)
        let rows = try graph(.matMul, [512, 1024], constants: [numbers.tensor([1024, 16])])
        #expect(rows.forOneItem(of: 512) != nil && rows.dividedIntoItems().count == 1)
    }
}
