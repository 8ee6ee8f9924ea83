// SPDX-License-Identifier: Apache-2.0
import Tensors

/// What a node computes. Semantics are those of the ONNX operator of the same name unless said otherwise.
///
/// Attributes are resolved: no axis is negative, no padding is left to be derived, and what ONNX passes as an input but
/// shapes depend on (the bounds of a slice, the target of a reshape) is an attribute here. `Flatten`, `Squeeze` and
/// `Unsqueeze` are `reshape`; `Shape`, `Constant`, `ConstantOfShape` and `Range` are constants; `Identity` and `Dropout` are gone.
package enum Operator: Hashable, Sendable, Encodable {
    // MARK: Layers

    /// (x [N, C, ...], weight [K, C/groups, ...], bias? [K], residual? like the output) -> [N, K, ...]
    case convolution(Convolution)
    /// (x [N, C, ...], weight [C, K/groups, ...], bias? [K]) -> [N, K, ...]
    case transposedConvolution(TransposedConvolution)
    /// (a, b, c?) -> alpha * a * b + beta * c, c broadcast to [M, N]
    case gemm(Gemm)
    /// (a, b), broadcast over the leading axes as NumPy's matmul
    case matMul
    /// (x [N, C, ...]) -> [N, C, ...], and the indices as int64 if there is a second output
    case maxPool(Pool)
    case averagePool(Pool)
    /// (x [N, C, ...]) -> [N, C, 1, ...]
    case globalPool(GlobalPool)
    /// (x [N, C, ...], scale [C], bias [C], mean [C], variance [C])
    case batchNormalization(epsilon: Float)
    /// (x [N, C, ...], scale [C], bias [C]), statistics per N and C
    case instanceNormalization(epsilon: Float)
    /// (x, scale, bias?), statistics over `axis` and all after it; mean and inverse deviation as second and third output
    case layerNormalization(axis: Int, epsilon: Float)
    /// (x [N, C, ...], scale [C], bias [C]), statistics per N and group of channels
    case groupNormalization(groups: Int, epsilon: Float)
    /// (x [N, C, ...])
    case localResponseNormalization(LocalResponseNormalization)
    /// (x)
    case softmax(axis: Int)
    case logSoftmax(axis: Int)
    /// (x [T, N, C], weights [D, gates*H, C], recurrence [D, gates*H, H], bias? [D, 2*gates*H], lengths? [N],
    /// initial h? [D, N, H], and for LSTM: initial c? [D, N, H], peepholes? [D, 3*H])
    /// -> (y [T, D, N, H], last h [D, N, H], and for LSTM: last c [D, N, H]); N before T if `batchFirst`
    case recurrent(Recurrent)

    // MARK: Element by element

    /// (x)
    case unary(Unary)
    /// (a, b), broadcast; comparisons give bool
    case binary(Binary, activation: Activation = .none)
    /// (condition, a, b), broadcast
    case select
    /// (x) -> other element type; float to integer truncates, anything to bool is "not zero"
    case cast(to: ElementType)

    // MARK: Reductions and searches

    /// (x)
    case reduce(Reduce)
    /// (x) -> int64 indices
    case argReduce(ArgReduce)
    /// (x) -> (values, int64 indices)
    case topK(TopK)
    /// (x)
    case cumulativeSum(CumulativeSum)
    /// (boxes [N, B, 4], scores [N, C, B]) -> int64 [selected, 3]. Its shape depends on the data, so it can only be folded.
    case nonMaxSuppression(NonMaxSuppression)
    /// (codes of boxes [1, B, 4 or more], scores [1, B, classes], anchors y, x, height, width [B, 4]) -> boxes top, left,
    /// bottom, right [1, M, 4], classes [1, M], scores [1, M] and the number of boxes [1], all in float; the rest is zero
    case detectionPostProcess(DetectionPostProcess)
    /// (x) -> int64 [rank, count]. Its shape depends on the data, so it can only be folded.
    case nonZero

    // MARK: Movement

    /// (x...)
    case concat(axis: Int)
    /// (x) -> one output per size
    case split(axis: Int, sizes: [Int])
    /// (x)
    case slice(Slice)
    /// (x [N, C, ...]) -> the channels of these indices, in their order: a channel shuffle (Zhang et al., 2018, arXiv:1707.01083)
    /// or a part of one
    case selectChannels([Int])
    /// (x, indices int32 or int64); negative indices count from the end
    case gather(axis: Int)
    case gatherElements(axis: Int)
    case gatherND(batchAxes: Int)
    /// (x, indices, updates)
    case scatterElements(axis: Int, reduction: ScatterReduction)
    case scatterND(reduction: ScatterReduction)
    /// (x) -> the same elements under another shape
    case reshape(Shape)
    /// (x) -> axis i of the output is axis `permutation[i]` of the input
    case transpose(permutation: [Int])
    /// (x), broadcast to the shape
    case expand(Shape)
    /// (x)
    case tile(repeats: [Int])
    /// (x, constant value?)
    case pad(Pad)
    /// (x)
    case resize(Resize)
    /// (x [N, C, H, W])
    case depthToSpace(blockSize: Int, order: DepthToSpaceOrder)
    case spaceToDepth(blockSize: Int, order: DepthToSpaceOrder)
    /// (indices, values [off, on]) -> one axis more
    case oneHot(axis: Int, depth: Int)
    /// (x): upper or lower triangle of the last two axes, relative to diagonal k
    case triangle(upper: Bool, diagonal: Int)

    // MARK: Quantization

    /// (x float32) -> quantized: stored = saturate(roundHalfEven(x / scale) + zeroPoint), by the parameters of the output value
    case quantizeLinear
    /// (x quantized) -> float32: (stored - zeroPoint) * scale, by the parameters of the input value
    case dequantizeLinear
    /// (x) -> the same stored elements read under the output value's parameters, or as plain integers if it has none
    case reinterpret
    /// (x float32) -> (uint8, scale float32 scalar, zero point uint8 scalar); plain numbers, chosen while it runs
    case dynamicQuantizeLinear
    /// (x, weight, x zero point?, weight zero point?) of plain 8-bit integers -> int32
    case convolutionInteger(Convolution)
    /// (a, b, a zero point?, b zero point?) of plain 8-bit integers -> int32
    case matMulInteger
}

