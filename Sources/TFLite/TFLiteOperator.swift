// SPDX-License-Identifier: Apache-2.0

/// The operators that can be imported, by their number in TensorFlow Lite's schema (`BuiltinOperator`).
enum TFLiteOperator: Int {
    case add = 0
    case averagePool2D = 1
    case concatenation = 2
    case conv2D = 3
    case depthwiseConv2D = 4
    case depthToSpace = 5
    case dequantize = 6
    case floor = 8
    case fullyConnected = 9
    case l2Normalization = 11
    case logistic = 14
    case maxPool2D = 17
    case mul = 18
    case relu = 19
    case reluN1To1 = 20
    case relu6 = 21
    case reshape = 22
    case resizeBilinear = 23
    case softmax = 25
    case spaceToDepth = 26
    case tanh = 28
    case pad = 34
    case gather = 36
    case transpose = 39
    case mean = 40
    case sub = 41
    case div = 42
    case squeeze = 43
    case unidirectionalSequenceLSTM = 44
    case stridedSlice = 45
    case exp = 47
    case topK = 48
    case split = 49
    case logSoftmax = 50
    case cast = 53
    case prelu = 54
    case maximum = 55
    case argMax = 56
    case minimum = 57
    case less = 58
    case neg = 59
    case padV2 = 60
    case greater = 61
    case greaterEqual = 62
    case lessEqual = 63
    case select = 64
    case slice = 65
    case sin = 66
    case transposeConv = 67
    case tile = 69
    case expandDims = 70
    case equal = 71
    case notEqual = 72
    case log = 73
    case sum = 74
    case sqrt = 75
    case rsqrt = 76
    case shape = 77
    case pow = 78
    case argMin = 79
    case reduceProd = 81
    case reduceMax = 82
    case pack = 83
    case logicalOr = 84
    case logicalAnd = 86
    case logicalNot = 87
    case unpack = 88
    case reduceMin = 89
    case floorDiv = 90
    case square = 92
    case zerosLike = 93
    case fill = 94
    case floorMod = 95
    case range = 96
    case resizeNearestNeighbor = 97
    case leakyRelu = 98
    case squaredDifference = 99
    case mirrorPad = 100
    case abs = 101
    case splitV = 102
    case ceil = 104
    case reverse = 105
    case addN = 106
    case gatherND = 107
    case cos = 108
    case rank = 110
    case elu = 111
    case quantize = 114
    case round = 116
    case hardSwish = 117
    case whileLoop = 119
    case selectV2 = 123
    case batchMatMul = 126
    case cumulativeSum = 128
    case broadcastTo = 130
    case gelu = 150
    case relu0To1 = 152
    case sign = 158

    /// Name of an operator in the schema, whether it can be imported or not.
    static func name(_ number: Int) -> String {
        names.indices.contains(number) ? String(names[number]) : "operator \(number)"
    }

    private static let names = """
        ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR \
        FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC \
        LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX \
        SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD \
        UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE \
        UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE \
        BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL \
        LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT \
        RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT \
        UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR \
        LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK \
        ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 \
        NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL \
        PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS \
        HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE \
        READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL \
        GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 \
        UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
        """.split(separator: " ")
}
