// SPDX-License-Identifier: Apache-2.0

import CKernels
import ModelGraph
import Tensors
import Testing

@testable import Inference
@testable import ModelCompression

/// Channel shuffles as networks write them become one operator, which gives the same.
struct ChannelViewsTests {
    private static func count(_ graph: Graph, _ isCounted: (Operator) -> Bool) -> Int {
        graph.nodes.count { isCounted($0.operation) }
    }

    private static func isSelection(_ operation: Operator) -> Bool {
        if case .selectChannels = operation { true } else { false }
    }

    private static func isMovement(_ operation: Operator) -> Bool {
        switch operation {
        case .reshape, .transpose, .gather, .split: true
        default: false
        }
    }

    /// x [2, 12, 5, 3] -> two halves, in a form by name.
    private static func shuffled(_ form: String) throws -> Graph {
        var builder = GraphBuilder()
        var count = 0
        let x = try builder.addInput("x", .float32, [2, 12, 5, 3])
        func add(_ operation: Operator, _ inputs: ValueID..., outputs: Int = 1) throws -> [ValueID] {
            count += 1
            let names = (0..<outputs).map { "y\(count) \($0)" }
            return try builder.add("move", operation, inputs, outputs: names).map { try #require($0) }
        }
        func index(_ value: Int64) -> ValueID { builder.addConstant("i", Tensor([], [value])) }
        var halves: [ValueID]
        switch form {
        case "axis of groups":
            // ShuffleNet: groups and channels of a group change places, then the image is split.
            let groups = try add(.reshape([2, 2, 6, 5, 3]), x)[0]
            let turned = try add(.transpose(permutation: [0, 2, 1, 3, 4]), groups)[0]
            halves = try add(.split(axis: 1, sizes: [6, 6]), add(.reshape([2, 12, 5, 3]), turned)[0], outputs: 2)
        case "pixels in one axis":
            // Images and pairs of channels in one axis, and pixels in another one; halves are picked by their index.
            let pairs = try add(.reshape([12, 2, 15]), x)[0]
            let turned = try add(.transpose(permutation: [1, 0, 2]), pairs)[0]
            let parts = try add(.reshape([2, 2, 6, 5, 3]), turned)[0]
            halves = try add(.gather(axis: 0), parts, index(0)) + add(.gather(axis: 0), parts, index(-1))
        case "list of channels":
            let channels = builder.addConstant("i", Tensor([6], [11, 0, -3, 3, 3, 7] as [Int64]))
            halves = try add(.gather(axis: 1), x, channels)
        default:
            let slice = Slice(starts: [0, 1, 0, 0], steps: [1, 2, 1, 1], sizes: [2, 6, 5, 3])
            halves = try add(.slice(slice), x)
        }
        halves = try halves.flatMap { try add(.unary(.negate), $0) }
        return try builder.finish(outputs: halves)
    }

    @Test(arguments: [
        ("axis of groups", 2), ("pixels in one axis", 2), ("list of channels", 1), ("every second channel", 1),
    ])
    func aShuffleIsASelection(_ form: String, selections: Int) throws {
        let graph = try Self.shuffled(form)
        let selected = ChannelViews.selected(graph)
        #expect(Self.count(selected, Self.isSelection) == selections)
        #expect(Self.count(selected, Self.isMovement) == 0)
        let input = Tensor([2, 12, 5, 3], (0..<360).map { Float($0) })
        let expected = try ReferenceEvaluator(graph).run(["x": input])
        let actual = try ReferenceEvaluator(selected).run(["x": input])
        let computed = try GraphRunner(graph).runOutputs(["x": input])
        for (old, new) in zip(graph.outputs, selected.outputs) {
            let numbers = try #require(expected[graph[old].name]).array(of: Float.self)
            #expect(try #require(actual[selected[new].name]).array(of: Float.self) == numbers)
            #expect(try #require(computed[graph[old].name]).array(of: Float.self) == numbers)
        }
    }

    /// Movements that leave the channels where they are, or mix them with pixels, stay what they are.
    @Test func otherMovementsStay() throws {
        for (first, permutation, second) in [
            ([2, 12, 15], [0, 1, 2], [2, 12, 5, 3]), ([2, 12, 15], [0, 2, 1], [2, 15, 3, 4]),
            ([2, 2, 6, 15], [0, 2, 3, 1], [2, 12, 5, 3]), ([24, 15], [1, 0], [2, 12, 5, 3]),
            ([2, 3, 4, 15], [1, 0, 2, 3], [2, 12, 5, 3]),
        ] {
            var builder = GraphBuilder()
            var x = try builder.addInput("x", .float32, [2, 12, 5, 3])
            for operation in [
                Operator.reshape(Shape(first)), .transpose(permutation: permutation), .reshape(Shape(second)),
            ] {
                x = try #require(builder.add("move", operation, [x], outputs: ["y"])[0])
            }
            let graph = try builder.finish(outputs: [x])
            #expect(Self.count(ChannelViews.selected(graph), Self.isSelection) == 0, "\(first) \(permutation)")
        }
    }

    /// An index outside of its axis is an error of whoever computes it, and no place in memory.
    @Test(arguments: [-3, 2, Int64.min, Int64.max])
    func indicesOutsideOfTheAxisAreNoSelection(_ index: Int64) throws {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [1, 8, 3, 3])
        var y = try #require(builder.add("move", .reshape([4, 2, 9]), [x], outputs: ["a"])[0])
        y = try #require(builder.add("move", .transpose(permutation: [1, 0, 2]), [y], outputs: ["b"])[0])
        y = try #require(builder.add("move", .reshape([2, 1, 4, 3, 3]), [y], outputs: ["c"])[0])
        let place = builder.addConstant("i", Tensor([], [index]))
        y = try #require(builder.add("move", .gather(axis: 0), [y, place], outputs: ["d"])[0])
        let graph = try builder.finish(outputs: [y])
        #expect(Self.count(ChannelViews.selected(graph), Self.isSelection) == 0)
    }

