// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelGraph
import ONNX
import SwiftProtobuf
import Tensors
import TestSupport
import Testing

@Suite struct ONNXTests {
    private func run(_ model: Model, _ inputs: [String: Tensor]) throws -> [Float] {
        let name = model.graph[model.graph.outputs[0]].name
        return try #require(ReferenceEvaluator(model.graph).run(inputs)[name]).array(of: Float.self)
    }

    @Test func convolutionWithBiasAndRelu() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1", "1", "3", "3"])
        maker.floats("w", [1, 1, 2, 2], [1, 0, 0, -1])
        maker.floats("b", [1], [0.5])
        maker.node("Conv", ["x", "w", "b"], ["c"])
        maker.node("Relu", ["c"], ["y"])
        maker.output("y")
        // x[i][j] - x[i+1][j+1] + 0.5
        let x = Tensor([1, 1, 3, 3], [Float(9), 1, 1, 1, 4, 1, 1, 1, 1])
        #expect(try run(maker.model(), ["x": x]) == [5.5, 0.5, 0.5, 3.5])
    }

    @Test func shapeChainsAreFolded() throws {
        var maker = ONNXMaker()
        maker.input("x", ["batch", "2", "6"])
        maker.integers("zero", [0])
        maker.integers("rest", [-1])
        maker.node("Shape", ["x"], ["s"])
        maker.node("Gather", ["s", "zero"], ["n"])
        maker.node("Concat", ["n", "rest"], ["target"], attributes: [ONNXMaker.int("axis", 0)])
        maker.node("Reshape", ["x", "target"], ["y"])
        maker.output("y")
        let graph = try maker.model().graph
        #expect(graph.nodes.map(\.operation) == [.reshape([1, 12])])
        #expect(try maker.model(.init(shapes: ["x": [3, 2, 6]])).graph.nodes.map(\.operation) == [.reshape([3, 12])])
    }

    @Test func openShapesAreListed() throws {
        var maker = ONNXMaker()
        maker.input("x", ["n", "3", "height", "width"])
        maker.node("Relu", ["x"], ["y"])
        maker.output("y")
        let error = #expect(throws: ImportError.self) { try maker.model() }
        #expect("\(try #require(error))".contains("x is [n, 3, height, width]"))
    }

    @Test func everyUnsupportedNodeIsListed() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1", "4"])
        maker.node("Frobnicate", ["x"], ["a"])
        maker.node("Relu", ["a"], ["b"])
        maker.node("Other", ["x"], ["c"], domain: "acme")
        maker.node("Add", ["b", "c"], ["y"])
        maker.output("y")
        let error = #expect(throws: ImportError.self) { try maker.model() }
        let text = "\(try #require(error))"
        #expect(text.hasPrefix("2 nodes") && text.contains("Frobnicate") && text.contains("acme.Other"))
    }

    @Test func nodesOutOfOrderAndInitializersAmongInputsAreAccepted() throws {
        var maker = ONNXMaker(version: 9)
        maker.input("x", ["1", "2"])
        maker.input("k", ["2"])
        maker.floats("k", [2], [2, 3])
        maker.node("Neg", ["m"], ["y"])
        maker.node("Mul", ["x", "k"], ["m"])
        maker.output("y")
        #expect(try run(maker.model(), ["x": Tensor([1, 2], [Float(1), 10])]) == [-2, -30])
    }

    @Test(arguments: [true, false]) func anIfTakesTheBranchOfItsCondition(condition: Bool) throws {
        var maker = ONNXMaker()
        maker.input("x", ["2"])
        maker.proto.graph.initializer.append(
            .with {
                $0.name = "condition"
                $0.dataType = 9
                $0.rawData = Data([condition ? 1 : 0])
            })
        func branch(_ name: String, _ operation: String) -> ONNXAttributeProto {
            .with {
                $0.name = name
                $0.type = 5
                $0.g.node = [ONNXMaker.node(operation, ["x"], ["r"])]
                $0.g.output = [.with { $0.name = "r" }]
            }
        }
        maker.node(
            "If", ["condition"], ["y"], attributes: [branch("then_branch", "Neg"), branch("else_branch", "Abs")])
        maker.output("y")
        #expect(try run(maker.model(), ["x": Tensor([2], [Float(-1), 2])]) == (condition ? [1, -2] : [1, 2]))
    }

    @Test func quantizedWeightsStayIntegers() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1", "2"])
        maker.proto.graph.initializer.append(
            .with {
                $0.name = "w"
                $0.dataType = 3
                $0.dims = [2, 2]
                $0.rawData = Data([1, 2, 3, 0xff])
            })
        maker.floats("s", [2], [0.5, 2])
        maker.node("DequantizeLinear", ["w", "s"], ["wf"], attributes: [ONNXMaker.int("axis", 1)])
        maker.node("MatMul", ["x", "wf"], ["y"])
        maker.output("y")
        let model = try maker.model()
        #expect(model.graph.constants.values.map(\.type) == [.int8])
        #expect(try run(model, ["x": Tensor([1, 2], [Float(1), 10])]) == [0.5 + 15, 4 - 20])
    }

    @Test(arguments: ["../secret", "/etc/passwd", "a/../../secret", ""])
    func externalDataOutsideTheFolderIsRefused(location: String) throws {
        var maker = ONNXMaker()
        maker.input("x", ["1"])
        maker.proto.graph.initializer.append(
            .with {
                $0.name = "w"
                $0.dataType = 1
                $0.dims = [1]
                $0.dataLocation = 1
                $0.externalData = [
                    .with {
                        $0.key = "location"
                        $0.value = location
                    }
                ]
            })
        maker.node("Add", ["x", "w"], ["y"])
        maker.output("y")
        #expect(throws: ImportError.self) { try maker.model(folder: NSTemporaryDirectory()) }
    }

    @Test(arguments: [true, false]) func externalDataMayBeLinkedWithinTheFolderOnly(inside: Bool) throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let model = folder.file("model")
        try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: false)
        let target = inside ? model + "/real.bin" : folder.file("secret.bin")
        try Data([0, 0, 0x80, 0x3f]).write(to: URL(fileURLWithPath: target))
        try FileManager.default.createSymbolicLink(atPath: model + "/weights.bin", withDestinationPath: target)
        var maker = ONNXMaker()
        maker.input("x", ["1"])
        maker.proto.graph.initializer.append(
            .with {
                $0.name = "w"
                $0.dataType = 1
                $0.dims = [1]
                $0.dataLocation = 1
                $0.externalData = [
                    .with {
                        $0.key = "location"
                        $0.value = "weights.bin"
                    }
                ]
            })
        maker.node("Add", ["x", "w"], ["y"])
        maker.output("y")
        if inside {
            #expect(try run(maker.model(folder: model), ["x": Tensor([1], [Float(2)])]) == [3])
        } else {
            #expect(throws: ImportError.self) { try maker.model(folder: model) }
        }
    }

    @Test func giantShapesAreRefused() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1", "1"])
        maker.integers("huge", [1 << 40, 1 << 40])
        maker.node("Expand", ["x", "huge"], ["y"])
        maker.output("y")
        #expect(throws: ImportError.self) { try maker.model() }
        #expect(throws: ImportError.self) { try maker.model(.init(shapes: ["x": [1 << 30, 1 << 30]])) }
    }

    @Test func truncatedAndAlteredFilesNeverCrash() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1", "2", "8", "8"])
        maker.floats("w", [2, 2, 3, 3], [Float](repeating: 0.1, count: 36))
        maker.integers("t", [1, -1])
        maker.node("Conv", ["x", "w"], ["c"], attributes: [ONNXMaker.ints("pads", [1, 1, 1, 1])])
        maker.node("MaxPool", ["c"], ["m"], attributes: [ONNXMaker.ints("kernel_shape", [2, 2])])
        maker.node("Reshape", ["m", "t"], ["y"])
        maker.output("y")
        let data: Data = try maker.proto.serializedBytes()
        for index in data.indices {
            _ = try? ONNXFile(data.prefix(index), name: "cut").model()
            for bits: UInt8 in [0x01, 0x80] {
                var altered = data
                altered[index] ^= bits
                _ = try? ONNXFile(altered, name: "altered").model()
            }
        }
    }

    @Test(arguments: [Float(1), -1]) func aConditionMayBeComputed(sign: Float) throws {
        var maker = ONNXMaker(version: 13)
        maker.input("x", ["2"])
        maker.floats("zero", [], [0])
        maker.node("ReduceSum", ["x"], ["sum"], attributes: [ONNXMaker.int("keepdims", 0)])
        maker.node("Greater", ["sum", "zero"], ["isPositive"])
        func branch(_ name: String, _ operation: String) -> ONNXAttributeProto {
            .with {
                $0.name = name
                $0.type = 5
                $0.g.node = [ONNXMaker.node(operation, ["x"], ["r"])]
                $0.g.output = [.with { $0.name = "r" }]
            }
        }
        maker.node(
            "If", ["isPositive"], ["y"], attributes: [branch("then_branch", "Neg"), branch("else_branch", "Exp")])
        maker.output("y")
        let x = [sign * 1, sign * 2]
        #expect(try run(maker.model(), ["x": Tensor([2], x)]) == (sign > 0 ? [-1, -2] : x.map { exp($0) }))
    }

    @Test func operatorsMadeUpOfOthersGiveTheirResult() throws {
        var maker = ONNXMaker(version: 22)
        maker.input("x", ["1", "2"])
        maker.node("LpNormalization", ["x"], ["n"])
        maker.integers("two", [2])
        maker.node(
            "ReverseSequence", ["n", "two"], ["y"],
            attributes: [ONNXMaker.int("time_axis", 1), ONNXMaker.int("batch_axis", 0)])
        maker.output("y")
        #expect(try run(maker.model(), ["x": Tensor([1, 2], [Float(3), 4])]) == [0.8, 0.6])
    }

    @Test func weightsMayHaveFourBits() throws {
        var maker = ONNXMaker(version: 21)
        maker.input("x", ["1", "3"])
        maker.proto.graph.initializer.append(
            .with {
                $0.name = "w"
                $0.dataType = 22
                $0.dims = [3, 1]
                // 7, -8 and -1, the last one with half a byte unused.
                $0.rawData = Data([0x87, 0x0f])
            })
        maker.floats("s", [], [0.5])
        maker.node("DequantizeLinear", ["w", "s"], ["wf"])
        maker.node("MatMul", ["x", "wf"], ["y"])
        maker.output("y")
        #expect(try run(maker.model(), ["x": Tensor([1, 3], [Float(1), 10, 100])]) == [3.5 - 40 - 50])
    }

    @Test func nodesThatReadUnknownElementTypesAreListed() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1"])
        maker.proto.graph.initializer.append(
            .with {
                $0.name = "w"
                $0.dataType = 17
                $0.dims = [1]
                $0.rawData = Data([0])
            })
        maker.node("Add", ["x", "w"], ["a"])
        maker.node("Frobnicate", ["x"], ["b"])
        maker.node("Add", ["a", "b"], ["y"])
        maker.output("y")
        let error = #expect(throws: ImportError.self) { try maker.model() }
        let text = "\(try #require(error))"
        #expect(text.hasPrefix("2 nodes") && text.contains("element type 17") && text.contains("Frobnicate"))
    }

    @Test func foldedConstantsAreBounded() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1"])
        maker.integers("extent", [1 << 18])
        // Two hundred constants of 1 MiB from a file of some KiB.
        for index in 0..<200 {
            maker.node("ConstantOfShape", ["extent"], ["c\(index)"])
            maker.node("Add", [index == 0 ? "x" : "s\(index - 1)", "c\(index)"], ["s\(index)"])
        }
        maker.output("s199")
        let graph = try maker.model().graph
        let bytes = graph.constants.values.reduce(0) { $0 + $1.count * $1.type.sizeBytes }
        #expect(bytes <= 65 << 20)
    }

    @Test func aCycleIsMalformed() throws {
        var maker = ONNXMaker()
        maker.input("x", ["1"])
        maker.node("Add", ["x", "b"], ["a"])
        maker.node("Relu", ["a"], ["b"])
        maker.output("b")
        #expect(throws: ImportError.self) { try maker.model() }
    }
}