// MARK: - Attributes

/// A function that follows a layer in the same node.
package enum Activation: Hashable, Sendable, Encodable {
    case none
    case relu
    /// min(max(x, 0), 6)
    case relu6
    case leakyRelu(slope: Float)
    case clip(low: Float, high: Float)
    case sigmoid
    /// x * sigmoid(x)
    case silu
    /// max(0, min(1, slope * x + offset))
    case hardSigmoid(slope: Float, offset: Float)
    /// x * max(0, min(1, x / 6 + 0.5))
    case hardSwish
    case tanh

    /// Whether the function leaves numbers as they are between two bounds.
    package var isBound: Bool {
        switch self {
        case .none, .relu, .relu6, .clip: true
        case .leakyRelu, .sigmoid, .silu, .hardSigmoid, .hardSwish, .tanh: false
        }
    }
}

package struct Convolution: Hashable, Sendable, Encodable {
    /// Where the residual input is added.
    package enum Residual: String, Sendable, Encodable { case beforeActivation, afterActivation }

    /// Extents of the window, one per spatial axis; those of the weight.
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    /// Begin of each spatial axis, then end of each. Not negative. Padding stands for the real number zero.
    package var pads: [Int]
    package var groups: Int
    package var activation: Activation
    /// Set exactly when the node has the fourth input.
    package var residual: Residual?

    package init(
        kernel: [Int], strides: [Int]? = nil, dilations: [Int]? = nil, pads: [Int]? = nil, groups: Int = 1,
        activation: Activation = .none, residual: Residual? = nil
    ) {
        self.kernel = kernel
        self.strides = strides ?? kernel.map { _ in 1 }
        self.dilations = dilations ?? kernel.map { _ in 1 }
        self.pads = pads ?? (kernel + kernel).map { _ in 0 }
        self.groups = groups
        self.activation = activation
        self.residual = residual
    }
}

