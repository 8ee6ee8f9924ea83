// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import Testing

@testable import ModelGraph

@Suite struct ManifestTests {
    private static func item(_ text: String) throws -> ManifestItem { ManifestItem(try ManifestText(Array(text.utf8))) }

    // MARK: Operators

    private static let activations: [Activation] = [
        .none, .relu, .relu6, .leakyRelu(slope: 0.1), .clip(low: -.infinity, high: 6.5), .sigmoid, .silu,
        .hardSigmoid(slope: 0.2, offset: 0.5), .hardSwish, .tanh,
    ]

    private static let unary: [Unary] = [
        .relu, .sigmoid, .silu, .hardSwish, .mish, .tanh, .softplus, .softsign, .negate, .abs, .sign, .reciprocal,
        .sqrt, .exp, .log, .erf, .round, .floor, .ceil, .sin, .cos, .tan, .asin, .acos, .atan, .sinh, .cosh, .asinh,
        .acosh, .atanh, .not, .isNaN, .leakyRelu(slope: 0.3), .hardSigmoid(slope: 0.25, offset: 0.5),
        .elu(alpha: 1.5), .selu(alpha: 1.6, gamma: 1.05), .celu(alpha: 2), .thresholdedRelu(alpha: 0.7),
        .gelu(approximatesWithTanh: true), .clip(low: -1, high: .infinity),
        .isInfinite(positive: true, negative: false),
    ]

    private static let functions: [Recurrent.Function] = [
        .relu, .tanh, .sigmoid, .softsign, .softplus, .affine(alpha: 1, beta: 2), .leakyRelu(alpha: 0.1),
        .thresholdedRelu(alpha: 0.2), .scaledTanh(alpha: 0.3, beta: 0.4), .hardSigmoid(alpha: 0.5, beta: 0.6),
        .elu(alpha: 0.7),
    ]

    private static let layers: [Operator] = [
        .convolution(Convolution(kernel: [3, 3])),
        .convolution(
            Convolution(
                kernel: [3, 1], strides: [2, 1], dilations: [1, 2], pads: [1, 0, 1, 0], groups: 4, activation: .relu6,
                residual: .afterActivation)),
        .transposedConvolution(
            TransposedConvolution(
                kernel: [2, 2], strides: [2, 2], dilations: [1, 1], pads: [-1, 0, 0, 1], outputPadding: [0, 1],
                groups: 2)),
        .gemm(Gemm(transposesA: true, transposesB: true, alpha: 0.5, beta: 2, activation: .silu)), .matMul,
        .maxPool(Pool(kernel: [2, 3], strides: [1, 2], dilations: [2, 1], pads: [1, 0, 0, 1], roundsUp: true)),
        .averagePool(Pool(kernel: [4], countsPadding: true, columnMajorIndices: true, addsRows: true)),
        .globalPool(.average),
        .globalPool(.maximum), .batchNormalization(epsilon: 1e-5), .instanceNormalization(epsilon: 1e-6),
        .layerNormalization(axis: 2, epsilon: 1e-7), .groupNormalization(groups: 8, epsilon: 1e-3),
        .localResponseNormalization(LocalResponseNormalization(size: 5, alpha: 1e-4, beta: 0.75, bias: 1)),
        .softmax(axis: 1), .logSoftmax(axis: 3),
        .recurrent(
            Recurrent(
                cell: .lstm, direction: .bidirectional, hiddenSize: 7, functions: functions, clip: 3.5,
                linearBeforeReset: true, couplesInputAndForget: true, batchFirst: true,
                state: QuantizationParameters(scale: 0.0061544157, zeroPoint: 121))),
        .recurrent(Recurrent(cell: .gru, direction: .reverse, hiddenSize: 1, functions: [])),
        .convolutionInteger(Convolution(kernel: [5, 5])), .matMulInteger,
    ]

    private static let others: [Operator] = [
        .select, .cast(to: .int64), .reduce(Reduce(.logSumExp, axes: [0, 2], keepsAxes: true)),
        .argReduce(ArgReduce(findsMaximum: true, axis: 1, keepsAxis: false, selectsLast: true)),
        .topK(TopK(axis: 1, count: 5, largest: false)),
        .cumulativeSum(CumulativeSum(axis: 0, exclusive: true, reverse: false)),
        .nonMaxSuppression(
            NonMaxSuppression(centreBoxes: true, maximumPerClass: 9, overlapThreshold: 0.45, scoreThreshold: nil)),
        .nonMaxSuppression(
            NonMaxSuppression(centreBoxes: false, maximumPerClass: 1, overlapThreshold: 1, scoreThreshold: 0.3)),
        .nonZero, .concat(axis: 1), .split(axis: 2, sizes: [1, 2, 3]),
        .slice(Slice(starts: [0, 5], steps: [1, -2], sizes: [3, 2])), .gather(axis: 0), .gatherElements(axis: 1),
        .gatherND(batchAxes: 2), .scatterElements(axis: 1, reduction: .multiply), .scatterND(reduction: .maximum),
        .reshape([2, 0, 9_007_199_254_740_993]), .transpose(permutation: [0, 2, 3, 1]), .expand([]),
        .tile(repeats: [1, 2]), .pad(Pad(mode: .reflect, pads: [-1, 0, 1, 2])),
        .resize(
            Resize(
                mode: .cubic, coordinates: .cropAndResize, nearestRounding: .roundPreferCeil, scales: [1, 0.3333333],
                sizes: [1, 7], cubicCoefficient: -0.5, excludesOutside: true, antialiases: true, region: [0, 0.5],
                extrapolationValue: -3)),
        .resize(Resize(mode: .nearest, coordinates: .asymmetric, scales: [2], sizes: [2])),
        .depthToSpace(blockSize: 2, order: .dcr), .spaceToDepth(blockSize: 3, order: .crd), .oneHot(axis: 1, depth: 10),
        .triangle(upper: true, diagonal: -2), .quantizeLinear, .dequantizeLinear, .reinterpret,
        .dynamicQuantizeLinear,
    ]

