// SPDX-License-Identifier: Apache-2.0

import Foundation
import ModelGraph
import Tensors
import TestSupport
import Testing
import Vision

/// `model eval` from files to numbers.
@Suite(.serialized) struct EvaluationCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func run(_ arguments: [String]) async throws -> ProgramRun {
        let program = try ProgramRun("brokerside", ["model", "eval"] + arguments)
        _ = await program.wait()
        return program
    }

    private func json(_ program: ProgramRun) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(program.output.utf8)) as? [String: Any])
    }

    private static let labels = """
        {"images": [{"id": 5, "file_name": "a.jpg"}], "categories": [{"id": 3, "name": "cat"}],
         "annotations": [{"id": 1, "image_id": 5, "category_id": 3, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0},
                         {"id": 2, "image_id": 5, "category_id": 3, "bbox": [200, 0, 50, 50], "area": 2500, "iscrowd": 0}]}
        """

    @Test func detectionsAreComparedWithLabels() async throws {
        let labels = try folder.write("labels.json", Self.labels)
        let results = try folder.write(
            "results.json",
            """
            [{"image_id": 5, "category_id": 3, "bbox": [400, 0, 50, 50], "score": 0.9},
             {"image_id": 5, "category_id": 3, "bbox": [0, 0, 50, 50], "score": 0.8}]
            """)
        let program = try await run(["--labels", labels, "--results", results, "--json"])
        #expect(program.end == .exit(0))
        let coco = try #require(try json(program)["coco"] as? [String: Double])
        // Recall 0.5 at precision 1/2: 51 of 101 recalls.
        #expect(abs(try #require(coco["average_precision"]) - 51.0 / 101 / 2) < 1e-12)
        #expect(coco["average_precision_small"] == -1)
    }

    @Test(arguments: ["{", "[]", #"{"images": [], "annotations": [], "categories": []}"#])
    func whatAreNoLabelsIsSaid(text: String) async throws {
        let labels = try folder.write("labels.json", text)
        let results = try folder.write("results.json", "[]")
        let program = try await run(["--labels", labels, "--results", results])
        #expect(program.end == .exit(1) && program.errors.contains(labels))
    }

    /// A network that says which colour prevails: the mean of each channel.
    private func colours() throws -> String {
        var builder = GraphBuilder()
        let x = try builder.addInput("image", .float32, [1, 3, 8, 8])
        let mean = try builder.add("mean", .globalPool(.average), [x], outputs: ["mean"])
        let scores = try builder.add("flat", .reshape([1, 3]), [mean[0]], outputs: ["scores"])
        let frames = ImagePreprocessing(
            channelOrder: .rgb, fit: .stretch, padding: 0, mean: [0, 0, 0], scale: [0.01, 0.01, 0.01])
        let model = Model(
            name: "colours", graph: try builder.finish(outputs: scores.compactMap { $0 }),
            preprocessing: ["image": frames],
            interpretation: .classification(.init(output: "scores", scoresAreLogits: true)),
            labels: ["red", "green", "blue"])
        let path = folder.file("colours.bsm")
        try ModelFile.write(model, path)
        return path
    }

    @Test func foldersAreClasses() async throws {
        let model = try colours()
        let encoder = JPEGEncoder()
        for (name, colour) in [("red", [200, 20, 20]), ("green", [20, 200, 20]), ("blue", [200, 40, 20])] {
            let pixels = (0..<256).flatMap { _ in colour.map { UInt8($0) } }
            let data = encoder.encode(rgb: pixels, width: 16, height: 16)
            let path = folder.file("pictures/\(name)")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try Data(data).write(to: URL(fileURLWithPath: "\(path)/1.jpg"))
        }
        let program = try await run([model, "--images", folder.file("pictures"), "--folder", "--json"])
        #expect(program.end == .exit(0))
        let result = try json(program)
        // The picture in "blue" is red.
        #expect(abs(try #require(result["top1"] as? Double) - 2.0 / 3) < 1e-9)
        #expect(result["top5"] as? Double == 1)
        #expect((result["classes"] as? [String: Double])?["blue"] == 0)
    }
}