package struct TransposedConvolution: Hashable, Sendable, Encodable {
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    /// What is cut from the output: begin of each spatial axis, then end of each. May be negative.
    package var pads: [Int]
    package var outputPadding: [Int]
    package var groups: Int

    package init(
        kernel: [Int], strides: [Int], dilations: [Int], pads: [Int], outputPadding: [Int], groups: Int
    ) {
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.pads = pads
        self.outputPadding = outputPadding
        self.groups = groups
    }
}

package struct Gemm: Hashable, Sendable, Encodable {
    package var transposesA: Bool
    package var transposesB: Bool
    package var alpha: Float
    package var beta: Float
    package var activation: Activation

    package init(
        transposesA: Bool = false, transposesB: Bool = false, alpha: Float = 1, beta: Float = 1,
        activation: Activation = .none
    ) {
        self.transposesA = transposesA
        self.transposesB = transposesB
        self.alpha = alpha
        self.beta = beta
        self.activation = activation
    }
}

package struct Pool: Hashable, Sendable, Encodable {
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    /// Begin of each spatial axis, then end of each.
    package var pads: [Int]
    /// Whether a last window that reaches over the end counts (ONNX `ceil_mode`); it never starts beyond the input.
    package var roundsUp: Bool
    /// Average pool: whether padding counts in the divisor.
    package var countsPadding: Bool
    /// Max pool with indices: whether they are column-major.
    package var columnMajorIndices: Bool
    /// Average pool that means floats (`Node.meansFloats`): whether a window is added up row by row, as ONNX Runtime does it from
    /// operator set 19 on.
    package var addsRows: Bool

    package init(
        kernel: [Int], strides: [Int]? = nil, dilations: [Int]? = nil, pads: [Int]? = nil, roundsUp: Bool = false,
        countsPadding: Bool = false, columnMajorIndices: Bool = false, addsRows: Bool = false
    ) {
        self.kernel = kernel
        self.strides = strides ?? kernel.map { _ in 1 }
        self.dilations = dilations ?? kernel.map { _ in 1 }
        self.pads = pads ?? (kernel + kernel).map { _ in 0 }
        self.roundsUp = roundsUp
        self.countsPadding = countsPadding
        self.columnMajorIndices = columnMajorIndices
        self.addsRows = addsRows
    }
}

package enum GlobalPool: String, Sendable, Encodable { case average, maximum }

package struct LocalResponseNormalization: Hashable, Sendable, Encodable {
    package var size: Int
    package var alpha: Float
    package var beta: Float
    package var bias: Float

    package init(size: Int, alpha: Float, beta: Float, bias: Float) {
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.bias = bias
    }
}

