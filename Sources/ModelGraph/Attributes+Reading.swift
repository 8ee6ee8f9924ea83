// SPDX-License-Identifier: Apache-2.0
import Tensors

// Attributes of operators, under the names of their properties.

extension Convolution: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            kernel: try item["kernel"], strides: try item[optional: "strides"],
            dilations: try item[optional: "dilations"], pads: try item[optional: "pads"],
            groups: try item[optional: "groups"] ?? 1, activation: try item[optional: "activation"] ?? .none,
            residual: try item[optional: "residual"])
    }
}

extension Convolution.Residual: ManifestReadable {}

extension TransposedConvolution: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            kernel: try item["kernel"], strides: try item["strides"], dilations: try item["dilations"],
            pads: try item["pads"], outputPadding: try item["outputPadding"], groups: try item["groups"])
    }
}

extension Gemm: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            transposesA: try item["transposesA"], transposesB: try item["transposesB"], alpha: try item["alpha"],
            beta: try item["beta"], activation: try item["activation"])
    }
}

extension Pool: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            kernel: try item["kernel"], strides: try item["strides"], dilations: try item["dilations"],
            pads: try item["pads"], roundsUp: try item["roundsUp"], countsPadding: try item["countsPadding"],
            columnMajorIndices: try item["columnMajorIndices"], addsRows: try item[optional: "addsRows"] ?? false)
    }
}

extension LocalResponseNormalization: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            size: try item["size"], alpha: try item["alpha"], beta: try item["beta"], bias: try item["bias"])
    }
}

extension Recurrent: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            cell: try item["cell"], direction: try item["direction"], hiddenSize: try item["hiddenSize"],
            functions: try item["functions"], clip: try item[optional: "clip"],
            linearBeforeReset: try item["linearBeforeReset"],
            couplesInputAndForget: try item["couplesInputAndForget"], batchFirst: try item["batchFirst"],
            state: try item[optional: "state"])
    }
}

extension Recurrent.Cell: ManifestReadable {}
extension Recurrent.Direction: ManifestReadable {}

extension Recurrent.Function: ManifestReadable {
    init(_ item: ManifestItem) throws {
        let (name, values) = try item.choice()
        switch name {
        case "relu": self = .relu
        case "tanh": self = .tanh
        case "sigmoid": self = .sigmoid
        case "softsign": self = .softsign
        case "softplus": self = .softplus
        case "affine": self = .affine(alpha: try values["alpha"], beta: try values["beta"])
        case "leakyRelu": self = .leakyRelu(alpha: try values["alpha"])
        case "thresholdedRelu": self = .thresholdedRelu(alpha: try values["alpha"])
        case "scaledTanh": self = .scaledTanh(alpha: try values["alpha"], beta: try values["beta"])
        case "hardSigmoid": self = .hardSigmoid(alpha: try values["alpha"], beta: try values["beta"])
        case "elu": self = .elu(alpha: try values["alpha"])
        default: throw item.fault("the unknown function '\(name)'")
        }
    }
}

extension QuantizationParameters: ManifestReadable {
    init(_ item: ManifestItem) throws {
        let (scales, zeroPoints): ([Float], [Int32]) = (try item["scales"], try item["zeroPoints"])
        let axis: Int? = try item[optional: "axis"]
        guard scales.count == zeroPoints.count, axis != nil ? !scales.isEmpty : scales.count == 1 else {
            throw item.fault("scales and zero points that do not fit each other")
        }
        self.init(scales: scales, zeroPoints: zeroPoints, axis: axis)
    }
}

extension Reduce: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(try item["function"], axes: try item["axes"], keepsAxes: try item["keepsAxes"])
    }
}

extension Reduce.Function: ManifestReadable {}

extension ArgReduce: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            findsMaximum: try item["findsMaximum"], axis: try item["axis"], keepsAxis: try item["keepsAxis"],
            selectsLast: try item["selectsLast"])
    }
}

extension TopK: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(axis: try item["axis"], count: try item["count"], largest: try item["largest"])
    }
}

extension CumulativeSum: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(axis: try item["axis"], exclusive: try item["exclusive"], reverse: try item["reverse"])
    }
}

extension NonMaxSuppression: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            centreBoxes: try item["centreBoxes"], maximumPerClass: try item["maximumPerClass"],
            overlapThreshold: try item["overlapThreshold"], scoreThreshold: try item[optional: "scoreThreshold"])
    }
}

extension DetectionPostProcess: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            maximumDetections: try item["maximumDetections"], classesPerDetection: try item["classesPerDetection"],
            detectionsPerClass: try item[optional: "detectionsPerClass"], classes: try item["classes"],
            overlapThreshold: try item["overlapThreshold"], scoreThreshold: try item["scoreThreshold"],
            scales: try item["scales"])
    }
}

extension Slice: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(starts: try item["starts"], steps: try item["steps"], sizes: try item["sizes"])
    }
}

extension Pad: ManifestReadable {
    init(_ item: ManifestItem) throws { self.init(mode: try item["mode"], pads: try item["pads"]) }
}

extension Pad.Mode: ManifestReadable {}

extension Resize: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            mode: try item["mode"], coordinates: try item["coordinates"],
            nearestRounding: try item["nearestRounding"], scales: try item["scales"], sizes: try item["sizes"],
            cubicCoefficient: try item["cubicCoefficient"], excludesOutside: try item["excludesOutside"],
            antialiases: try item["antialiases"], region: try item[optional: "region"],
            extrapolationValue: try item["extrapolationValue"])
    }
}

extension Resize.Mode: ManifestReadable {}
extension Resize.Coordinates: ManifestReadable {}
extension Resize.NearestRounding: ManifestReadable {}

extension KernelHint: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(laneProducts: try item["laneProducts"], winograd: try item[optional: "winograd"] ?? false)
    }
}
