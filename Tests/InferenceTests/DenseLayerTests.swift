// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference
@testable import ModelCompression

@Suite struct DenseLayerTests {
    /// Three products with everything that is fused into them.
    static func network(batch: Int, seed: UInt64) throws -> Graph {
        var numbers = Numbers(seed: seed)
        var builder = GraphBuilder()
        func add(_ operation: Operator, _ inputs: [ValueID?]) throws -> ValueID {
            let name = "v\(builder.graph.values.count)"
            return try #require(builder.add(name, operation, inputs, outputs: [name])[0])
        }
        let x = try builder.addInput("x", .float32, [batch, 3, 20])
        var v = try add(.matMul, [x, builder.addConstant("w", numbers.tensor([20, 33], scale: 0.4))])
        v = try add(.binary(.add), [builder.addConstant("b", numbers.tensor([33], scale: 0.3)), v])
        v = try add(.unary(.relu), [v])
        v = try add(.reshape([batch, 99]), [v])
        v = try add(
            .gemm(Gemm(transposesB: true, alpha: 0.5, beta: 2)),
            [
                v, builder.addConstant("w", numbers.tensor([40, 99], scale: 0.3)),
                builder.addConstant("c", numbers.tensor([1, 40])),
            ])
        let statistics = (0..<4).map { index in
            builder.addConstant("s", Tensor([40], (0..<40).map { _ in index == 3 ? 0.5 : numbers.next() * 0.5 + 1 }))
        }
        v = try add(.batchNormalization(epsilon: 1e-5), [v] + statistics)
        v = try add(.unary(.tanh), [v])
        v = try add(.gemm(Gemm()), [v, builder.addConstant("w", numbers.tensor([40, 5], scale: 0.3)), nil])
        return try builder.finish(outputs: [v])
    }

    private func gemms(_ graph: Graph) -> [Gemm] {
        graph.nodes.compactMap { if case .gemm(let gemm) = $0.operation { gemm } else { nil } }
    }

    @Test func productBiasNormalizationAndActivationBecomeOneLayer() throws {
        let graph = try Self.network(batch: 2, seed: 1)
        let fused = Fusion.fused(graph)
        try fused.validate()
        #expect(gemms(fused).map(\.activation) == [.relu, .tanh, .none])
        #expect(gemms(fused).allSatisfy { $0.transposesB && $0.alpha == 1 && $0.beta == 1 })
        #expect(fused.nodes.count == 3 + 3)  // and reshapes around the first one
        var numbers = Numbers(seed: 2)
        let inputs = ["x": numbers.tensor([2, 3, 20])]
        let expected = try #require(ReferenceEvaluator(graph).run(inputs).first?.value).array(of: Float.self)
        let actual = try #require(ReferenceEvaluator(fused).run(inputs).first?.value).array(of: Float.self)
        for (a, b) in zip(expected, actual) { #expect(abs(a - b) < 1e-5) }
    }

    @Test func aSumThatIsReadTwiceStaysApart() throws {
        var numbers = Numbers(seed: 3)
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [1, 4])
        let product = try #require(
            builder.add("product", .matMul, [x, builder.addConstant("w", numbers.tensor([4, 4]))], outputs: ["p"])[0])
        let sum = try #require(
            builder.add(
                "sum", .binary(.add), [product, builder.addConstant("b", numbers.tensor([4]))], outputs: ["s"])[0])
        let fused = Fusion.fused(try builder.finish(outputs: [sum, product]))
        #expect(fused.nodes.count == 2)
    }

    @Test(arguments: [1, 5])
    func integerLayersAreTheReferenceBitForBit(batch: Int) throws {
        let graph = try Self.network(batch: batch, seed: 4)
        var numbers = Numbers(seed: 5)
        let calibration = (0..<12).map { _ in ["x": numbers.tensor([batch, 3, 20])] }
        let model = try PostTrainingQuantizer(Model(name: "test", graph: graph)).quantize(calibration: calibration)
        #expect(gemms(model.graph).count == 3)
        // Stored as integers from the first to the last layer.
        #expect(model.graph.nodes.count { if case .quantizeLinear = $0.operation { true } else { false } } == 1)
        let inputs = ["x": numbers.tensor([batch, 3, 20])]
        let expected = try #require(ReferenceEvaluator(model.graph).run(inputs).first?.value)
        let actual = try #require(model.graph.outputs(for: inputs).first?.value)
        #expect(expected.array(of: Float.self) == actual.array(of: Float.self))
        let decibels = try #require(model.quantization?.outputs.first?.signalToNoiseDecibels)
        #expect(decibels > 30)
    }

    @Test(arguments: [0, 1, 2])
    func roundingKeepsTheLimitOfItsLanes(products: Int) {
        var numbers = Numbers(seed: 6)
        for count in [1, 7, 8, 40, 99] {
            let weights = (0..<count).map { _ in numbers.next() * numbers.next() }
            let row = LaneRounding.round(weights, products: products)
            #expect(IntegerLanes.products(row.weights) >= products)
            let error = zip(weights, row.weights).map { abs($0 - Float($1) * row.scale) }.max() ?? 0
            #expect(error <= 8 * row.scale, "\(count) weights")
        }
    }

    @Test func roundingOfZerosIsZero() {
        let row = LaneRounding.round([0, 0, 0], products: 2)
        #expect(row.weights == [0, 0, 0])
        #expect(row.scale == 1)
    }
}

private enum IntegerLanes {
    /// How many products of a row may be added in an int16 lane.
    static func products(_ row: [Int8]) -> Int { Int(int8_matrix_lane_products(row, row.count, 1, 1, row.count)) }
}