    private static let operators =
        layers + others + activations.map { .binary(.add, activation: $0) } + unary.map { .unary($0) }
        + [
            Binary.subtract, .multiply, .divide, .power, .minimum, .maximum, .parametricRelu, .modulo, .remainder,
            .equal, .less, .lessOrEqual, .greater, .greaterOrEqual, .and, .or, .xor,
        ].map { .binary($0) }

    @Test func everyOperatorIsReadAsItIsWritten() throws {
        for (index, operation) in Self.operators.enumerated() {
            var model = Model(name: "test", graph: Graph())
            let kernel = KernelHint(laneProducts: 1 + index % 2, winograd: index % 3 == 0)
            let meansFloats = index % 4 == 1
            model.graph.nodes = [
                Node("node \(index)", operation, inputs: [], outputs: [], kernel: kernel, meansFloats: meansFloats)
            ]
            var data = DataSection()
            let text = try ModelManifest(model, into: &data).json()
            let node = try #require(try ModelManifest(json: Array(text)).nodes.first)
            #expect(node.op == operation && node.kernel == kernel && node.name == "node \(index)")
            #expect(node.floats ?? false == meansFloats)
        }
    }

    // MARK: Text

    @Test(arguments: [
        "", "   ", "{", "}", "[", "[1", "[1,", "[1,]", "[,1]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
        "\"",
        "\"a", "\"\\", "\"a\\\"", "tru", "nul", "falsehood", "1 2", "[1 2]", "{\"a\":1 \"b\":2}", "\"\u{1}\"", "'a'",
        String(repeating: "[", count: 100_000),
        String(repeating: "[", count: 70) + String(repeating: "]", count: 70),
    ])
    func whatIsNoJSONIsRefused(text: String) {
        #expect(throws: ModelFile.Fault.self) { try ManifestText(Array(text.utf8)) }
    }

    @Test(arguments: [
        ("12", 12), ("-12", -12), ("0", 0), ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min),
        ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1.5", nil), ("1e3", nil), ("-", nil),
        ("+1", nil), ("\"1\"", nil), ("true", nil), ("null", nil), ("[1]", nil),
    ])
    func wholeNumbersAreExact(text: String, expected: Int?) throws {
        let item = try Self.item(text)
        #expect((try? Int(item)) == expected)
    }

    @Test(arguments: ["0.1", "1e-45", "3.4028235e+38", "-0.0061544157", "16777217", "1", "7.006492e-45"])
    func realNumbersAreTheNearest(text: String) throws {
        #expect(try Float(Self.item(text)) == Float(text))
        #expect(try Double(Self.item(text)) == Double(text))
    }

    @Test(arguments: ["1e39", "--1", "1-1", ".", "\"infinity\"", "{}"])
    func whatIsNoRealNumberIsRefused(text: String) throws {
        let item = try Self.item(text)
        #expect(throws: ModelFile.Fault.self) { try Float(item) }
    }

    @Test(arguments: [
        ("\"\"", ""), ("\"a b\"", "a b"), ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{c}\n\r\t"),
        ("\"\\u00e4ß\\ud83d\\ude00\"", "äß😀"), ("\"x\\u0000y\"", "x\u{0}y"),
    ])
    func stringsAreTakenApart(text: String, expected: String) throws {
        #expect(try String(Self.item(text)) == expected)
    }

    @Test(arguments: ["\"\\q\"", "\"\\u12\"", "\"\\u12g4\""])
    func unknownEscapesAreRefused(text: String) throws {
        let item = try Self.item(text)
        #expect(throws: ModelFile.Fault.self) { try String(item) }
    }

    @Test func membersAreFoundByName() throws {
        let item = try Self.item(#" { "a" : [ 1 , { "b" : 2 } , [] ] , "b" : 3 , "c\n" : null , "d" : {"b":4} } "#)
        #expect(try item["b"] == 3)
        #expect(try item[optional: "c"] == Int?.none)
        #expect(try item[optional: "missing"] == Int?.none)
        #expect(try item.members().map(\.key) == ["a", "b", "c\n", "d"])
        #expect(throws: ModelFile.Fault.self) { let _: Int = try item["missing"] }
    }
}
