// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Reads what a model's input and outputs mean, where the configuration says it in place of the model file.
struct TensorSections {
    typealias Place = ConfigurationReader.Place

    var reader: ConfigurationReader

    /// `{ order: bgr, fit: letterbox, padding: 114, mean: [..], scale: [..] }`
    mutating func preprocessing(_ place: Place) -> ImagePreprocessing? {
        guard let fields = reader.fields(place, known: ["order", "fit", "padding", "mean", "scale"]) else { return nil }
        let order = reader.choice(fields["order"], ImagePreprocessing.ChannelOrder.self) ?? .rgb
        let fit = reader.choice(fields["fit"], ImagePreprocessing.Fit.self) ?? .letterbox
        let padding = reader.integer(fields["padding"], in: 0...255) ?? 114
        let channels = order == .gray ? 1 : 3
        guard let mean = perChannel(fields["mean"], channels, default: 0),
            let scale = perChannel(fields["scale"], channels, default: 1)
        else { return nil }
        return ImagePreprocessing(
            channelOrder: order, fit: fit, padding: UInt8(padding), mean: mean, scale: scale)
    }

    /// `{ grid: {...} }`, `{ boxes_and_scores: {...} }` and so on
    mutating func interpretation(_ place: Place) -> OutputInterpretation? {
        let kinds = ["grid", "boxes_and_scores", "anchor_free", "cell_map", "classification"]
        guard let fields = reader.fields(place, known: kinds) else { return nil }
        let given = kinds.filter { fields[$0] != nil }
        guard given.count == 1, let kind = given.first, let head = fields[kind] else {
            reader.fault(place, "exactly one of \(kinds.joined(separator: ", ")) is needed")
            return nil
        }
        switch kind {
        case "grid": return grid(head).map { .grid($0) }
        case "boxes_and_scores": return boxesAndScores(head).map { .boxesAndScores($0) }
        case "anchor_free": return anchorFree(head).map { .anchorFree($0) }
        case "cell_map": return cellMap(head).map { .cellMap($0) }
        default: return classification(head).map { .classification($0) }
        }
    }

    /// `{ input: 1x3x320x320 }`
    mutating func shapes(_ place: Place) -> [String: Shape] {
        guard let entries = reader.entries(place) else { return [:] }
        var shapes: [String: Shape] = [:]
        for entry in entries {
            guard let text = reader.string(entry.place) else { continue }
            let extents = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
            let valid = extents.compactMap { $0 }.filter { (1...1_000_000).contains($0) }
            if valid.count == extents.count, !valid.isEmpty {
                shapes[entry.key] = Shape(valid)
            } else {
                reader.fault(entry.place, "expected a shape such as 1x3x320x320, found '\(text)'")
            }
        }
        return shapes
    }

    private mutating func grid(_ place: Place) -> OutputInterpretation.GridHead? {
        guard let fields = reader.fields(place, known: ["output", "strides", "logits"]),
            let output = reader.required(fields, "output").flatMap({ reader.string($0) })
        else { return nil }
        return .init(
            output: output, strides: strides(fields["strides"]),
            scoresAreLogits: reader.boolean(fields["logits"]) ?? false)
    }

    private mutating func boxesAndScores(_ place: Place) -> OutputInterpretation.BoxesAndScoresHead? {
        let known = ["boxes", "scores", "classes", "form", "normalized", "background", "logits"]
        guard let fields = reader.fields(place, known: known),
            let boxes = reader.required(fields, "boxes").flatMap({ reader.string($0) }),
            let scores = reader.required(fields, "scores").flatMap({ reader.string($0) })
        else { return nil }
        typealias Head = OutputInterpretation.BoxesAndScoresHead
        return Head(
            boxes: boxes, scores: scores, classes: reader.string(fields["classes"]),
            form: reader.choice(fields["form"], Head.BoxForm.self) ?? .corners,
            normalized: reader.boolean(fields["normalized"]) ?? true,
            backgroundClass: reader.integer(fields["background"], in: 0...100_000),
            scoresAreLogits: reader.boolean(fields["logits"]) ?? false)
    }

    private mutating func anchorFree(_ place: Place) -> OutputInterpretation.AnchorFreeHead? {
        let known = ["levels", "form", "logits", "geometric_mean"]
        guard let fields = reader.fields(place, known: known), let levels = reader.required(fields, "levels"),
            let elements = reader.elements(levels)
        else { return nil }
        typealias Head = OutputInterpretation.AnchorFreeHead
        var parsed: [Head.Level] = []
        for element in elements {
            guard let level = reader.fields(element, known: ["stride", "scores", "objectness", "boxes"]),
                let stride = reader.required(level, "stride").flatMap({ reader.integer($0, in: 1...1024) }),
                let scores = reader.required(level, "scores").flatMap({ reader.string($0) }),
                let boxes = reader.required(level, "boxes").flatMap({ reader.string($0) })
            else { continue }
            parsed.append(
                Head.Level(stride: stride, scores: scores, objectness: reader.string(level["objectness"]), boxes: boxes)
            )
        }
        return Head(
            levels: parsed, form: reader.choice(fields["form"], Head.BoxForm.self) ?? .offsets,
            scoresAreLogits: reader.boolean(fields["logits"]) ?? false,
            geometricMean: reader.boolean(fields["geometric_mean"]) ?? false)
    }

    private mutating func cellMap(_ place: Place) -> OutputInterpretation.CellMapHead? {
        guard let fields = reader.fields(place, known: ["output"]),
            let output = reader.required(fields, "output").flatMap({ reader.string($0) })
        else { return nil }
        return .init(output: output)
    }

    private mutating func classification(_ place: Place) -> OutputInterpretation.ClassificationHead? {
        guard let fields = reader.fields(place, known: ["output", "logits"]),
            let output = reader.required(fields, "output").flatMap({ reader.string($0) })
        else { return nil }
        return .init(output: output, scoresAreLogits: reader.boolean(fields["logits"]) ?? true)
    }

    private mutating func strides(_ place: Place?) -> [Int] {
        guard let place, let elements = reader.elements(place) else { return [8, 16, 32] }
        return elements.compactMap { reader.integer($0, in: 1...1024) }
    }

    private mutating func perChannel(_ place: Place?, _ channels: Int, default value: Float) -> [Float]? {
        guard let place, let elements = reader.elements(place) else { return Array(repeating: value, count: channels) }
        let numbers = elements.compactMap { reader.number($0).map(Float.init) }
        if numbers.count == 1 { return Array(repeating: numbers[0], count: channels) }
        if numbers.count == channels { return numbers }
        reader.fault(place, "expected one number or \(channels)")
        return nil
    }
}
