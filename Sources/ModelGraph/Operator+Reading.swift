// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Operators as `Encodable` writes them: an object with the name of the case, in it the associated values, `_0` if they have
/// no name.
extension Operator: ManifestReadable {
    init(_ item: ManifestItem) throws {
        let (name, values) = try item.choice()
        switch name {
        case "convolution": self = .convolution(try values["_0"])
        case "transposedConvolution": self = .transposedConvolution(try values["_0"])
        case "gemm": self = .gemm(try values["_0"])
        case "matMul": self = .matMul
        case "maxPool": self = .maxPool(try values["_0"])
        case "averagePool": self = .averagePool(try values["_0"])
        case "globalPool": self = .globalPool(try values["_0"])
        case "batchNormalization": self = .batchNormalization(epsilon: try values["epsilon"])
        case "instanceNormalization": self = .instanceNormalization(epsilon: try values["epsilon"])
        case "layerNormalization":
            self = .layerNormalization(axis: try values["axis"], epsilon: try values["epsilon"])
        case "groupNormalization":
            self = .groupNormalization(groups: try values["groups"], epsilon: try values["epsilon"])
        case "localResponseNormalization": self = .localResponseNormalization(try values["_0"])
        case "softmax": self = .softmax(axis: try values["axis"])
        case "logSoftmax": self = .logSoftmax(axis: try values["axis"])
        case "recurrent": self = .recurrent(try values["_0"])
        case "unary": self = .unary(try values["_0"])
        case "binary": self = .binary(try values["_0"], activation: try values["activation"])
        case "select": self = .select
        case "cast": self = .cast(to: try values["to"])
        case "reduce": self = .reduce(try values["_0"])
        case "argReduce": self = .argReduce(try values["_0"])
        case "topK": self = .topK(try values["_0"])
        case "cumulativeSum": self = .cumulativeSum(try values["_0"])
        case "nonMaxSuppression": self = .nonMaxSuppression(try values["_0"])
        case "detectionPostProcess": self = .detectionPostProcess(try values["_0"])
        case "nonZero": self = .nonZero
        case "concat": self = .concat(axis: try values["axis"])
        case "split": self = .split(axis: try values["axis"], sizes: try values["sizes"])
        case "slice": self = .slice(try values["_0"])
        case "selectChannels": self = .selectChannels(try values["_0"])
        case "gather": self = .gather(axis: try values["axis"])
        case "gatherElements": self = .gatherElements(axis: try values["axis"])
        case "gatherND": self = .gatherND(batchAxes: try values["batchAxes"])
        case "scatterElements":
            self = .scatterElements(axis: try values["axis"], reduction: try values["reduction"])
        case "scatterND": self = .scatterND(reduction: try values["reduction"])
        case "reshape": self = .reshape(try values["_0"])
        case "transpose": self = .transpose(permutation: try values["permutation"])
        case "expand": self = .expand(try values["_0"])
        case "tile": self = .tile(repeats: try values["repeats"])
        case "pad": self = .pad(try values["_0"])
        case "resize": self = .resize(try values["_0"])
        case "depthToSpace": self = .depthToSpace(blockSize: try values["blockSize"], order: try values["order"])
        case "spaceToDepth": self = .spaceToDepth(blockSize: try values["blockSize"], order: try values["order"])
        case "oneHot": self = .oneHot(axis: try values["axis"], depth: try values["depth"])
        case "triangle": self = .triangle(upper: try values["upper"], diagonal: try values["diagonal"])
        case "quantizeLinear": self = .quantizeLinear
        case "dequantizeLinear": self = .dequantizeLinear
        case "reinterpret": self = .reinterpret
        case "dynamicQuantizeLinear": self = .dynamicQuantizeLinear
        case "convolutionInteger": self = .convolutionInteger(try values["_0"])
        case "matMulInteger": self = .matMulInteger
        default: throw item.fault("the unknown operator '\(name)'")
        }
    }
}

extension Activation: ManifestReadable {
    init(_ item: ManifestItem) throws {
        let (name, values) = try item.choice()
        switch name {
        case "none": self = .none
        case "relu": self = .relu
        case "relu6": self = .relu6
        case "leakyRelu": self = .leakyRelu(slope: try values["slope"])
        case "clip": self = .clip(low: try values["low"], high: try values["high"])
        case "sigmoid": self = .sigmoid
        case "silu": self = .silu
        case "hardSigmoid": self = .hardSigmoid(slope: try values["slope"], offset: try values["offset"])
        case "hardSwish": self = .hardSwish
        case "tanh": self = .tanh
        default: throw item.fault("the unknown activation '\(name)'")
        }
    }
}

extension Unary: ManifestReadable {
    init(_ item: ManifestItem) throws {
        let (name, values) = try item.choice()
        switch name {
        case "leakyRelu": self = .leakyRelu(slope: try values["slope"])
        case "hardSigmoid": self = .hardSigmoid(slope: try values["slope"], offset: try values["offset"])
        case "elu": self = .elu(alpha: try values["alpha"])
        case "selu": self = .selu(alpha: try values["alpha"], gamma: try values["gamma"])
        case "celu": self = .celu(alpha: try values["alpha"])
        case "thresholdedRelu": self = .thresholdedRelu(alpha: try values["alpha"])
        case "gelu": self = .gelu(approximatesWithTanh: try values["approximatesWithTanh"])
        case "clip": self = .clip(low: try values["low"], high: try values["high"])
        case "isInfinite":
            self = .isInfinite(positive: try values["positive"], negative: try values["negative"])
        default:
            guard let plain = Self.plain[name] else { throw item.fault("the unknown function '\(name)'") }
            self = plain
        }
    }

    /// Those without parameters.
    private static let plain: [String: Unary] = [
        "relu": .relu, "sigmoid": .sigmoid, "silu": .silu, "hardSwish": .hardSwish, "mish": .mish, "tanh": .tanh,
        "softplus": .softplus, "softsign": .softsign, "negate": .negate, "abs": .abs, "sign": .sign,
        "reciprocal": .reciprocal, "sqrt": .sqrt, "exp": .exp, "log": .log, "erf": .erf, "round": .round,
        "floor": .floor, "ceil": .ceil, "sin": .sin, "cos": .cos, "tan": .tan, "asin": .asin, "acos": .acos,
        "atan": .atan, "sinh": .sinh, "cosh": .cosh, "asinh": .asinh, "acosh": .acosh, "atanh": .atanh, "not": .not,
        "isNaN": .isNaN,
    ]
}

extension Binary: ManifestReadable {}
extension GlobalPool: ManifestReadable {}
extension ScatterReduction: ManifestReadable {}
extension DepthToSpaceOrder: ManifestReadable {}
extension ElementType: ManifestReadable {}

extension Shape: ManifestReadable {
    init(_ item: ManifestItem) throws {
        let extents = try [Int](item)
        guard extents.allSatisfy({ $0 >= 0 }) else { throw item.fault("a negative extent") }
        self.init(extents)
    }
}