package struct Recurrent: Hashable, Sendable, Encodable {
    package enum Cell: String, Sendable, Encodable {
        /// Gates in the order input, output, forget, cell.
        case lstm
        /// Gates in the order update, reset, hidden.
        case gru
        /// One gate.
        case rnn

        package var gates: Int {
            switch self {
            case .lstm: 4
            case .gru: 3
            case .rnn: 1
            }
        }
    }

    package enum Direction: String, Sendable, Encodable { case forward, reverse, bidirectional }

    package enum Function: Hashable, Sendable, Encodable {
        case relu, tanh, sigmoid, softsign, softplus
        case affine(alpha: Float, beta: Float)
        case leakyRelu(alpha: Float)
        case thresholdedRelu(alpha: Float)
        case scaledTanh(alpha: Float, beta: Float)
        case hardSigmoid(alpha: Float, beta: Float)
        case elu(alpha: Float)
    }

    package var cell: Cell
    package var direction: Direction
    package var hiddenSize: Int
    /// Per direction: LSTM f, g, h (gates, cell, hidden); GRU f, g (gates, hidden); RNN f.
    package var functions: [Function]
    /// What gate inputs are limited to, in both directions.
    package var clip: Float?
    /// GRU: the reset gate acts after the recurrent product (as in cuDNN and PyTorch) and not before.
    package var linearBeforeReset: Bool
    /// LSTM: forget = 1 - input.
    package var couplesInputAndForget: Bool
    package var batchFirst: Bool
    /// What products of the recurrence read h as: rounded to uint8. Nil in a network of float32; otherwise the layer is
    /// computed as `IntegerRecurrence` says.
    package var state: QuantizationParameters?

    package init(
        cell: Cell, direction: Direction, hiddenSize: Int, functions: [Function], clip: Float? = nil,
        linearBeforeReset: Bool = false, couplesInputAndForget: Bool = false, batchFirst: Bool = false,
        state: QuantizationParameters? = nil
    ) {
        self.cell = cell
        self.direction = direction
        self.hiddenSize = hiddenSize
        self.functions = functions
        self.clip = clip
        self.linearBeforeReset = linearBeforeReset
        self.couplesInputAndForget = couplesInputAndForget
        self.batchFirst = batchFirst
        self.state = state
    }

    package var directions: Int { direction == .bidirectional ? 2 : 1 }
}

package enum Unary: Hashable, Sendable, Encodable {
    // Activations
    case relu, sigmoid, silu, hardSwish, mish, tanh, softplus, softsign
    case leakyRelu(slope: Float)
    case hardSigmoid(slope: Float, offset: Float)
    case elu(alpha: Float)
    case selu(alpha: Float, gamma: Float)
    case celu(alpha: Float)
    case thresholdedRelu(alpha: Float)
    /// x * (1 + erf(x / sqrt 2)) / 2, or its form with tanh
    case gelu(approximatesWithTanh: Bool)
    case clip(low: Float, high: Float)
    // Arithmetic
    case negate, abs, sign, reciprocal, sqrt, exp, log, erf
    /// Halves go to the even neighbour.
    case round
    case floor, ceil
    case sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh
    // Logic
    case not, isNaN
    case isInfinite(positive: Bool, negative: Bool)
}

package enum Binary: String, Hashable, Sendable, Encodable {
    case add, subtract, multiply, divide, power, minimum, maximum
    /// a if a >= 0, else a * b; b broadcasts to a only
    case parametricRelu
    /// Integer remainder with the sign of the divisor
    case modulo
    /// Remainder with the sign of the dividend, as C's fmod
    case remainder
    case equal, less, lessOrEqual, greater, greaterOrEqual
    case and, or, xor

    package var isComparison: Bool {
        switch self {
        case .equal, .less, .lessOrEqual, .greater, .greaterOrEqual: true
        default: false
        }
    }

    package var isLogic: Bool { self == .and || self == .or || self == .xor }
}

package struct Reduce: Hashable, Sendable, Encodable {
    package enum Function: String, Sendable, Encodable {
        case sum, mean, maximum, minimum, product, l1, l2, sumOfSquares, logSum, logSumExp
    }

    package var function: Function
    /// Ascending. Empty: nothing is reduced.
    package var axes: [Int]
    package var keepsAxes: Bool

    package init(_ function: Function, axes: [Int], keepsAxes: Bool) {
        self.function = function
        self.axes = axes
        self.keepsAxes = keepsAxes
    }
}

package struct ArgReduce: Hashable, Sendable, Encodable {
    package var findsMaximum: Bool
    package var axis: Int
    package var keepsAxis: Bool
    /// Which of equal elements counts.
    package var selectsLast: Bool

    package init(findsMaximum: Bool, axis: Int, keepsAxis: Bool, selectsLast: Bool) {
        self.findsMaximum = findsMaximum
        self.axis = axis
        self.keepsAxis = keepsAxis
        self.selectsLast = selectsLast
    }
}

package struct TopK: Hashable, Sendable, Encodable {
    package var axis: Int
    package var count: Int
    package var largest: Bool

    package init(axis: Int, count: Int, largest: Bool) {
        self.axis = axis
        self.count = count
        self.largest = largest
    }
}

