// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct GridTests {
    /// A 32 x 16 input at strides 8 and 16: 4 x 2 and 2 x 1 cells, two classes.
    private let head = OutputInterpretation.grid(.init(output: "out", strides: [8, 16], scoresAreLogits: false))

    private func outputs(_ cells: [Int: [Float]], count: Int = 10) -> Outputs {
        var values = [Float](repeating: 0, count: count * 7)
        for (cell, row) in cells { values.replaceSubrange(cell * 7..<cell * 7 + 7, with: row) }
        return Outputs(descriptions: [.init(name: "out", shape: [count / 10, 10, 7])], values: [values])
    }

    @Test func cellsDecodeByTheirStride() throws {
        let found = try outputs([6: [0.5, 0.25, 0, 0, 0.9, 0.1, 0.8], 9: [0, 0.5, -0.693_147_2, 0, 1, 0.9, 0]])
            .detections(head, width: 32, height: 16)
        try #require(found.count == 2)
        // cell 9 is column 1 of stride 16: centre (16, 8), size (8, 16)
        #expect(found[0].classIndex == 0 && abs(found[0].score - 0.9) < 1e-6)
        #expect(isNear(found[0].box, 12, 0, 8, 16))
        // cell 6 is column 2, row 1 of stride 8: centre (20, 10), size (8, 8)
        #expect(found[1].classIndex == 1 && abs(found[1].score - 0.72) < 1e-6)
        #expect(isNear(found[1].box, 16, 6, 8, 8))
    }

    @Test func logitsBecomeProbabilities() throws {
        let head = OutputInterpretation.grid(.init(output: "out", strides: [8, 16], scoresAreLogits: true))
        let low: [Float] = [0, 0, 0, 0, -20, -20, -20]
        var cells = Dictionary(uniqueKeysWithValues: (0..<10).map { ($0, low) })
        cells[0] = [0.5, 0.5, 0, 0, 2, -1, 3]
        let found = try outputs(cells).detections(head, width: 32, height: 16)
        #expect(found.count == 1 && found[0].classIndex == 1)
        #expect(abs(found[0].score - 0.880_797 * 0.952_574) < 1e-5)
    }

    @Test func itemsOfABatchAreTakenApart() throws {
        let batch = outputs([12: [0.5, 0.5, 0, 0, 1, 1, 0]], count: 20)
        #expect(try batch.detections(head, width: 32, height: 16, item: 0).isEmpty)
        let found = try batch.detections(head, width: 32, height: 16, item: 1)
        #expect(found.count == 1 && isNear(found[0].box, 16, 0, 8, 8))
    }

    @Test func boxesComeInFramePixels() throws {
        let input = ImageInput(width: 32, height: 16, fit: .letterbox)
        let geometry = FrameGeometry(frameWidth: 64, frameHeight: 64, input: input)  // 16 x 16 at x = 8
        let found = try outputs([5: [0.5, 0, 0, 0, 1, 1, 0]])
            .detections(head, width: 32, height: 16, geometry: geometry)
        #expect(found.count == 1 && isNear(found[0].box, 0, 16, 32, 32))
    }

    @Test func nonsenseIsIgnored() throws {
        let values: [Float] = [.nan, .infinity, -.infinity, 1e38, -1e38, 0, 1]
        var cells: [Int: [Float]] = [:]
        for cell in 0..<10 { cells[cell] = (0..<7).map { values[(cell * 5 + $0 * 3) % 7] } }
        for isLogit in [true, false] {
            let head = OutputInterpretation.grid(.init(output: "out", strides: [8, 16], scoresAreLogits: isLogit))
            for detection in try outputs(cells).detections(head, width: 32, height: 16) {
                #expect(detection.score >= 0.5 && detection.score <= 1)
                #expect(detection.box.x >= 0 && detection.box.x + detection.box.width <= 32)
                #expect(detection.box.y >= 0 && detection.box.y + detection.box.height <= 16)
            }
        }
    }

    @Test func unwantedClassesAreLeftOut() throws {
        let cells: [Int: [Float]] = [0: [0, 0, 0, 0, 1, 1, 0], 7: [0, 0, 0, 0, 1, 0, 1]]
        let found = try outputs(cells).detections(head, width: 32, height: 16, labels: ["cat", "dog"]) {
            $0.classes = ["dog"]
        }
        #expect(found.map(\.classIndex) == [1])
    }

    @Test func wrongDescriptionsAreRefused() {
        let outputs = outputs([:])
        #expect(throws: InterpretationError.missingOutput("x", available: ["out"])) {
            try outputs.detections(
                .grid(.init(output: "x", strides: [8], scoresAreLogits: false)), width: 32, height: 16)
        }
        #expect(throws: InterpretationError.self) {
            try outputs.detections(
                .grid(.init(output: "out", strides: [8], scoresAreLogits: false)), width: 32, height: 16)
        }
        #expect(throws: InterpretationError.labelCount(3, classes: 2)) {
            try outputs.detections(head, width: 32, height: 16, labels: ["a", "b", "c"])
        }
        #expect(throws: InterpretationError.unknownClass("bird")) {
            try outputs.detections(head, width: 32, height: 16, labels: ["a", "b"]) { $0.classes = ["bird"] }
        }
        #expect(throws: InterpretationError.self) {
            try outputs.detections(head, width: 32, height: 16) { $0.scoreThreshold = .nan }
        }
        #expect(throws: InterpretationError.wrongKind(wanted: "detector")) {
            try outputs.detections(
                .classification(.init(output: "out", scoresAreLogits: true)), width: 32, height: 16)
        }
    }
}
