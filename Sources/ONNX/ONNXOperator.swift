// SPDX-License-Identifier: Apache-2.0
import ModelGraph

/// Every operator that can be imported; raw values are domain and name as ONNX writes them.
enum ONNXOperator: String, CaseIterable {
    // Layers
    case conv = "Conv"
    case convTranspose = "ConvTranspose"
    case gemm = "Gemm"
    case matMul = "MatMul"
    case maxPool = "MaxPool"
    case averagePool = "AveragePool"
    case globalAveragePool = "GlobalAveragePool"
    case globalMaxPool = "GlobalMaxPool"
    case batchNormalization = "BatchNormalization"
    case instanceNormalization = "InstanceNormalization"
    case layerNormalization = "LayerNormalization"
    case groupNormalization = "GroupNormalization"
    case lrn = "LRN"
    case softmax = "Softmax"
    case logSoftmax = "LogSoftmax"
    case lstm = "LSTM"
    case gru = "GRU"
    case rnn = "RNN"
    // One number to one number
    case relu = "Relu"
    case leakyRelu = "LeakyRelu"
    case sigmoid = "Sigmoid"
    case hardSigmoid = "HardSigmoid"
    case hardSwish = "HardSwish"
    case mish = "Mish"
    case tanh = "Tanh"
    case softplus = "Softplus"
    case softsign = "Softsign"
    case elu = "Elu"
    case selu = "Selu"
    case celu = "Celu"
    case thresholdedRelu = "ThresholdedRelu"
    case gelu = "Gelu"
    case clip = "Clip"
    case neg = "Neg"
    case abs = "Abs"
    case sign = "Sign"
    case reciprocal = "Reciprocal"
    case sqrt = "Sqrt"
    case exp = "Exp"
    case log = "Log"
    case erf = "Erf"
    case round = "Round"
    case floor = "Floor"
    case ceil = "Ceil"
    case sin = "Sin"
    case cos = "Cos"
    case tan = "Tan"
    case asin = "Asin"
    case acos = "Acos"
    case atan = "Atan"
    case sinh = "Sinh"
    case cosh = "Cosh"
    case asinh = "Asinh"
    case acosh = "Acosh"
    case atanh = "Atanh"
    case not = "Not"
    case isNaN = "IsNaN"
    case isInf = "IsInf"
    case identity = "Identity"
    case dropout = "Dropout"
    case cast = "Cast"
    case castLike = "CastLike"
    // Two numbers to one
    case add = "Add"
    case sub = "Sub"
    case mul = "Mul"
    case div = "Div"
    case pow = "Pow"
    case mod = "Mod"
    case min = "Min"
    case max = "Max"
    case sum = "Sum"
    case mean = "Mean"
    case pRelu = "PRelu"
    case equal = "Equal"
    case less = "Less"
    case lessOrEqual = "LessOrEqual"
    case greater = "Greater"
    case greaterOrEqual = "GreaterOrEqual"
    case and = "And"
    case or = "Or"
    case xor = "Xor"
    case whereOperator = "Where"
    // Reductions
    case reduceSum = "ReduceSum"
    case reduceMean = "ReduceMean"
    case reduceMax = "ReduceMax"
    case reduceMin = "ReduceMin"
    case reduceProd = "ReduceProd"
    case reduceL1 = "ReduceL1"
    case reduceL2 = "ReduceL2"
    case reduceSumSquare = "ReduceSumSquare"
    case reduceLogSum = "ReduceLogSum"
    case reduceLogSumExp = "ReduceLogSumExp"
    case argMax = "ArgMax"
    case argMin = "ArgMin"
    case topK = "TopK"
    case cumSum = "CumSum"
    case nonMaxSuppression = "NonMaxSuppression"
    case nonZero = "NonZero"
    // Movement
    case concat = "Concat"
    case split = "Split"
    case slice = "Slice"
    case gather = "Gather"
    case gatherElements = "GatherElements"
    case gatherND = "GatherND"
    case scatterElements = "ScatterElements"
    case scatter = "Scatter"
    case scatterND = "ScatterND"
    case reshape = "Reshape"
    case flatten = "Flatten"
    case squeeze = "Squeeze"
    case unsqueeze = "Unsqueeze"
    case transpose = "Transpose"
    case expand = "Expand"
    case tile = "Tile"
    case pad = "Pad"
    case resize = "Resize"
    case upsample = "Upsample"
    case depthToSpace = "DepthToSpace"
    case spaceToDepth = "SpaceToDepth"
    case oneHot = "OneHot"
    case trilu = "Trilu"
    // Known at import
    case shape = "Shape"
    case size = "Size"
    case constant = "Constant"
    case constantOfShape = "ConstantOfShape"
    case range = "Range"
    case ifOperator = "If"
    // Made up of others
    case lpNormalization = "LpNormalization"
    case meanVarianceNormalization = "MeanVarianceNormalization"
    case rmsNormalization = "RMSNormalization"
    case swish = "Swish"
    case quickGelu = "com.microsoft.QuickGelu"
    case fastGelu = "com.microsoft.FastGelu"
    case biasGelu = "com.microsoft.BiasGelu"
    case fusedMatMul = "com.microsoft.FusedMatMul"
    case reverseSequence = "ReverseSequence"
    // Quantization
    case quantizeLinear = "QuantizeLinear"
    case dequantizeLinear = "DequantizeLinear"
    case dynamicQuantizeLinear = "DynamicQuantizeLinear"
    case qLinearConv = "QLinearConv"
    case qLinearMatMul = "QLinearMatMul"
    case convInteger = "ConvInteger"
    case matMulInteger = "MatMulInteger"
    case microsoftGelu = "com.microsoft.Gelu"
    case microsoftQuantizeLinear = "com.microsoft.QuantizeLinear"
    case microsoftDequantizeLinear = "com.microsoft.DequantizeLinear"
    case microsoftQLinearConv = "com.microsoft.QLinearConv"
    case nhwcMaxPool = "com.microsoft.NhwcMaxPool"
    case qLinearAdd = "com.microsoft.QLinearAdd"
    case qLinearMul = "com.microsoft.QLinearMul"
    case qLinearConcat = "com.microsoft.QLinearConcat"
    case qLinearSigmoid = "com.microsoft.QLinearSigmoid"
    case qLinearLeakyRelu = "com.microsoft.QLinearLeakyRelu"
    case qLinearAveragePool = "com.microsoft.QLinearAveragePool"
    case qLinearGlobalAveragePool = "com.microsoft.QLinearGlobalAveragePool"
    case qLinearSoftmax = "com.microsoft.QLinearSoftmax"
    case qGemm = "com.microsoft.QGemm"
    case qLinearWhere = "com.microsoft.QLinearWhere"
    case dynamicQuantizeMatMul = "com.microsoft.DynamicQuantizeMatMul"
    case matMulIntegerToFloat = "com.microsoft.MatMulIntegerToFloat"
    case dynamicQuantizeLSTM = "com.microsoft.DynamicQuantizeLSTM"
    case fusedConv = "com.microsoft.FusedConv"
}

