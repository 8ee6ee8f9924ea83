// SPDX-License-Identifier: Apache-2.0

import Foundation
import ModelGraph
import Tensors
import Vision

/// What `model eval` measures.
enum Evaluation {
    /// Detections of all categories together that a picture may have; COCO then takes the best 100 of each category.
    private static let maximumDetections = 1000

    struct Options {
        var folder = ""
        var threshold: Float
        var overlap: Float
        var confidence: Float
        /// Where detections are written to.
        var detections: String?
    }

    // MARK: Detectors

    struct DetectorResult: Encodable {
        var pictures: Int
        var detections: Int
        var coco: AveragePrecision.Summary
        /// By name of the category, of those that occur.
        var categories: [String: Double]
        var notes: [String]

        init(_ precision: AveragePrecision, _ labels: COCOLabels, detections: Int, notes: [String]) {
            pictures = precision.pictures
            self.detections = detections
            coco = precision.summary
            let named = labels.categories.compactMap { category in
                precision.averagePrecision(category: category.identifier).map { (category.name, $0) }
            }
            categories = Dictionary(named) { first, _ in first }
            self.notes = notes
        }

        var text: String {
            func row(_ name: String, _ value: Double) -> String {
                name.padding(toLength: 22, withPad: " ", startingAt: 0) + percent(value) + "\n"
            }
            return "pictures              \(pictures), \(detections) detections\n"
                + row("AP", coco.averagePrecision) + row("AP50", coco.averagePrecision50)
                + row("AP75", coco.averagePrecision75) + row("AP small", coco.averagePrecisionSmall)
                + row("AP medium", coco.averagePrecisionMedium) + row("AP large", coco.averagePrecisionLarge)
                + row("AR 1", coco.averageRecall1) + row("AR 10", coco.averageRecall10)
                + row("AR 100", coco.averageRecall100) + row("AR small", coco.averageRecallSmall)
                + row("AR medium", coco.averageRecallMedium) + row("AR large", coco.averageRecallLarge)
                + notes.map { "note: \($0)\n" }.joined()
        }
    }

    static func ofDetector(
        _ network: PictureNetwork, labels: COCOLabels, _ options: Options
    ) throws -> DetectorResult {
        let pictures = labels.pictures.filter {
            FileManager.default.fileExists(atPath: "\(options.folder)/\($0.file)")
        }
        guard !pictures.isEmpty else {
            throw Failure(
                "\(options.folder) holds none of the labelled pictures, such as \(labels.pictures[0].file)")
        }
        let classes = network.model.labels
        let found = try detections(network, pictures.map { "\(options.folder)/\($0.file)" }, options)
        let seen = 1 + (found.joined().map(\.classIndex).max() ?? 0)
        let mapping = try labels.mapping(
            labels: classes, classCount: network.classCount ?? max(seen, labels.categories.count),
            background: network.background)
        var notes = [mapping.note].compactMap { $0 }
        if pictures.count < labels.pictures.count {
            notes.append("\(labels.pictures.count - pictures.count) labelled pictures are not in the folder")
        }
        var precision = AveragePrecision()
        var written: [COCODetection] = []
        for (picture, detections) in zip(pictures, found) {
            let findings = detections.compactMap { detection -> AveragePrecision.Finding? in
                guard detection.classIndex < mapping.categories.count,
                    let category = mapping.categories[detection.classIndex]
                else { return nil }
                return AveragePrecision.Finding(detection, category: category)
            }
            precision.add(objects: picture.objects, findings: findings)
            if options.detections != nil {
                written += findings.map { COCODetection($0, picture: picture.identifier) }
            }
        }
        if let path = options.detections { try COCODetection.write(written, path) }
        return DetectorResult(
            precision, labels, detections: found.reduce(0) { $0 + $1.count }, notes: notes)
    }

    static func ofResults(_ results: [COCODetection], labels: COCOLabels) throws -> DetectorResult {
        let found = Dictionary(grouping: results, by: \.picture)
        var precision = AveragePrecision()
        for picture in labels.pictures {
            precision.add(
                objects: picture.objects, findings: (found[picture.identifier] ?? []).compactMap(\.finding))
        }
        return DetectorResult(precision, labels, detections: results.count, notes: [])
    }

    // MARK: Agreement

    static func agreement(
        _ network: PictureNetwork, _ other: PictureNetwork, files: [String], _ options: Options
    ) throws -> QuantizationReport.Agreement {
        let expected = try detections(other, files, options)
        return agreement(
            try detections(network, files, options), expected.map { $0.filter { $0.score >= options.confidence } },
            confidence: options.confidence)
    }

