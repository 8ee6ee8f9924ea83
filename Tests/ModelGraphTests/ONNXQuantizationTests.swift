// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelGraph
import ONNX
import Tensors
import TestSupport
import Testing

/// Operators on stored integers, in the forms that ONNX Runtime's tools write.
@Suite struct ONNXQuantizationTests {
    private func run(_ maker: ONNXMaker, _ input: Tensor) throws -> Tensor {
        let graph = try maker.model().graph
        return try #require(ReferenceEvaluator(graph).run(["x": input])[graph[graph.outputs[0]].name])
    }

    /// x [uint8] and a node over it whose further inputs are scales and zero points.
    private func maker(_ extents: [String]) -> ONNXMaker {
        var maker = ONNXMaker()
        maker.proto.opsetImport.append(
            .with {
                $0.domain = "com.microsoft"
                $0.version = 1
            })
        maker.input("x", extents, type: 2)
        maker.floats("one", [], [1])
        maker.bytes("zero", [], [0])
        maker.output("y")
        return maker
    }

    @Test func poolsWithChannelsLastReadThemThere() throws {
        var maker = maker(["1", "2", "2", "2"])
        maker.node(
            "QLinearGlobalAveragePool", ["x", "one", "zero", "one", "zero"], ["y"], domain: "com.microsoft",
            attributes: [ONNXMaker.int("channels_last", 1)])
        let x = Tensor([1, 2, 2, 2], [UInt8(1), 10, 2, 20, 3, 30, 6, 40])
        let y = try run(maker, x)
        #expect(y.shape == [1, 1, 1, 2])
        #expect(y.array(of: UInt8.self) == [3, 25])
        maker.proto.graph.node = [
            ONNXMaker.node(
                "NhwcMaxPool", ["x"], ["y"], domain: "com.microsoft",
                attributes: [ONNXMaker.ints("kernel_shape", [2, 1])])
        ]
        let largest = try run(maker, x)
        #expect(largest.shape == [1, 1, 2, 2])
        #expect(largest.array(of: UInt8.self) == [3, 30, 6, 40])
    }

    @Test func convolutionsWithChannelsLastReadThemThere() throws {
        var maker = maker(["1", "1", "2", "2"])
        maker.bytes("w", [1, 2, 1, 1], [1, 2])
        maker.node(
            "QLinearConv", ["x", "one", "zero", "w", "one", "zero", "one", "zero"], ["y"], domain: "com.microsoft",
            attributes: [ONNXMaker.int("channels_last", 1)])
        let y = try run(maker, Tensor([1, 1, 2, 2], [UInt8(1), 10, 2, 20]))
        #expect(y.shape == [1, 1, 2, 1])
        #expect(y.array(of: UInt8.self) == [21, 42])
    }

    /// Before operator set 13 all axes from the one that is named are one.
    @Test func oldSoftmaxJoinsAxes() throws {
        var maker = maker(["1", "2", "2"])
        maker.floats("step", [], [1 / 256])
        maker.node(
            "QLinearSoftmax", ["x", "one", "zero", "step", "zero"], ["y"], domain: "com.microsoft",
            attributes: [ONNXMaker.int("axis", 1), ONNXMaker.int("opset", 11)])
        let y = try run(maker, Tensor([1, 2, 2], [UInt8](repeating: 5, count: 4)))
        #expect(y.shape == [1, 2, 2])
        #expect(y.array(of: UInt8.self) == [64, 64, 64, 64])
    }

    /// alpha * (a * b + bias)
    @Test func alphaOfQGemmAppliesToTheBiasToo() throws {
        var maker = maker(["1", "2"])
        maker.bytes("b", [2, 1], [3, 4])
        maker.proto.graph.initializer.append(
            .with {
                $0.name = "bias"
                $0.dataType = 6
                $0.dims = [1]
                $0.int32Data = [10]
            })
        maker.node(
            "QGemm", ["x", "one", "zero", "b", "one", "zero", "bias", "one", "zero"], ["y"], domain: "com.microsoft",
            attributes: [
                .with {
                    $0.name = "alpha"
                    $0.type = 1
                    $0.f = 0.5
                }
            ])
        #expect(try run(maker, Tensor([1, 2], [UInt8(5), 7])).array(of: UInt8.self) == [(15 + 28 + 10) / 2])
    }

    /// Between 0 and 3, a quarter and three quarters of the way.
    @Test func integersBetweenPixelsLoseTheirFraction() throws {
        var maker = maker(["1", "1", "1", "2"])
        maker.floats("scales", [4], [1, 1, 1, 2])
        maker.node(
            "Resize", ["x", "", "scales"], ["y"],
            attributes: [
                .with {
                    $0.name = "mode"
                    $0.type = 3
                    $0.s = Data("linear".utf8)
                }
            ])
        #expect(try run(maker, Tensor([1, 1, 1, 2], [UInt8(0), 3])).array(of: UInt8.self) == [0, 0, 2, 3])
    }
}