extension GraphImporter {
    /// Adds what a node stands for and returns its outputs.
    mutating func add(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        switch kind {
        case .conv, .convTranspose, .gemm, .matMul, .maxPool, .averagePool, .globalAveragePool, .globalMaxPool,
            .batchNormalization, .instanceNormalization, .layerNormalization, .groupNormalization, .lrn, .softmax,
            .logSoftmax:
            return try addLayer(kind, node)
        case .lstm, .gru, .rnn: return try addRecurrent(kind, node)
        case .relu, .leakyRelu, .sigmoid, .hardSigmoid, .hardSwish, .mish, .tanh, .softplus, .softsign, .elu, .selu,
            .celu, .thresholdedRelu, .gelu, .clip, .neg, .abs, .sign, .reciprocal, .sqrt, .exp, .log, .erf, .round,
            .floor, .ceil, .sin, .cos, .tan, .asin, .acos, .atan, .sinh, .cosh, .asinh, .acosh, .atanh, .not, .isNaN,
            .isInf, .identity, .dropout, .cast, .castLike, .microsoftGelu:
            return try addUnary(kind, node)
        case .add, .sub, .mul, .div, .pow, .mod, .min, .max, .sum, .mean, .pRelu, .equal, .less, .lessOrEqual, .greater,
            .greaterOrEqual, .and, .or, .xor, .whereOperator:
            return try addBinary(kind, node)
        case .reduceSum, .reduceMean, .reduceMax, .reduceMin, .reduceProd, .reduceL1, .reduceL2, .reduceSumSquare,
            .reduceLogSum, .reduceLogSumExp, .argMax, .argMin, .topK, .cumSum, .nonMaxSuppression, .nonZero:
            return try addReduction(kind, node)
        case .concat, .split, .slice, .gather, .gatherElements, .gatherND, .scatterElements, .scatter, .scatterND,
            .reshape,
            .flatten, .squeeze, .unsqueeze, .transpose, .expand, .tile, .pad, .depthToSpace, .spaceToDepth, .oneHot,
            .trilu:
            return try addMovement(kind, node)
        case .resize, .upsample: return try addResize(kind, node)
        case .lpNormalization, .meanVarianceNormalization, .rmsNormalization, .swish, .quickGelu, .fastGelu, .biasGelu,
            .fusedMatMul, .reverseSequence:
            return try addComposition(kind, node)
        case .shape, .size, .constant, .constantOfShape, .range, .ifOperator: return try addKnown(kind, node)
        case .quantizeLinear, .dequantizeLinear, .dynamicQuantizeLinear, .qLinearConv, .qLinearMatMul, .convInteger,
            .matMulInteger, .microsoftQuantizeLinear, .microsoftDequantizeLinear, .microsoftQLinearConv, .nhwcMaxPool,
            .qLinearAdd, .qLinearMul, .qLinearConcat, .qLinearSigmoid, .qLinearLeakyRelu, .qLinearAveragePool,
            .qLinearGlobalAveragePool, .qLinearSoftmax, .qGemm, .qLinearWhere, .dynamicQuantizeMatMul,
            .matMulIntegerToFloat, .dynamicQuantizeLSTM, .fusedConv:
            return try addQuantized(kind, node)
        }
    }
}
