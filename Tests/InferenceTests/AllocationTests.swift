// SPDX-License-Identifier: Apache-2.0
import CAllocations
import ModelCompression
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// A run of a session asks for no memory.
@Suite struct AllocationTests {
    /// Steps that ask for memory, and "a run" if ten runs as a whole do.
    private func allocations(_ graph: Graph, batch: Int = 1, threads: Int = 1) throws -> [String] {
        let session = try CompiledModel(Model(name: "test", graph: graph), batch: batch, threads: threads)
            .makeSession()
        // What is made once, such as metadata of types.
        for _ in 0..<2 { try session.run(batch: batch) }
        var names: [String] = []
        var count = allocations_of_this_thread()
        for _ in 0..<10 { try session.run(batch: batch) }
        if allocations_of_this_thread() != count { names.append("a run") }
        count = allocations_of_this_thread()
        try session.profile { name, _, _ in
            if allocations_of_this_thread() != count { names.append(name) }
            count = allocations_of_this_thread()
        }
        return names
    }

    private func integers(_ graph: Graph, seed: UInt64) throws -> Graph {
        let calibration = (0..<2 as Range<UInt64>).map { index in
            var numbers = Numbers(seed: seed + index)
            return Dictionary(
                uniqueKeysWithValues: graph.inputs.map { (graph[$0].name, numbers.tensor(graph[$0].shape)) })
        }
        return try PostTrainingQuantizer(Model(name: "test", graph: graph)).quantize(calibration: calibration).graph
    }

    @Test func requestsForMemoryAreCounted() {
        guard allocations_of_this_thread() >= 0 else { return }
        let before = allocations_of_this_thread()
        let buffer = Buffer(byteCount: 100)
        #expect(allocations_of_this_thread() > before)
        #expect(buffer.bytes.count == 100)
    }

    @Test(arguments: [9, 16])
    func convolutionalNetworksRunWithoutNewMemory(channels: Int) throws {
        let graph = try SessionTests.detector(seed: 3, channels: channels)
        #expect(try allocations(graph) == [])
        #expect(try allocations(graph, batch: 3) == [])
        #expect(try allocations(graph, batch: 3, threads: 2) == [])
        let steps = try allocations(integers(graph, seed: 1))
        #expect(steps == [])
    }

    @Test(arguments: RecurrentCase.all + RecurrentCase.resetFirst)
    func recurrentNetworksRunWithoutNewMemory(layer: RecurrentCase) throws {
        let graph = try layer.graph(seed: 4)
        #expect(try allocations(graph, batch: 2) == [])
        if layer.linearBeforeReset { #expect(try allocations(integers(graph, seed: 2)) == []) }
    }

    @Test func denseNetworksRunWithoutNewMemory() throws {
        let graph = try DenseLayerTests.network(batch: 5, seed: 4)
        #expect(try allocations(graph) == [])
        #expect(try allocations(integers(graph, seed: 3), batch: 2) == [])
    }
}
