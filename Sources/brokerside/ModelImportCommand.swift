// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ModelCompression
import ModelGraph
import ONNX
import Tensors

struct ModelImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Turn an ONNX or TensorFlow Lite file into a model file.",
        discussion: """
            What frames become and what outputs mean is guessed where the network is of a known family; 'model inspect' \
            shows it, the options here say otherwise. With --calibrate the model is quantized to 8 bits.
            """)

    @Argument(help: ArgumentHelp("The network, an .onnx or .tflite file.", valueName: "file"))
    var source: String

    @Option(help: ArgumentHelp("The model file to write.", valueName: "file.bsm"))
    var output: String

    @Option(help: ArgumentHelp("Shape of an input. Repeat for each.", valueName: "name=1x3x320x320"))
    var shape: [Assignment] = []

    @Option(help: ArgumentHelp("Names of the classes: a file with one per line, or a list.", valueName: "file|a,b,c"))
    var labels: String?

    @Option(help: "Name of the model; the file's name by default.")
    var name: String?

    @Option(
        help: ArgumentHelp(
            "What the outputs mean: 'none', or a JSON file as 'model inspect --json' shows it.",
            valueName: "none|file.json"))
    var interpretation: String?

    @OptionGroup(title: "How frames become the input")
    var frames: PreprocessingOptions

    @Option(
        help: ArgumentHelp(
            "Quantize to 8 bits, with a folder of JPEG frames or .npy inputs as examples (20 to 40 are good).",
            valueName: "folder"))
    var calibrate: String?

    @Option(
        help: ArgumentHelp(
            "How much slower the quantized network may become by values that are kept in 16 bits or in float because they are sensitive; 1 keeps none.",
            valueName: "ratio"))
    var maxSlowdown = 1.1

    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard maxSlowdown >= 1, maxSlowdown.isFinite else { throw ValidationError("--max-slowdown must be at least 1") }
    }

    func run() throws {
        let result = try reported { try importModel() }
        if json {
            print(try ModelSummary(result.model, digest: result.digest, bytes: result.bytes).json())
            return
        }
        let share = String(format: "%.1f %%", 100 * Double(result.bytes) / Double(max(result.sourceBytes, 1)))
        print("\(output): \(result.bytes) bytes, \(share) of the \(result.sourceBytes) before, \(result.digest)")
        print(ModelSummary(result.model, digest: result.digest, bytes: result.bytes).text(), terminator: "")
    }

    private struct Result {
        var model: Model
        var digest: String
        var bytes: Int
        var sourceBytes: Int
    }

    private func importModel() throws -> Result {
        var shapes: [String: Shape] = [:]
        for entry in shape {
            guard let shape = Shape(text: entry.value) else {
                throw Failure("--shape \(entry.name): \(entry.value) is not a shape such as 1x3x320x320")
            }
            shapes[entry.name] = shape
        }
        var model = try ModelSource(path: source).load(shapes: shapes)
        if let name { model.name = name }
        if let labels { model.labels = try readLabels(labels) }
        if let interpretation { model.interpretation = try readInterpretation(interpretation) }
        try frames.apply(to: &model)
        try model.validate()
        if let calibrate {
            model = model.takingFrames()
            model = try quantized(model, CalibrationFolder(path: calibrate).examples(for: model))
        }
        let digest = try ModelFile.write(model, output)
        func size(_ path: String) -> Int {
            (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int).flatMap { $0 } ?? 0
        }
        return Result(model: model, digest: digest, bytes: size(output), sourceBytes: size(source))
    }

    private func quantized(_ model: Model, _ examples: [CalibrationFolder.Example]) throws -> Model {
        let progress = Progress()
        defer { progress.end() }
        var settings = PostTrainingQuantizer.Settings()
        settings.maximumSlowdown = maxSlowdown
        let quantizer = try PostTrainingQuantizer(model, settings: settings)
        var result = try quantizer.quantize(calibration: examples.map(\.inputs)) { progress.show($0, $1, of: $2) }
        let pictures = examples.indices.filter {
            examples[$0].isPicture && PostTrainingQuantizer.isForMeasuring($0, of: examples.count)
        }.map { examples[$0].file }
        if !pictures.isEmpty, model.interpretation?.isDetector ?? false {
            let agreement = try Evaluation.agreement(
                PictureNetwork(result), PictureNetwork(model), files: pictures,
                .init(threshold: 0.01, overlap: 0.45, confidence: 0.3))
            result.quantization?.agreement = agreement
        }
        return result
    }

    private func readLabels(_ text: String) throws -> [String] {
        guard FileManager.default.fileExists(atPath: text) else {
            return text.split(separator: ",", omittingEmptySubsequences: false).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
        }
        var lines = try String(contentsOfFile: text, encoding: .utf8).split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        ).map { $0.trimmingCharacters(in: .whitespaces) }
        while lines.last == "" { lines.removeLast() }
        return lines
    }

    private func readInterpretation(_ text: String) throws -> OutputInterpretation? {
        if text == "none" { return nil }
        do {
            return try JSONDecoder().decode(
                OutputInterpretation.self, from: Data(contentsOf: URL(fileURLWithPath: text)))
        } catch { throw Failure("--interpretation \(text): \(error)") }
    }
}

