// SPDX-License-Identifier: Apache-2.0
import Tensors

extension ModelManifest {
    /// - Parameter json: the text of a manifest.
    /// - Throws: `ModelFile.Fault.malformed`
    init(json: [UInt8]) throws {
        let item = ManifestItem(try ManifestText(json))
        name = try item["name"]
        labels = try item["labels"]
        preprocessing = try item["preprocessing"]
        interpretation = try item[optional: "interpretation"]
        quantization = try item[optional: "quantization"]
        values = try item["values"]
        nodes = try item["nodes"]
        inputs = try item["inputs"]
        outputs = try item["outputs"]
    }
}

extension ModelManifest.Value: ManifestReadable {
    init(_ item: ManifestItem) throws {
        name = try item[optional: "name"]
        type = try item[optional: "type"]
        shape = try item[optional: "shape"]
        at = try item[optional: "at"]
        scale = try item[optional: "scale"]
        zero = try item[optional: "zero"]
        channels = try item[optional: "channels"]
        passed = try item[optional: "passed"]
    }
}

extension ModelManifest.Channels: ManifestReadable {
    init(_ item: ManifestItem) throws {
        if item.kind == .list {
            let numbers = try [Int](item)
            guard numbers.count == 5 else { throw item.fault("channels of another form") }
            self.init(
                axis: numbers[0], count: numbers[1], at: numbers[2], scaleBytes: numbers[3], zeroBytes: numbers[4])
        } else {
            self.init(
                axis: try item["axis"], count: try item["count"], at: try item["at"],
                scaleBytes: try item["scaleBytes"], zeroBytes: try item["zeroBytes"])
        }
    }
}

extension ModelManifest.Node: ManifestReadable {
    init(_ item: ManifestItem) throws {
        name = try item["name"]
        op = try item["op"]
        `in` = try item["in"]
        out = try item["out"]
        kernel = try item[optional: "kernel"]
        floats = try item[optional: "floats"]
    }
}

// MARK: - What is said about inputs, outputs and quantization

extension Dictionary: ManifestReadable where Key == String, Value: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(try item.members().map { ($0.key, try Value($0.value)) }) { first, _ in first }
    }
}

extension ImagePreprocessing: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            channelOrder: try item["channelOrder"], fit: try item["fit"], padding: try item["padding"],
            mean: try item["mean"], scale: try item["scale"])
    }
}

extension ImagePreprocessing.ChannelOrder: ManifestReadable {}
extension ImagePreprocessing.Fit: ManifestReadable {}

extension OutputInterpretation: ManifestReadable {
    init(_ item: ManifestItem) throws {
        let (name, values) = try item.choice()
        switch name {
        case "grid": self = .grid(try values["_0"])
        case "boxesAndScores": self = .boxesAndScores(try values["_0"])
        case "anchorFree": self = .anchorFree(try values["_0"])
        case "cellMap": self = .cellMap(try values["_0"])
        case "classification": self = .classification(try values["_0"])
        default: throw item.fault("the unknown interpretation '\(name)'")
        }
    }
}

extension OutputInterpretation.GridHead: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            output: try item["output"], strides: try item["strides"], scoresAreLogits: try item["scoresAreLogits"])
    }
}

extension OutputInterpretation.BoxesAndScoresHead: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            boxes: try item["boxes"], scores: try item["scores"], classes: try item[optional: "classes"],
            form: try item["form"], normalized: try item["normalized"],
            backgroundClass: try item[optional: "backgroundClass"], scoresAreLogits: try item["scoresAreLogits"])
    }
}

extension OutputInterpretation.BoxesAndScoresHead.BoxForm: ManifestReadable {}

extension OutputInterpretation.CellMapHead: ManifestReadable {
    init(_ item: ManifestItem) throws { self.init(output: try item["output"]) }
}

extension OutputInterpretation.AnchorFreeHead: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            levels: try item["levels"], form: try item["form"], scoresAreLogits: try item["scoresAreLogits"],
            geometricMean: try item["geometricMean"])
    }
}

extension OutputInterpretation.AnchorFreeHead.BoxForm: ManifestReadable {}

extension OutputInterpretation.AnchorFreeHead.Level: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            stride: try item["stride"], scores: try item["scores"], objectness: try item[optional: "objectness"],
            boxes: try item["boxes"])
    }
}

extension OutputInterpretation.ClassificationHead: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(output: try item["output"], scoresAreLogits: try item["scoresAreLogits"])
    }
}

extension QuantizationReport: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            floatBytes: try item["floatBytes"], quantizedBytes: try item["quantizedBytes"],
            weightBits: try item["weightBits"], activationBits: try item["activationBits"],
            calibrationInputs: try item["calibrationInputs"], outputs: try item["outputs"],
            widerLayers: try item["widerLayers"], notes: try item["notes"])
        agreement = try item[optional: "agreement"]
    }
}

extension QuantizationReport.Output: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(name: try item["name"], signalToNoiseDecibels: try item["signalToNoiseDecibels"])
    }
}

extension QuantizationReport.Layer: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(name: try item["name"], activationBits: try item["activationBits"], reason: try item["reason"])
    }
}

extension QuantizationReport.Agreement: ManifestReadable {
    init(_ item: ManifestItem) throws {
        self.init(
            pictures: try item["pictures"], detections: try item["detections"], foundAgain: try item["foundAgain"],
            foundAtAnyScore: try item["foundAtAnyScore"], averagePrecision: try item["averagePrecision"])
    }
}
