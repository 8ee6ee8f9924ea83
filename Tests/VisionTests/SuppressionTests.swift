// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct SuppressionTests {
    /// Detections of boxes in corners of a 100 x 100 input, each with the scores of two classes.
    private func suppressed(
        _ boxes: [(corners: [Float], scores: [Float])],
        _ change: (inout DetectionInterpreter.Settings) -> Void = { _ in }
    ) throws -> [Detection] {
        let head = OutputInterpretation.boxesAndScores(
            .init(
                boxes: "boxes", scores: "scores", form: .corners, normalized: false, backgroundClass: nil,
                scoresAreLogits: false))
        return try Outputs(
            descriptions: [
                .init(name: "boxes", shape: [1, boxes.count, 4]), .init(name: "scores", shape: [1, boxes.count, 2]),
            ], values: [boxes.flatMap(\.corners), boxes.flatMap(\.scores)]
        ).detections(head, width: 100, height: 100, change)
    }

    @Test func theBetterOfTwoOverlappingBoxesStays() throws {
        let found = try suppressed([([0, 0, 10, 10], [0.6, 0]), ([1, 0, 11, 10], [0.8, 0])])
        #expect(found.map(\.score) == [0.8])
    }

    @Test func overlapAtTheThresholdIsKept() throws {
        // 10 x 10 boxes shifted by 2: 80 / 120
        let boxes: [([Float], [Float])] = [([0, 0, 10, 10], [0.6, 0]), ([2, 0, 12, 10], [0.8, 0])]
        #expect(try suppressed(boxes) { $0.overlapThreshold = 0.67 }.count == 2)
        #expect(try suppressed(boxes) { $0.overlapThreshold = 0.66 }.count == 1)
    }

    @Test func classesDoNotSuppressEachOther() throws {
        let found = try suppressed([([0, 0, 10, 10], [0.6, 0]), ([0, 0, 10, 10], [0, 0.8])])
        #expect(found.map(\.classIndex) == [1, 0])
    }

    @Test func whatIsSuppressedSuppressesNothing() throws {
        // a > b > c in score; b overlaps both, a and c do not overlap.
        let found = try suppressed([
            ([0, 0, 10, 10], [0.9, 0]), ([4, 0, 14, 10], [0.8, 0]), ([8, 0, 18, 10], [0.7, 0]),
        ]) { $0.overlapThreshold = 0.3 }
        #expect(found.map(\.score) == [0.9, 0.7])
    }

    @Test func equalScoresGoByTheNetworksOrder() throws {
        let found = try suppressed([
            ([0, 0, 10, 10], [0.6, 0]), ([1, 0, 11, 10], [0.6, 0]), ([50, 0, 60, 10], [0.6, 0]),
        ])
        #expect(found.map(\.box.x) == [0, 50])
    }

    @Test func detectionsAreLimited() throws {
        let boxes = (0..<9).map { (index: Int) -> (corners: [Float], scores: [Float]) in
            let left = Float(index * 11)
            return ([left, 0, left + 10, 9], [0.5 + Float(index) / 20, 0])
        }
        let found = try suppressed(boxes) { $0.maximumDetections = 3 }
        #expect(found.map(\.score) == [0.9, 0.85, 0.8])
    }

    @Test func candidatesAreLimitedToTheBest() throws {
        let boxes = (0..<5000).map { (index: Int) -> (corners: [Float], scores: [Float]) in
            let left = Float(index % 100)
            return ([left, 0, left + 0.5, 9], [0.5 + Float(index) / 20_000, 0])
        }
        let found = try suppressed(boxes)
        #expect(found.count == 100)
        #expect(found.first?.score == 0.5 + 4999 / 20_000)
        #expect(zip(found, found.dropFirst()).allSatisfy { $0.score > $1.score })
    }
}
