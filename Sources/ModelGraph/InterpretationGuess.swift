// SPDX-License-Identifier: Apache-2.0
import Tensors

/// What the outputs of a network mean and how frames become its input, recognised from shapes and names when nobody said it.
///
/// Recognised are networks with one image input [N, 1 or 3, H, W] and
///
/// | family | outputs | frames |
/// |---|---|---|
/// | YOLOX grid | one [N, cells, 5 + classes]; cells over strides 8, 16, 32 (and 64) of the input | BGR, letterbox at the top left with 114, pixel values as they are |
/// | heads per stride, as YuNet | `cls_S` [N, cells, classes], `obj_S` [N, cells, 1], `bbox_S` [N, cells, 4] per stride S | BGR, letterbox, pixel values as they are |
/// | map of cells, as FastestDet | one [N, 5 + classes, H / 16, W / 16]: objectness through sigmoid, four box values, classes through softmax | BGR, stretched, pixel / 255 |
/// | SSD with decoded boxes | [N, boxes, 4] and [N, boxes, classes], nothing else | RGB, stretched, (pixel - 127) / 128 |
/// | SSD as TensorFlow Lite ends it | those of `TFLite_Detection_PostProcess` | RGB, stretched, (pixel - 127) / 128 |
/// | classification | one [N, classes] | RGB, stretched, mean and deviation of ImageNet (gray: pixel / 255; channels last: pixel / 255) |
///
/// Images may have channels last, [N, H, W, 1 or 3]. Quantized inputs store pixels as they are.
///
/// These are the conventions of the training code that such files come from (YOLOX 0.1.1 and later, OpenCV's face detector,
/// FastestDet, Ultra-Light face detectors, torchvision). They are guesses: whoever imports a network can say otherwise.
package enum InterpretationGuess {
    /// Fills in what a model does not say. Nothing that is said is touched.
    package static func complete(_ model: inout Model) {
        guard let image = imageInput(of: model.graph) else { return }
        if model.interpretation == nil { model.interpretation = interpretation(of: model.graph) }
        guard model.preprocessing.isEmpty, let interpretation = model.interpretation else { return }
        let value = model.graph[image]
        let channels = channels(of: value.shape)
        if let quantization = value.quantization {
            model.preprocessing[value.name] = preprocessing(storedAs: value.type, quantization, channels: channels)
        } else {
            var frames = preprocessing(for: interpretation, channels: channels)
            if hasChannelsLast(value.shape), case .classification = interpretation {
                frames.mean = [Float](repeating: 0, count: channels)
                frames.scale = [Float](repeating: 1 / 255, count: channels)
            }
            model.preprocessing[value.name] = frames
        }
    }

    /// The only input, if frames fit into it.
    package static func imageInput(of graph: Graph) -> ValueID? {
        let images = graph.inputs.filter {
            let value = graph[$0]
            guard value.shape.rank == 4 else { return false }
            let (channels, size) = (channels(of: value.shape), imageSize(of: value.shape))
            return (channels == 1 || channels == 3) && size.height > 1 && size.width > 1
                && (value.meant.type == .float32 || value.type == .uint8)
        }
        return graph.inputs.count == 1 ? images.first : nil
    }

    /// Whether a shape of four axes is that of images with channels last; those with channels second have precedence.
    package static func hasChannelsLast(_ shape: Shape) -> Bool {
        shape[1] != 1 && shape[1] != 3 && (shape[3] == 1 || shape[3] == 3)
    }

    package static func channels(of shape: Shape) -> Int { hasChannelsLast(shape) ? shape[3] : shape[1] }

    private static func imageSize(of shape: Shape) -> (height: Int, width: Int) {
        hasChannelsLast(shape) ? (shape[1], shape[2]) : (shape[2], shape[3])
    }

    package static func interpretation(of graph: Graph) -> OutputInterpretation? {
        guard let image = imageInput(of: graph) else { return nil }
        let (height, width) = imageSize(of: graph[image].shape)
        func cells(_ stride: Int) -> Int { (height / stride) * (width / stride) }
        return levels(graph, cells: cells).map { .anchorFree($0) } ?? grid(graph, cells: cells).map { .grid($0) }
            ?? cellMap(graph, cells: (height / 16, width / 16)).map { .cellMap($0) }
            ?? (chosenBoxes(graph) ?? boxesAndScores(graph)).map { .boxesAndScores($0) }
            ?? classification(graph).map { .classification($0) }
    }

    /// Pixels become what is stored, less 128 for `int8`: so do the tools that make such networks.
    private static func preprocessing(
        storedAs type: ElementType, _ quantization: QuantizationParameters, channels: Int
    ) -> ImagePreprocessing {
        let zero = Float(quantization.zeroPoints[0]) + (type == .int8 ? 128 : 0)
        return ImagePreprocessing(
            channelOrder: channels == 1 ? .gray : .rgb, fit: .stretch, padding: 0,
            mean: [Float](repeating: zero, count: channels),
            scale: [Float](repeating: quantization.scales[0], count: channels))
    }

    private static func preprocessing(for interpretation: OutputInterpretation, channels: Int) -> ImagePreprocessing {
        let isGray = channels == 1
        func uniform(_ value: Float) -> [Float] { [Float](repeating: value, count: channels) }
        func made(
            _ order: ImagePreprocessing.ChannelOrder, _ fit: ImagePreprocessing.Fit, _ padding: UInt8, _ mean: [Float],
            _ scale: [Float]
        ) -> ImagePreprocessing {
            ImagePreprocessing(
                channelOrder: isGray ? .gray : order, fit: fit, padding: padding, mean: mean, scale: scale)
        }
        switch interpretation {
        case .grid: return made(.bgr, .letterboxTopLeft, 114, uniform(0), uniform(1))
        case .anchorFree: return made(.bgr, .letterbox, 0, uniform(0), uniform(1))
        case .cellMap: return made(.bgr, .stretch, 0, uniform(0), uniform(1 / 255))
        case .boxesAndScores: return made(.rgb, .stretch, 0, uniform(127), uniform(1 / 128))
        case .classification:
            if isGray { return made(.gray, .stretch, 0, uniform(0), uniform(1 / 255)) }
            // Mean and standard deviation of ImageNet's pixels, as torchvision uses them, for pixels of 0...255.
            let (mean, deviation): ([Float], [Float]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            return made(.rgb, .stretch, 0, mean.map { $0 * 255 }, deviation.map { 1 / ($0 * 255) })
        }
    }

    // MARK: Families

    private static func grid(_ graph: Graph, cells: (Int) -> Int) -> OutputInterpretation.GridHead? {
        guard graph.outputs.count == 1, let output = graph.outputs.first else { return nil }
        let value = graph[output]
        guard value.shape.rank == 3, value.shape[2] >= 6 else { return nil }
        for strides in [[8, 16, 32], [8, 16, 32, 64]]
        where strides.reduce(0, { $0 + cells($1) }) == value.shape[1] {
            return .init(
                output: value.name, strides: strides, scoresAreLogits: !ends(output, in: graph, with: .sigmoid))
        }
        return nil
    }

    private static func levels(_ graph: Graph, cells: (Int) -> Int) -> OutputInterpretation.AnchorFreeHead? {
        var levels: [OutputInterpretation.AnchorFreeHead.Level] = []
        var scoresAreLogits = false
        for stride in [8, 16, 32, 64] {
            func output(_ kind: String, columns: Int?) -> ValueID? {
                guard let id = graph.output(named: "\(kind)_\(stride)") else { return nil }
                let shape = graph[id].shape
                return shape.rank == 3 && shape[1] == cells(stride) && (columns == nil || shape[2] == columns)
                    ? id : nil
            }
            guard let scores = output("cls", columns: nil), let boxes = output("bbox", columns: 4) else { continue }
            let objectness = output("obj", columns: 1)
            scoresAreLogits = !ends(scores, in: graph, with: .sigmoid)
            levels.append(
                .init(
                    stride: stride, scores: graph[scores].name, objectness: objectness.map { graph[$0].name },
                    boxes: graph[boxes].name))
        }
        guard !levels.isEmpty else { return nil }
        return .init(levels: levels, form: .offsets, scoresAreLogits: scoresAreLogits, geometricMean: true)
    }

    private static func cellMap(_ graph: Graph, cells: (Int, Int)) -> OutputInterpretation.CellMapHead? {
        guard graph.outputs.count == 1, let output = graph.outputs.first, let index = graph.producers[output],
            case .concat(axis: 1) = graph.nodes[index].operation
        else { return nil }
        let shape = graph[output].shape
        let parts = graph.nodes[index].inputs.compactMap { $0 }
        guard shape.rank == 4, shape[2] == cells.0, shape[3] == cells.1, parts.count == 3,
            graph[parts[0]].shape[1] == 1, graph[parts[1]].shape[1] == 4, ends(parts[0], in: graph, with: .sigmoid),
            ends(parts[2], in: graph, with: .softmax)
        else { return nil }
        return .init(output: graph[output].name)
    }

    private static func boxesAndScores(_ graph: Graph) -> OutputInterpretation.BoxesAndScoresHead? {
        guard graph.outputs.count == 2 else { return nil }
        let shapes = graph.outputs.map { graph[$0].shape }
        guard shapes.allSatisfy({ $0.rank == 3 }), shapes[0][1] == shapes[1][1] else { return nil }
        // With four classes the names decide.
        let candidates = graph.outputs.filter { graph[$0].shape[2] == 4 }
        let named = candidates.filter { graph[$0].name.lowercased().contains("box") }
        guard let boxes = candidates.count == 1 ? candidates.first : named.count == 1 ? named.first : nil,
            let scores = graph.outputs.first(where: { $0 != boxes })
        else { return nil }
        let isSoftmax = ends(scores, in: graph, with: .softmax)
        let isSigmoid = ends(scores, in: graph, with: .sigmoid)
        // Softmax over boxes needs a class for "nothing"; SSD puts it first.
        let hasBackground = isSoftmax || graph[scores].shape[2] == 2
        return .init(
            boxes: graph[boxes].name, scores: graph[scores].name, form: .corners, normalized: true,
            backgroundClass: hasBackground && graph[scores].shape[2] > 1 ? 0 : nil,
            scoresAreLogits: !isSoftmax && !isSigmoid)
    }

    /// Boxes, classes and scores of an operator that has chosen among them.
    private static func chosenBoxes(_ graph: Graph) -> OutputInterpretation.BoxesAndScoresHead? {
        for node in graph.nodes {
            guard case .detectionPostProcess(let attributes) = node.operation else { continue }
            let outputs = node.outputs.prefix(3).compactMap { $0 }
            guard outputs.count == 3, outputs.allSatisfy(graph.outputs.contains), attributes.rows > 0 else { continue }
            return .init(
                boxes: graph[outputs[0]].name, scores: graph[outputs[2]].name, classes: graph[outputs[1]].name,
                form: .cornersYX, normalized: true, backgroundClass: nil, scoresAreLogits: false)
        }
        return nil
    }

    private static func classification(_ graph: Graph) -> OutputInterpretation.ClassificationHead? {
        guard graph.outputs.count == 1, let output = graph.outputs.first else { return nil }
        let value = graph[output]
        guard value.shape.rank >= 2, value.shape[1] >= 2, value.shape.dimensions.dropFirst(2).allSatisfy({ $0 == 1 }),
            value.meant.type == .float32
        else { return nil }
        let isProbability = ends(output, in: graph, with: .softmax) || ends(output, in: graph, with: .sigmoid)
        return .init(output: value.name, scoresAreLogits: !isProbability)
    }

    // MARK: Looking back

    private enum Ending { case sigmoid, softmax }

    /// Whether the function stands before an output with only movement between them.
    private static func ends(_ output: ValueID, in graph: Graph, with ending: Ending) -> Bool {
        let producers = graph.producers
        var waiting = [output]
        var seen = Set<ValueID>()
        while let id = waiting.popLast() {
            guard seen.insert(id).inserted, let index = producers[id] else { continue }
            let node = graph.nodes[index]
            switch (node.operation, ending) {
            case (.unary(.sigmoid), .sigmoid), (.softmax, .softmax): return true
            case (.convolution(let convolution), .sigmoid) where convolution.activation == .sigmoid: return true
            case (.gemm(let gemm), .sigmoid) where gemm.activation == .sigmoid: return true
            default: break
            }
            switch node.operation {
            case .quantizeLinear, .dequantizeLinear: waiting += node.inputs.compactMap { $0 }
            case let operation where operation.movesElements: waiting += node.inputs.compactMap { $0 }
            default: break
            }
        }
        return false
    }
}
