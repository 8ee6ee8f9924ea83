// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors
import Testing

@Suite struct InterpretationGuessTests {
    /// A network from an image to outputs of the given shapes, each behind its own function.
    private func model(_ image: Shape, _ outputs: [(String, Shape, Unary)]) throws -> Model {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, image)
        let mean = try builder.add(
            "mean", .reduce(Reduce(.mean, axes: [0, 1, 2, 3], keepsAxes: false)), [x], outputs: ["mean"])[0]
        var ids: [ValueID] = []
        for (name, shape, function) in outputs {
            let wide = try builder.add("wide", .expand(shape), [mean], outputs: ["wide"])[0]
            ids += try builder.add(name, .unary(function), [wide], outputs: [name]).compactMap { $0 }
        }
        var model = Model(name: "m", graph: try builder.finish(outputs: ids))
        InterpretationGuess.complete(&model)
        return model
    }

    @Test func aGridIsKnownByItsCells() throws {
        let found = try model([1, 3, 64, 96], [("out", [1, 8 * 12 + 4 * 6 + 2 * 3, 85], .sigmoid)])
        #expect(found.interpretation == .grid(.init(output: "out", strides: [8, 16, 32], scoresAreLogits: false)))
        #expect(found.preprocessing["x"]?.fit == .letterboxTopLeft && found.preprocessing["x"]?.padding == 114)
    }

    @Test func boxesAndScoresAreKnownByTheirShapes() throws {
        let found = try model([1, 3, 64, 96], [("a", [1, 50, 2], .tanh), ("b", [1, 50, 4], .tanh)])
        guard case .boxesAndScores(let head) = found.interpretation else {
            Issue.record("not recognised")
            return
        }
        #expect(head.boxes == "b" && head.scores == "a" && head.backgroundClass == 0 && head.scoresAreLogits)
    }

    @Test func headsPerStrideAreKnownByTheirNames() throws {
        let found = try model(
            [1, 3, 64, 64],
            [8, 16, 32].flatMap { stride -> [(String, Shape, Unary)] in
                let cells = (64 / stride) * (64 / stride)
                return [
                    ("cls_\(stride)", [1, cells, 1], Unary.sigmoid), ("obj_\(stride)", [1, cells, 1], .sigmoid),
                    ("bbox_\(stride)", [1, cells, 4], .tanh),
                ]
            })
        guard case .anchorFree(let head) = found.interpretation else {
            Issue.record("not recognised")
            return
        }
        #expect(head.levels.map { $0.stride } == [8, 16, 32] && !head.scoresAreLogits)
    }

    @Test func aMapOfCellsIsKnownByItsParts() throws {
        func found(_ functions: [Unary?], channels: [Int]) throws -> Model {
            var builder = GraphBuilder()
            let x = try builder.addInput("x", .float32, [1, 3, 64, 96])
            let mean = try builder.add(
                "mean", .reduce(Reduce(.mean, axes: [0, 1, 2, 3], keepsAxes: false)), [x], outputs: ["mean"])[0]
            let parts = try zip(functions, channels).map { function, channels in
                let wide = try builder.add("wide", .expand([1, channels, 4, 6]), [mean], outputs: ["wide"])[0]
                let operation = function.map { Operator.unary($0) } ?? .softmax(axis: 1)
                return try builder.add("part", operation, [wide], outputs: ["part"])[0]
            }
            let y = try #require(builder.add("y", .concat(axis: 1), parts, outputs: ["y"])[0])
            var model = Model(name: "m", graph: try builder.finish(outputs: [y]))
            InterpretationGuess.complete(&model)
            return model
        }
        let model = try found([.sigmoid, .negate, nil], channels: [1, 4, 7])
        #expect(model.interpretation == .cellMap(.init(output: "y")))
        let frames = try #require(model.preprocessing["x"])
        #expect(frames.channelOrder == .bgr && frames.fit == .stretch && frames.scale == [1 / 255, 1 / 255, 1 / 255])
        #expect(try found([.negate, .negate, nil], channels: [1, 4, 7]).interpretation == nil)
        #expect(try found([.sigmoid, .negate, nil], channels: [1, 5, 7]).interpretation == nil)
    }

    @Test func aRowOfClassesIsAClassification() throws {
        let found = try model([1, 1, 28, 28], [("y", [1, 10], .tanh)])
        #expect(found.interpretation == .classification(.init(output: "y", scoresAreLogits: true)))
        #expect(found.preprocessing["x"]?.channelOrder == .gray)
    }

    @Test func anythingElseStaysOpen() throws {
        #expect(try model([1, 3, 64, 64], [("y", [1, 7, 9], .tanh)]).interpretation == nil)
    }
}