/// How frames become the input, as far as it is said on the command line.
struct PreprocessingOptions: ParsableArguments {
    @Option(
        help:
            "Order of the channels: \(ImagePreprocessing.ChannelOrder.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var channels: ImagePreprocessing.ChannelOrder?

    @Option(help: "How a frame is fitted: \(ImagePreprocessing.Fit.allCases.map(\.rawValue).joined(separator: ", ")).")
    var fit: ImagePreprocessing.Fit?

    @Option(help: "Pixel value of what a letterbox leaves uncovered, 0 to 255.")
    var padding: UInt8?

    @Option(help: ArgumentHelp("Subtracted from pixel values, one number or one per channel.", valueName: "m[,m,m]"))
    var mean: NumberList?

    @Option(help: ArgumentHelp("Then multiplied, one number or one per channel.", valueName: "s[,s,s]"))
    var scale: NumberList?

    private var isSilent: Bool {
        channels == nil && fit == nil && padding == nil && mean == nil && scale == nil
    }

    func apply(to model: inout Model) throws {
        if isSilent { return }
        guard let input = InterpretationGuess.imageInput(of: model.graph) else {
            throw Failure("the network has not one input that takes images, so nothing can be said about frames")
        }
        let value = model.graph[input]
        let count = InterpretationGuess.channels(of: value.shape)
        var result =
            model.preprocessing[value.name]
            ?? ImagePreprocessing(
                channelOrder: count == 1 ? .gray : .rgb, fit: .stretch, padding: 0,
                mean: [Float](repeating: 0, count: count), scale: [Float](repeating: 1, count: count))
        if let channels { result.channelOrder = channels }
        if let fit { result.fit = fit }
        if let padding { result.padding = padding }
        if let mean { result.mean = try mean.values(count) }
        if let scale { result.scale = try scale.values(count) }
        model.preprocessing[value.name] = result
    }
}

extension ImagePreprocessing.ChannelOrder: ExpressibleByArgument {}
extension ImagePreprocessing.Fit: ExpressibleByArgument {}

/// Numbers separated by commas.
struct NumberList: ExpressibleByArgument {
    let numbers: [Float]

    init?(argument: String) {
        let numbers = argument.split(separator: ",").map { Float($0) }
        guard !numbers.isEmpty, !numbers.contains(nil) else { return nil }
        self.numbers = numbers.compactMap { $0 }
    }

    func values(_ count: Int) throws -> [Float] {
        if numbers.count == count { return numbers }
        guard numbers.count == 1 else { throw Failure("\(numbers.count) numbers for \(count) channels") }
        return [Float](repeating: numbers[0], count: count)
    }
}

extension Shape {
    /// `1x3x320x320`
    init?(text: String) {
        let extents = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard extents.allSatisfy({ ($0 ?? -1) >= 0 }) else { return nil }
        self.init(extents.compactMap { $0 })
    }
}

/// A line on standard error that is written over, if somebody looks at it.
struct Progress: Sendable {
    private let isShown = isatty(STDERR_FILENO) != 0

    func show(_ title: String, _ done: Int, of all: Int) {
        if isShown { FileHandle.standardError.write(Data("\r\u{1b}[K\(title): \(done) of \(all)".utf8)) }
    }

    func end() { if isShown { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) } }
}