    @Test func nothingIsNoImage() throws {
        var builder = GraphBuilder()
        let x = try builder.addInput("x", .float32, [0, 3, 4])
        var y = try #require(builder.add("move", .reshape([3, 4, 0]), [x], outputs: ["y"])[0])
        y = try #require(builder.add("move", .transpose(permutation: [1, 0, 2]), [y], outputs: ["z"])[0])
        let graph = try builder.finish(outputs: [y])
        #expect(ChannelViews.selected(graph).nodes == graph.nodes)
    }

    @Test func elementsOfEverySizeAreSelected() {
        for channels in [
            Array(stride(from: 1, to: 50, by: 2)), Array(stride(from: 0, to: 8, by: 2)), [7, 20, 8, 21, 9, 22, 10, 23],
            (0..<44).map { $0 % 2 * 22 + $0 / 2 }, [3, 0, 49, 1], [5], [1, 3, 5], [0, 9, 1],
        ] {
            func check<Element: FixedWidthInteger>(_ type: Element.Type) {
                let (pitch, pixels) = (53, 3)
                let source = (0..<(pitch * pixels + 64)).map { Element(truncatingIfNeeded: $0 &* 7919) }
                let size = MemoryLayout<Element>.size
                var target = [Element](repeating: 99, count: (channels.count + 2) * pixels)
                select_channels(
                    &target, (channels.count + 2) * size, source, pitch * size, size, channels.map(Int32.init),
                    channels.count, pixels)
                let expected: [Element] = (0..<pixels).flatMap { pixel in
                    channels.map { source[pixel * pitch + $0] } + [99, 99]
                }
                #expect(target == expected, "\(type) \(channels)")
            }
            check(UInt8.self)
            check(Int16.self)
            check(Int32.self)
            check(Int64.self)
        }
    }
}
