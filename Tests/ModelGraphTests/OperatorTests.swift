// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors
import Testing

@Suite struct OperatorTests {
    private func shapes(_ operation: Operator, _ inputs: [Shape]) throws -> [Shape] {
        try operation.outputTypes(inputs.map { TensorType(.float32, $0) }).map(\.shape)
    }

    @Test func convolutionsGiveTheExpectedExtents() throws {
        let plain = Operator.convolution(Convolution(kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1]))
        #expect(try shapes(plain, [[1, 3, 224, 225], [8, 3, 3, 3]]) == [[1, 8, 112, 113]])
        let depthwise = Operator.convolution(Convolution(kernel: [5], dilations: [2], groups: 4))
        #expect(try shapes(depthwise, [[2, 4, 20], [4, 1, 5]]) == [[2, 4, 12]])
    }

    @Test func aPoolThatRoundsUpNeverStartsBeyondTheInput() throws {
        let pool = Operator.maxPool(Pool(kernel: [2, 2], strides: [2, 2], pads: [0, 0, 1, 1], roundsUp: true))
        #expect(try shapes(pool, [[1, 1, 5, 4]])[0] == [1, 1, 3, 2])
    }

    @Test func operandsBroadcast() throws {
        #expect(try shapes(.binary(.add), [[2, 1, 3], [4, 1]]) == [[2, 4, 3]])
        #expect(throws: GraphError.self) { try shapes(.binary(.add), [[2, 3], [4]]) }
    }

    @Test(arguments: [
        Operator.convolution(Convolution(kernel: [3, 3], strides: [0, 1])),
        .convolution(Convolution(kernel: [3, 3], dilations: [.max, .max])),
        .convolution(Convolution(kernel: [3, 3], pads: [.max, 0, 0, 0])),
        .convolution(Convolution(kernel: [3, 3], groups: 0)),
        .convolution(Convolution(kernel: [3])),
    ])
    func impossibleConvolutionsAreRefused(operation: Operator) {
        #expect(throws: GraphError.self) { try shapes(operation, [[1, 2, 8, 8], [2, 2, 3, 3]]) }
    }

    @Test(arguments: [
        Operator.reshape([.max, 2]), .reshape([3]), .tile(repeats: [1 << 31, 1 << 31]),
        .transpose(permutation: [0, 0]),
        .slice(Slice(starts: [0, 1], steps: [1, .max], sizes: [2, 3])), .split(axis: 1, sizes: [.max, 1]),
        .pad(Pad(mode: .constant, pads: [.max, 0, 0, 0])), .softmax(axis: 2), .concat(axis: -1),
        .resize(Resize(mode: .linear, coordinates: .halfPixel, scales: [1, .nan], sizes: [2, 2])),
    ])
    func impossibleMovementsAreRefused(operation: Operator) {
        #expect(throws: GraphError.self) { try shapes(operation, [[2, 2]]) }
    }

    @Test func indicesOutsideAreAnError() {
        let x = Tensor([3], [Float(1), 2, 3])
        #expect(throws: GraphError.indexOutOfRange(operation: "gather", index: 3, extent: 3)) {
            try ReferenceEvaluator.evaluate(.gather(axis: 0), [x, Tensor([1], [Int64(3)])])
        }
    }

    @Test func integersDivideByZeroWithoutStopping() throws {
        let result = try ReferenceEvaluator.evaluate(
            .binary(.divide), [Tensor([2], [Int32(7), .min]), Tensor([2], [Int32(0), -1])])
        #expect(result[0].count == 2)
    }

    @Test func quantizationRoundsHalvesToEvenAndSaturates() {
        let parameters = QuantizationParameters(scale: 2, zeroPoint: 10)
        let stored = ReferenceEvaluator.quantize(
            Tensor([6], [Float(1), 3, -100, 1000, .infinity, .nan]), parameters, to: .uint8)
        #expect(stored.array(of: UInt8.self) == [10, 12, 0, 255, 255, 0])
        #expect(ReferenceEvaluator.dequantize(stored, parameters).array(of: Float.self)[1] == 4)
    }

    /// (x [1, 1] + h · r) through tanh, two steps by hand.
    @Test func recurrenceCarriesItsState() throws {
        let layer = Recurrent(cell: .rnn, direction: .forward, hiddenSize: 1, functions: [.affine(alpha: 1, beta: 0)])
        let y = try ReferenceEvaluator.evaluate(
            .recurrent(layer),
            [Tensor([2, 1, 1], [Float(1), 2]), Tensor([1, 1, 1], [Float(3)]), Tensor([1, 1, 1], [Float(10)])])
        #expect(y[0].array(of: Float.self) == [3, 36] && y[1].array(of: Float.self) == [36])
    }

    @Test func cyclesAndDoubleDefinitionsAreInvalid() {
        var graph = Graph()
        let x = graph.addValue(Value(name: "x", type: .float32, shape: [2]))
        let y = graph.addValue(Value(name: "y", type: .float32, shape: [2]))
        graph.inputs = [x]
        graph.outputs = [y]
        graph.nodes = [Node("a", .unary(.relu), inputs: [y], outputs: [y])]
        #expect(throws: GraphError.self) { try graph.validate() }
        graph.nodes = [0, 1].map { Node("\($0)", .unary(.relu), inputs: [x], outputs: [y]) }
        #expect(throws: GraphError.self) { try graph.validate() }
    }
}
