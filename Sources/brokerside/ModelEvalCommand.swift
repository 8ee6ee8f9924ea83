// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ModelGraph
import Vision

struct ModelEvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Measure how right a network is on labelled pictures.",
        discussion: """
            A detector is compared with labels of the COCO form as pycocotools does it: average precision over overlaps \
            0.5 to 0.95, at most 100 detections per picture and category, by size of the objects. All detections count, \
            down to scores where hardly any is right, so the threshold is low; class names are matched with category names, \
            by order where none fits. A classifier is compared with the folders that its pictures lie in. With --against \
            the detections of another network, usually the one in float, take the place of labels.
            """)

    @Argument(help: ArgumentHelp("The network, a .bsm or .onnx file.", valueName: "model"))
    var model: String?

    @Option(help: ArgumentHelp("Folder of the pictures, JPEG files.", valueName: "folder"))
    var images: String?

    @Option(help: ArgumentHelp("Labels of the pictures, COCO form.", valueName: "file.json"))
    var labels: String?

    @Flag(help: "The folder holds a folder of pictures per class.")
    var folder = false

    @Option(help: ArgumentHelp("Agreement with the detections of this network.", valueName: "model"))
    var against: String?

    @Option(help: "Lowest score of a detection that is looked at, 0 to 1.")
    var threshold: Float = 0.001

    @Option(help: "Of two boxes of a class that overlap more than this, the better one stays, 0 to 1.")
    var overlap: Float = 0.65

    @Option(help: "With --against: lowest score of the other network's detections, 0 to 1.")
    var confidence: Float = 0.3

    @Option(help: ArgumentHelp("Write the detections here too, as COCO takes results.", valueName: "file.json"))
    var detections: String?

    @Option(
        help: ArgumentHelp(
            "Detections to compare with the labels in place of a network's, as COCO takes results.",
            valueName: "file.json"))
    var results: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        let kinds = [labels != nil, folder, against != nil].count { $0 }
        guard kinds == 1 else { throw ValidationError("say one of --labels, --folder and --against") }
        guard [threshold, overlap, confidence].allSatisfy({ (0...1).contains($0) }) else {
            throw ValidationError("--threshold, --overlap and --confidence must be 0 to 1")
        }
        guard (results == nil) == (model != nil && images != nil) else {
            throw ValidationError("say a network and --images, or --results without them")
        }
        guard labels != nil || detections == nil && results == nil else {
            throw ValidationError("--detections and --results go with --labels")
        }
    }

    func run() throws {
        if let results, let labels {
            let result = try reported {
                try Evaluation.ofResults(COCODetection.read(results), labels: COCOLabels(path: labels))
            }
            return try show(result, text: result.text)
        }
        guard let model, let images else { return }
        let network = try reported { try PictureNetwork(ModelSource(path: model).load()) }
        let files = Evaluation.Options(
            folder: images, threshold: threshold, overlap: overlap, confidence: confidence, detections: detections)
        if let labels {
            let result = try reported { try Evaluation.ofDetector(network, labels: COCOLabels(path: labels), files) }
            try show(result, text: result.text)
        } else if let against {
            let other = try reported { try PictureNetwork(ModelSource(path: against).load()) }
            let result = try reported {
                try Evaluation.agreement(network, other, files: Evaluation.pictures(in: images), files)
            }
            try show(result, text: result.text)
        } else {
            let result = try reported { try Evaluation.ofClassifier(network, folder: images) }
            try show(result, text: result.text)
        }
    }

    private func show(_ result: some Encodable, text: String) throws {
        guard json else { return print(text, terminator: "") }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        print(String(decoding: try encoder.encode(result), as: UTF8.self))
    }
}