package struct CumulativeSum: Hashable, Sendable, Encodable {
    package var axis: Int
    package var exclusive: Bool
    package var reverse: Bool

    package init(axis: Int, exclusive: Bool, reverse: Bool) {
        self.axis = axis
        self.exclusive = exclusive
        self.reverse = reverse
    }
}

package struct NonMaxSuppression: Hashable, Sendable, Encodable {
    package var centreBoxes: Bool
    package var maximumPerClass: Int
    package var overlapThreshold: Float
    package var scoreThreshold: Float?

    package init(centreBoxes: Bool, maximumPerClass: Int, overlapThreshold: Float, scoreThreshold: Float?) {
        self.centreBoxes = centreBoxes
        self.maximumPerClass = maximumPerClass
        self.overlapThreshold = overlapThreshold
        self.scoreThreshold = scoreThreshold
    }
}

package struct Slice: Hashable, Sendable, Encodable {
    /// One entry per axis of the input: output index i reads input index `starts[axis] + i * steps[axis]`.
    package var starts: [Int]
    /// Not zero.
    package var steps: [Int]
    /// Extents of the output.
    package var sizes: [Int]

    package init(starts: [Int], steps: [Int], sizes: [Int]) {
        self.starts = starts
        self.steps = steps
        self.sizes = sizes
    }
}

package enum ScatterReduction: String, Sendable, Encodable { case none, add, multiply, minimum, maximum }

package struct Pad: Hashable, Sendable, Encodable {
    package enum Mode: String, Sendable, Encodable { case constant, reflect, edge, wrap }

    package var mode: Mode
    /// Begin of each axis, then end of each; a negative number crops.
    package var pads: [Int]

    package init(mode: Mode, pads: [Int]) {
        self.mode = mode
        self.pads = pads
    }
}

package struct Resize: Hashable, Sendable, Encodable {
    package enum Mode: String, Sendable, Encodable { case nearest, linear, cubic }

    /// How an output coordinate becomes an input coordinate (ONNX `coordinate_transformation_mode`).
    package enum Coordinates: String, Sendable, Encodable {
        case halfPixel = "half_pixel"
        case halfPixelSymmetric = "half_pixel_symmetric"
        case pytorchHalfPixel = "pytorch_half_pixel"
        case alignCorners = "align_corners"
        case asymmetric
        case cropAndResize = "tf_crop_and_resize"
    }

    package enum NearestRounding: String, Sendable, Encodable {
        case roundPreferFloor = "round_prefer_floor"
        case roundPreferCeil = "round_prefer_ceil"
        case floor
        case ceil
    }

    package var mode: Mode
    package var coordinates: Coordinates
    package var nearestRounding: NearestRounding
    /// One factor per axis of the input.
    package var scales: [Float]
    /// One extent per axis of the output.
    package var sizes: [Int]
    package var cubicCoefficient: Float
    package var excludesOutside: Bool
    package var antialiases: Bool
    /// Start of each axis, then end of each, in 0...1; with `cropAndResize` only.
    package var region: [Float]?
    package var extrapolationValue: Float

    package init(
        mode: Mode, coordinates: Coordinates, nearestRounding: NearestRounding = .floor, scales: [Float], sizes: [Int],
        cubicCoefficient: Float = -0.75, excludesOutside: Bool = false, antialiases: Bool = false,
        region: [Float]? = nil, extrapolationValue: Float = 0
    ) {
        self.mode = mode
        self.coordinates = coordinates
        self.nearestRounding = nearestRounding
        self.scales = scales
        self.sizes = sizes
        self.cubicCoefficient = cubicCoefficient
        self.excludesOutside = excludesOutside
        self.antialiases = antialiases
        self.region = region
        self.extrapolationValue = extrapolationValue
    }
}

package enum DepthToSpaceOrder: String, Sendable, Encodable {
    /// depth, column, row
    case dcr = "DCR"
    /// column, row, depth
    case crd = "CRD"
}
