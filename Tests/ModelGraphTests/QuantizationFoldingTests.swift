// SPDX-License-Identifier: Apache-2.0
import Inference
import ModelGraph
import ONNX
import Tensors
import Testing

@Suite struct QuantizationFoldingTests {
    /// x -> stored -> convolution -> stored -> max pool -> stored -> add -> stored -> y, with a conversion to float and back
    /// between any two, as exporters write it.
    private func network(_ type: ElementType) throws -> Graph {
        var builder = GraphBuilder()
        let zero: Int32 = type == .int8 ? -10 : 118
        func form(_ scale: Float, _ zero: Int32) -> (type: ElementType, quantization: QuantizationParameters) {
            (type, QuantizationParameters(scale: scale, zeroPoint: zero))
        }
        func add(_ name: String, _ operation: Operator, _ inputs: [ValueID]) throws -> ValueID {
            try #require(try builder.add(name, operation, inputs, outputs: [name])[0])
        }
        func stored(_ id: ValueID, _ scale: Float, _ zero: Int32) throws -> ValueID {
            let name = "q\(builder.graph.values.count)"
            let quantized = try #require(
                try builder.add(name, .quantizeLinear, [id], outputs: [name], stored: form(scale, zero))[0])
            return try add("d\(name)", .dequantizeLinear, [quantized])
        }
        let x = try stored(try builder.addInput("x", .float32, [1, 2, 5, 5]), 0.02, zero)
        let weight = builder.addConstant(
            "w", Tensor([3, 2, 3, 3], (0..<54).map { Int8($0 * 37 % 255 - 127) }),
            quantization: .init(scales: [0.01, 0.02, 0.005], zeroPoints: [0, 0, 0], axis: 0))
        let real = try add("dw", .dequantizeLinear, [weight])
        let convolution = Convolution(kernel: [3, 3], pads: [1, 1, 1, 1])
        let y = try stored(try add("c", .convolution(convolution), [x, real]), 0.05, zero + 3)
        let pooled = try stored(try add("p", .maxPool(Pool(kernel: [2, 2])), [y]), 0.05, zero + 3)
        let sum = try stored(try add("s", .binary(.add), [pooled, pooled]), 0.07, zero)
        return try builder.finish(named: [(name: "y", id: sum)])
    }

    private func input() -> [String: Tensor] {
        ["x": Tensor([1, 2, 5, 5], (0..<50).map { Float(($0 * 29) % 101) / 40 - 1.2 })]
    }

    @Test(arguments: [ElementType.int8, .uint8])
    func operatorsBetweenConversionsWorkOnIntegers(type: ElementType) throws {
        let graph = try network(type)
        let folded = QuantizationFolding.folded(graph)
        try folded.validate()
        #expect(
            folded.nodes.map(\.operation.name) == [
                "quantizeLinear", "convolution", "maxPool", "binary", "dequantizeLinear",
            ])
        // What only moves numbers rounds nothing.
        let ofFloats = folded.nodes.filter(\.meansFloats).map(\.operation.name)
        #expect(ofFloats.filter { $0 != "maxPool" } == ["convolution", "binary"])
        let activations = folded.values.enumerated().filter {
            $1.quantization != nil && folded.constants[ValueID($0)] == nil
        }
        #expect(activations.allSatisfy { $1.type == .uint8 })
        let expected = try #require(ReferenceEvaluator(graph).run(input())["y"]).array(of: Float.self)
        #expect(try #require(ReferenceEvaluator(folded).run(input())["y"]).array(of: Float.self) == expected)
    }

    @Test func aFunctionBetweenALayerAndItsConversionIsPartOfTheLayer() throws {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [1, 2, 3, 3])
        let form = (type: ElementType.uint8, quantization: QuantizationParameters(scale: 0.1, zeroPoint: 100))
        func add(_ operation: Operator, _ inputs: [ValueID?], stored: Bool = false) throws -> [ValueID?] {
            let name = "v\(builder.graph.values.count)"
            return try builder.add(name, operation, inputs, outputs: [name], stored: stored ? form : nil)
        }
        let weight = builder.addConstant(
            "w", Tensor([2, 2, 1, 1], [Int8(1), 2, 3, 4]), quantization: .init(scale: 0.5, zeroPoint: 0))
        let first = try add(.dequantizeLinear, try add(.quantizeLinear, [x], stored: true))
        let sums = try add(
            .convolution(Convolution(kernel: [1, 1])), first + (try add(.dequantizeLinear, [weight])))
        let last = try add(.quantizeLinear, try add(.unary(.relu), sums), stored: true)
        let y = try #require(try add(.dequantizeLinear, last)[0])
        let graph = QuantizationFolding.folded(try builder.finish(named: [(name: "y", id: y)]))
        #expect(graph.nodes.count == 5)
        let fused = QuantizationFolding.folded(Fusion.fused(graph))
        #expect(fused.nodes.map(\.operation.name) == ["quantizeLinear", "convolution", "dequantizeLinear"])
        #expect(fused.nodes[1].meansFloats)
    }

    /// A layer whose stored result is stored once more under other parameters rounds twice.
    @Test func aSecondRoundingStays() throws {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .uint8, [1, 1, 1, 4])
        let unit = QuantizationParameters(scale: 1, zeroPoint: 0)
        let weight = builder.addConstant("w", Tensor([1, 1, 1, 1], [Int8(1)]), quantization: unit)
        let first = try builder.add(
            "c", .convolution(Convolution(kernel: [1, 1])), [builder.reinterpret(x, as: unit), weight], outputs: ["c"],
            stored: (.uint8, QuantizationParameters(scale: 4, zeroPoint: 0)))
        let second = try builder.add(
            "q", .quantizeLinear, first, outputs: ["y"],
            stored: (.uint8, QuantizationParameters(scale: 3, zeroPoint: 0)))
        let y = try #require(second[0])
        let plain = builder.reinterpret(y, as: nil)
        let graph = try builder.finish(outputs: [plain])
        let name = graph[graph.outputs[0]].name
        let input = ["x": Tensor([1, 1, 1, 4], [UInt8(1), 2, 3, 5])]
        // 1, 2, 3, 5 are 0, 0, 4, 4 in steps of four, and 0, 0, 1, 1 in steps of three; at once they were 0, 1, 1, 2.
        let folded = try ReferenceEvaluator(QuantizationFolding.folded(graph)).run(input)
        #expect(try #require(folded[name]).array(of: UInt8.self) == [0, 0, 1, 1])
    }

    @Test func unfoldedNodesGiveTheSameNumbers() throws {
        let folded = QuantizationFolding.folded(try network(.uint8))
        let indices = Set(folded.nodes.indices.filter { folded.isUnfoldable(folded.nodes[$0]) })
        #expect(indices.count == 2)
        let unfolded = folded.unfolded(indices).withFloatConstants()
        try unfolded.validate()
        #expect(unfolded.constants.values.allSatisfy { $0.type == .float32 })
        let expected = try #require(ReferenceEvaluator(folded).run(input())["y"]).array(of: Float.self)
        #expect(try #require(ReferenceEvaluator(unfolded).run(input())["y"]).array(of: Float.self) == expected)
    }

    @Test func whatOthersReadInFloatStaysFloat() throws {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [4])
        let form = (type: ElementType.uint8, quantization: QuantizationParameters(scale: 0.1, zeroPoint: 5))
        let stored = try builder.add("q", .quantizeLinear, [x], outputs: ["q"], stored: form)
        let real = try builder.add("d", .dequantizeLinear, stored, outputs: ["d"])
        let relu = try builder.add("r", .unary(.relu), real, outputs: ["r"])
        let again = try builder.add("q2", .quantizeLinear, relu, outputs: ["q2"], stored: form)
        let outputs = [("r", relu[0]), ("q2", again[0])].compactMap { name, id in id.map { (name: name, id: $0) } }
        let folded = QuantizationFolding.folded(try builder.finish(named: outputs))
        let function = try #require(folded.nodes.first { $0.operation == .unary(.relu) })
        #expect(function.outputs[0].map { folded[$0].quantization } == .some(nil))
    }

    @Test func weightsOfRecurrentLayersStaySigned() throws {
        var builder = GraphBuilder()
        let x = try builder.addInput(
            "x", .uint8, [2, 1, 3], quantization: QuantizationParameters(scale: 0.1, zeroPoint: 128))
        func weight(_ name: String, _ columns: Int) -> ValueID {
            builder.addConstant(
                name, Tensor([1, 8, columns], (0..<(8 * columns)).map { Int8($0) }),
                quantization: QuantizationParameters(scale: 0.1, zeroPoint: 0))
        }
        let recurrent = Recurrent(
            cell: .lstm, direction: .forward, hiddenSize: 2, functions: [.sigmoid, .tanh, .tanh])
        let inputs = [x, weight("w", 3), weight("r", 2)]
        let y = try #require(try builder.add("l", .recurrent(recurrent), inputs, outputs: ["y"])[0])
        let folded = QuantizationFolding.folded(try builder.finish(named: [(name: "y", id: y)]))
        #expect(folded.constants.values.allSatisfy { $0.type == .int8 })
    }

    @Test func parametersThatAreComputedAreWrittenOut() throws {
        var maker = ONNXMaker(version: 21)
        maker.input("x", ["1", "4"])
        maker.floats("tenth", [], [0.1])
        maker.node("ReduceMax", ["x"], ["m"], attributes: [ONNXMaker.int("keepdims", 0)])
        maker.node("Mul", ["m", "tenth"], ["s"])
        maker.node("QuantizeLinear", ["x", "s"], ["q"])
        maker.node("DequantizeLinear", ["q", "s"], ["y"])
        maker.output("y")
        let model = try maker.model()
        let result = try ReferenceEvaluator(model.graph).run(["x": Tensor([1, 4], [Float(20), 5, 9, -3])])
        // Steps of 2 from zero: 2.5 and 4.5 steps go to the even neighbour.
        #expect(try #require(result["y"]).array(of: Float.self) == [20, 4, 8, 0])
    }

    @Test func scalesMayStandPerBlock() throws {
        var maker = ONNXMaker(version: 21)
        maker.input("x", ["1", "5"], type: 3)
        maker.floats("s", [1, 2], [0.5, 2])
        maker.node(
            "DequantizeLinear", ["x", "s"], ["y"],
            attributes: [ONNXMaker.int("axis", 1), ONNXMaker.int("block_size", 3)])
        maker.output("y")
        let result = try ReferenceEvaluator(try maker.model().graph).run(["x": Tensor([1, 5], [Int8(1), 2, 3, 4, -5])])
        #expect(try #require(result["y"]).array(of: Float.self) == [0.5, 1, 1.5, 8, -10])
    }

    @Test func compiledIntegersAgreeWithTheirDefinition() throws {
        for type in [ElementType.int8, .uint8] {
            let graph = try network(type)
            let session = try CompiledModel(Model(name: "q", graph: graph)).makeSession()
            let x = try #require(input()["x"])
            session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(x.elements(as: Float.self)))
            try session.run()
            let expected = try #require(ReferenceEvaluator(graph).run(input())["y"]).array(of: Float.self)
            for (a, b) in zip(session.output(0), expected) { #expect(abs(a - b) <= 0.0701) }
        }
    }
}
