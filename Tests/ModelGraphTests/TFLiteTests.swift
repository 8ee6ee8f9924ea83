// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelGraph
import TFLite
import Tensors
import Testing

@Suite struct TFLiteTests {
    private func run(_ model: Model, _ inputs: [String: Tensor]) throws -> Tensor {
        let name = model.graph[model.graph.outputs[0]].name
        return try #require(ReferenceEvaluator(model.graph).run(inputs)[name])
    }

    /// y = relu(x - 2 * (x to the right) + 0.5) over one channel, as a convolution with padding SAME.
    private func convolution() -> TFLiteMaker {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 1, 3, 1])
        let w = maker.constant("w", [1, 1, 2, 1], [Float(1), -2], type: TFLiteMaker.float32)
        let b = maker.constant("b", [1], [Float(0.5)], type: TFLiteMaker.float32)
        let y = maker.tensor("y", [1, 1, 3, 1])
        maker.operation(3, [x, w, b], [y], options: [1: .int32(1), 2: .int32(1), 3: .int8(1)])
        maker.inputs = [x]
        maker.outputs = [y]
        return maker
    }

    @Test func convolutionPadsAtTheEndAndAppliesItsFunction() throws {
        let model = try convolution().model()
        let y = try run(model, ["x": Tensor([1, 1, 3, 1], [Float(5), 1, 2])])
        // 5 - 2 + 0.5; 1 - 4 + 0.5 is below zero; 2 + 0.5
        #expect(y.array(of: Float.self) == [3.5, 0, 2.5])
        #expect(y.shape == [1, 1, 3, 1])
    }

    @Test func filtersOfDepthwiseConvolutionsBelongToChannels() throws {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 1, 2, 2])
        let w = maker.constant("w", [1, 1, 2, 2], [Float(1), 10, 2, 20], type: TFLiteMaker.float32)
        let y = maker.tensor("y", [1, 1, 1, 2])
        maker.operation(4, [x, w], [y], options: [0: .int8(1), 1: .int32(1), 2: .int32(1), 3: .int32(1)])
        (maker.inputs, maker.outputs) = ([x], [y])
        // Pixels (1, 2) and (3, 4): 1 * 1 + 2 * 3 and 10 * 2 + 20 * 4.
        let result = try run(maker.model(), ["x": Tensor([1, 1, 2, 2], [Float(1), 2, 3, 4])])
        #expect(result.array(of: Float.self) == [7, 100])
    }

    @Test func integersKeepTheirTypeOutsideAndAreUnsignedInside() throws {
        let model = try TFLiteMaker.integerFullyConnected().model()
        let graph = model.graph
        #expect(graph[graph.inputs[0]].type == .int8 && graph[graph.outputs[0]].type == .int8)
        let layer = try #require(
            graph.nodes.first {
                if case .gemm = $0.operation { true } else { false }
            })
        #expect(layer.inputs[0].map { graph[$0].type } == .uint8 && layer.inputs[1].map { graph[$0].type } == .int8)
        // x = (1, 2): 1 * 1 + 2 * 2 + 1 = 6, -3 * 1 + 1 * 2 - 1 = -2
        let y = try run(model, ["x": Tensor([1, 2], [Int8(1), 3])])
        #expect(y.array(of: Int8.self) == [9, 1])
    }

    @Test func layersInARowAreNotTurnedBetween() throws {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 4, 4, 2])
        let w = maker.constant(
            "w", [2, 1, 1, 2], [Float](repeating: 0.5, count: 4), type: TFLiteMaker.float32)
        let (a, b, c) = (
            maker.tensor("a", [1, 4, 4, 2]), maker.tensor("b", [1, 4, 4, 2]), maker.tensor("c", [1, 4, 4, 2])
        )
        let options: [Int: Flat] = [1: .int32(1), 2: .int32(1)]
        maker.operation(3, [x, w], [a], options: options)
        maker.operation(0, [a, x], [b])
        maker.operation(3, [b, w], [c], options: options)
        (maker.inputs, maker.outputs) = ([x], [c])
        let turns = try maker.model().graph.nodes.count {
            if case .transpose = $0.operation { true } else { false }
        }
        #expect(turns == 2)
    }

    @Test func everyUnsupportedOperatorIsListed() throws {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [2])
        let (a, b, c) = (maker.tensor("a", [2]), maker.tensor("b", [2]), maker.tensor("c", [2]))
        maker.operation(118, [x], [a])
        maker.operation(19, [a], [b])
        maker.operation(27, [x], [c])
        (maker.inputs, maker.outputs) = ([x], [b])
        let error = #expect(throws: ImportError.self) { try maker.model() }
        let text = "\(try #require(error))"
        #expect(text.hasPrefix("2 nodes") && text.contains("a (IF)") && text.contains("c (SVDF)"))
    }

    @Test func framesReachIntegersAsTheyAre() throws {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 4, 4, 3], type: TFLiteMaker.int8, scales: [1 / 255], zeros: [-128])
        let y = maker.tensor("y", [1, 3], type: TFLiteMaker.int8, scales: [1 / 255], zeros: [-128])
        let axes = maker.constant("axes", [2], [Int32(1), 2], type: TFLiteMaker.int32)
        maker.operation(40, [x, axes], [y])
        (maker.inputs, maker.outputs) = ([x], [y])
        let model = try maker.model()
        #expect(model.preprocessing["x"]?.mean == [0, 0, 0] && model.preprocessing["x"]?.scale.first == 1 / 255)
        let frames = model.takingFrames()
        let input = frames.graph[frames.graph.inputs[0]]
        #expect(input.type == .float32 && input.shape == [1, 3, 4, 4] && input.name == "x")
        let pixels = (0..<48).map { Float($0) / 255 }
        let result = try run(frames, ["x": Tensor([1, 3, 4, 4], pixels)])
        // Means of 0...15, 16...31 and 32...47, to one step.
        for (value, mean) in zip(result.array(of: Float.self), [Float(7.5), 23.5, 39.5]) {
            #expect(abs(value * 255 - mean) <= 0.51)
        }
    }

    @Test func shapesOfInputsCanBeGiven() throws {
        let model = try convolution().model(shapes: ["x": [2, 1, 5, 1]])
        #expect(model.graph[model.graph.outputs[0]].shape == [2, 1, 5, 1])
        #expect(throws: ImportError.self) { try convolution().model(shapes: ["z": [1]]) }
    }

    @Test func detectionsAreDecodedAndSuppressed() throws {
        let model = try TFLiteMaker.detector().model()
        // The first box moves down by 0.1 * 0.5, the second is hidden by it, the third grows to twice its width.
        let codes: [Float] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5 * 0.693_147_2]
        let scores: [Float] = [0, 0.25, 0.75, 0, 0.5, 0.25, 0, 0.625, 0.5]
        let results = try ReferenceEvaluator(model.graph).run([
            "codes": Tensor([1, 3, 4], codes), "scores": Tensor([1, 3, 3], scores),
        ])
        let boxes = try #require(results["out0"]).array(of: Float.self)
        for (box, expected) in zip(boxes, [Float(0.05), 0, 0.55, 0.5, 0.5, 0.25, 1, 1.25, 0, 0, 0, 0]) {
            #expect(abs(box - expected) < 1e-6)
        }
        #expect(results["out1"]?.array(of: Float.self) == [1, 0, 0, 0])
        #expect(results["out2"]?.array(of: Float.self) == [0.75, 0.625, 0, 0])
        #expect(results["out3"]?.array(of: Float.self) == [2])
    }

    @Test func customOperatorsAreNamed() {
        var maker = TFLiteMaker()
        let (x, a, b) = (maker.tensor("x", [1]), maker.tensor("a", [1]), maker.tensor("b", [1]))
        maker.custom("edgetpu-custom-op", [x], [a])
        maker.custom("Something", [x], [b])
        (maker.inputs, maker.outputs) = ([x], [a, b])
        let text = #expect(throws: ImportError.self) { try maker.model() }.map { "\($0)" } ?? ""
        #expect(text.contains("a (edgetpu-custom-op)") && text.contains("import the file that the compiler was given"))
        #expect(text.contains("b (Something)"))
    }

    @Test func loopsOfKnownLengthAreWrittenOut() throws {
        let model = try TFLiteMaker.loop().model()
        // ((x * 2 + 10) * 2 + 20) * 2 + 30
        #expect(try run(model, ["x": Tensor([1], [Float(1)])]).array(of: Float.self) == [118])
        #expect(try TFLiteMaker.loop(limit: 0).model().graph.nodes.count <= 1)
        // The table has no more entries, and nothing ends at all.
        #expect(throws: (any Error).self) { try TFLiteMaker.loop(limit: .max).model() }
    }

    @Test func softmaxOfIntegersHasASteepness() throws {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 2], type: TFLiteMaker.int8, scales: [0.5], zeros: [0])
        let y = maker.tensor("y", [1, 2], type: TFLiteMaker.int8, scales: [1 / 256], zeros: [-128])
        maker.operation(25, [x], [y], options: [0: .int32(Int(Float(2).bitPattern))])
        (maker.inputs, maker.outputs) = ([x], [y])
        // 1 / (1 + exp(-2)) = 0.8808
        let result = try run(maker.model(), ["x": Tensor([1, 2], [Int8(2), 0])])
        #expect(result.array(of: Int8.self) == [97, -97])
    }

    @Test func integersAreNormalized() throws {
        var maker = TFLiteMaker()
        let x = maker.tensor("x", [1, 2], type: TFLiteMaker.int8, scales: [0.5], zeros: [1])
        let y = maker.tensor("y", [1, 2], type: TFLiteMaker.int8, scales: [1 / 128], zeros: [0])
        maker.operation(11, [x], [y])
        (maker.inputs, maker.outputs) = ([x], [y])
        // (3, -4) in steps: 0.6 and -0.8
        let result = try run(maker.model(), ["x": Tensor([1, 2], [Int8(4), -3])])
        #expect(result.array(of: Int8.self) == [77, -102])
    }

    // MARK: Hostile files

    @Test func truncatedAndAlteredFilesNeverCrash() {
        for data in [
            convolution().data, TFLiteMaker.integerFullyConnected().data, TFLiteMaker.detector().data,
        ] {
            for index in data.indices {
                _ = try? TFLiteFile(data.prefix(index), name: "cut").model()
                for bits: UInt8 in [0x01, 0x80, 0xff] {
                    var altered = data
                    altered[index] ^= bits
                    _ = try? TFLiteFile(altered, name: "altered").model()
                }
            }
        }
    }

    @Test func contentsThatAreReadAgainAndAgainAreRefused() {
        // Outputs that are constants of their own which share one buffer: 64 KiB that would become 128 MiB.
        var file = TFLiteMaker()
        let first = file.constant("0", [1 << 16], [UInt8](repeating: 0, count: 1 << 16), type: 3)
        file.outputs = [first] + (1..<2000).map { file.tensor("\($0)", [1 << 16], type: 3, buffer: 1) }
        let error = #expect(throws: ImportError.self) { try file.model() }
        #expect("\(error.map { "\($0)" } ?? "")".contains("too often"))
    }

    @Test func tensorsThatNeedThemselvesAreRefused() {
        var maker = TFLiteMaker()
        let (x, a, b) = (maker.tensor("x", [1]), maker.tensor("a", [1]), maker.tensor("b", [1]))
        maker.operation(0, [x, b], [a])
        maker.operation(19, [a], [b])
        (maker.inputs, maker.outputs) = ([x], [b])
        #expect(throws: ImportError.self) { try maker.model() }
    }
}