    /// - Parameters:
    ///   - expected: what should be found, per picture.
    ///   - confidence: the least score of these.
    static func agreement(
        _ found: [[Detection]], _ expected: [[Detection]], confidence: Float
    ) -> QuantizationReport.Agreement {
        var (precision, confident) = (AveragePrecision(), AveragePrecision())
        for (found, expected) in zip(found, expected) {
            let objects = expected.map {
                AveragePrecision.Object(category: $0.classIndex, box: AveragePrecision.Rectangle($0.box))
            }
            func findings(_ detections: [Detection]) -> [AveragePrecision.Finding] {
                detections.map { AveragePrecision.Finding($0, category: $0.classIndex) }
            }
            precision.add(objects: objects, findings: findings(found))
            confident.add(objects: objects, findings: findings(found.filter { $0.score >= confidence }))
        }
        return QuantizationReport.Agreement(
            pictures: expected.count, detections: expected.reduce(0) { $0 + $1.count }, foundAgain: confident.recall50,
            foundAtAnyScore: precision.recall50,
            averagePrecision: precision.summary.averagePrecision)
    }

    // MARK: Classifiers

    struct ClassifierResult: Encodable {
        var pictures: Int
        var top1: Double
        var top5: Double
        /// By name of the folder: share of its pictures whose best class is right.
        var classes: [String: Double]
        var notes: [String]

        var text: String {
            "pictures              \(pictures) in \(classes.count) classes\n"
                + "top 1                 \(percent(top1))\ntop 5                 \(percent(top5))\n"
                + notes.map { "note: \($0)\n" }.joined()
        }
    }

    static func ofClassifier(_ network: PictureNetwork, folder: String) throws -> ClassifierResult {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter {
            (try? pictures(in: "\(folder)/\($0)").isEmpty) == false
        }
        guard !names.isEmpty else { throw Failure("\(folder) holds no folder with JPEG files") }
        let (classes, note) = try classIndices(names, labels: network.model.labels)
        var files: [(path: String, index: Int)] = []
        for (index, name) in names.enumerated() {
            files += try pictures(in: "\(folder)/\(name)").map { ($0, index) }
        }
        let progress = Progress()
        let count = files.count
        let results = try network.classifications(in: files.map(\.path), settings: .init()) {
            progress.show("evaluating", $0, of: count)
        }
        progress.end()
        var (best, amongFive) = ([Int](repeating: 0, count: names.count), 0)
        var totals = best
        for (file, result) in zip(files, results) {
            totals[file.index] += 1
            if result.first?.classIndex == classes[file.index] { best[file.index] += 1 }
            if result.prefix(5).contains(where: { $0.classIndex == classes[file.index] }) { amongFive += 1 }
        }
        return ClassifierResult(
            pictures: count, top1: Double(best.reduce(0, +)) / Double(count), top5: Double(amongFive) / Double(count),
            classes: Dictionary(
                uniqueKeysWithValues: names.indices.map { (names[$0], Double(best[$0]) / Double(totals[$0])) }),
            notes: [note].compactMap { $0 })
    }

    /// The class that a folder stands for: by its name, or its number, or its place among the folders.
    private static func classIndices(_ names: [String], labels: [String]) throws -> ([Int], String?) {
        let plain = labels.map { $0.lowercased() }
        let named = names.map { plain.firstIndex(of: $0.lowercased()) }
        if named.allSatisfy({ $0 != nil }) { return (named.compactMap { $0 }, nil) }
        let unknown = zip(names, named).filter { $1 == nil }.map(\.0)
        guard unknown.count == names.count else {
            throw Failure("no class of the model is called \(unknown.joined(separator: ", "))")
        }
        let numbers = names.compactMap { Int($0) }
        if numbers.count == names.count { return (numbers, "folders are read as numbers of classes") }
        return (Array(names.indices), "no folder is called as a class, so folders stand for classes in their order")
    }

    // MARK: Helpers

    static func percent(_ value: Double) -> String {
        value < 0 ? "-" : String(format: "%.2f %%", value * 100)
    }

    private static func detections(
        _ network: PictureNetwork, _ files: [String], _ options: Options
    ) throws -> [[Detection]] {
        var settings = DetectionInterpreter.Settings()
        settings.scoreThreshold = options.threshold
        settings.overlapThreshold = options.overlap
        settings.maximumDetections = maximumDetections
        let progress = Progress()
        defer { progress.end() }
        return try network.detections(in: files, settings: settings) {
            progress.show("evaluating", $0, of: files.count)
        }
    }

    /// The JPEG files of a folder in the order of their names.
    static func pictures(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter {
            ["jpg", "jpeg"].contains(($0 as NSString).pathExtension.lowercased())
        }.map { "\(folder)/\($0)" }
    }
}

extension OutputInterpretation {
    var isDetector: Bool { if case .classification = self { false } else { true } }
}

extension QuantizationReport.Agreement {
    var text: String {
        """
        pictures              \(pictures), \(detections) detections of the other network
        found again           \(Evaluation.percent(foundAgain)), at any score \(Evaluation.percent(foundAtAnyScore))
        AP against them       \(Evaluation.percent(averagePrecision))

        """
    }
}

extension AveragePrecision.Rectangle {
    init(_ box: Box) {
        self.init(x: Double(box.x), y: Double(box.y), width: Double(box.width), height: Double(box.height))
    }
}

extension AveragePrecision.Finding {
    init(_ detection: Detection, category: Int) {
        self.init(category: category, box: .init(detection.box), score: Double(detection.score))
    }
}
