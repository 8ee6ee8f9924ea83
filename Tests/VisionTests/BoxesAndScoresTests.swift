// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct BoxesAndScoresTests {
    private func head(
        _ form: OutputInterpretation.BoxesAndScoresHead.BoxForm, normalized: Bool = true, logits: Bool = false
    ) -> OutputInterpretation {
        .boxesAndScores(
            .init(
                boxes: "boxes", scores: "scores", form: form, normalized: normalized, backgroundClass: 0,
                scoresAreLogits: logits))
    }

    private func outputs(boxes: [[Float]], scores: [[Float]]) -> Outputs {
        Outputs(
            descriptions: [
                .init(name: "scores", shape: [1, scores.count, scores[0].count]),
                .init(name: "boxes", shape: [1, boxes.count, 4]),
            ],
            values: [scores.flatMap { $0 }, boxes.flatMap { $0 }])
    }

    @Test(
        arguments: [
            (OutputInterpretation.BoxesAndScoresHead.BoxForm.corners, true, [0.1, 0.2, 0.5, 0.4]),
            (.cornersYX, true, [0.2, 0.1, 0.4, 0.5]), (.centre, true, [0.3, 0.3, 0.4, 0.2]),
            (.corners, false, [10, 10, 50, 20]), (.centre, false, [30, 15, 40, 10]),
        ] as [(OutputInterpretation.BoxesAndScoresHead.BoxForm, Bool, [Float])])
    func boxFormsDecode(form: OutputInterpretation.BoxesAndScoresHead.BoxForm, normalized: Bool, values: [Float]) throws
    {
        let found = try outputs(boxes: [values, values], scores: [[0.9, 0.1], [0.3, 0.7]])
            .detections(head(form, normalized: normalized), width: 100, height: 50, labels: ["face"])
        try #require(found.count == 1)
        #expect(found[0].classIndex == 0 && found[0].score == 0.7)
        #expect(isNear(found[0].box, 10, 10, 40, 10))
    }

    @Test func backgroundMayHaveALabel() throws {
        let found = try outputs(boxes: [[0, 0, 1, 1]], scores: [[0.1, 0.9]])
            .detections(head(.corners), width: 10, height: 10, labels: ["background", "face"])
        #expect(found.map(\.classIndex) == [1])
    }

    @Test func classesMayBeChosenByTheNetwork() throws {
        let boxes: [Float] = [0.1, 0, 0.3, 1, 0.3, 0, 0.5, 1, 0.5, 0, 0.7, 1, 0.7, 0, 0.9, 1]
        let outputs = Outputs(
            descriptions: [
                .init(name: "boxes", shape: [1, 4, 4]), .init(name: "classes", shape: [1, 4]),
                .init(name: "scores", shape: [1, 4]),
            ], values: [boxes, [1, 7, .nan, 0], [0.75, 0.9, 0.9, 0.25]])
        let head = OutputInterpretation.BoxesAndScoresHead(
            boxes: "boxes", scores: "scores", classes: "classes", form: .cornersYX, normalized: true,
            backgroundClass: nil, scoresAreLogits: false)
        let found = try outputs.detections(.boxesAndScores(head), width: 100, height: 100, labels: ["cat", "dog"])
        // Neither a class that does not exist, nor one that is no number, nor a low score.
        try #require(found.count == 1)
        #expect(found[0].classIndex == 1 && found[0].score == 0.75 && isNear(found[0].box, 0, 10, 100, 20))
    }

    @Test func logitsGoThroughSoftmax() throws {
        let found = try outputs(boxes: [[0, 0, 1, 1], [0, 0, 1, 1]], scores: [[0, 2, 1], [3, 2, 2.5]])
            .detections(head(.corners, logits: true), width: 10, height: 10)
        try #require(found.count == 1)
        #expect(found[0].classIndex == 1 && abs(found[0].score - 0.665_241) < 1e-5)
    }

    @Test func boxesWithoutAreaOrOutsideAreDropped() throws {
        let found = try outputs(
            boxes: [[0.5, 0.5, 0.5, 0.9], [0.9, 0, 0.1, 1], [1.2, 0, 1.5, 1], [.nan, 0, 1, 1]],
            scores: Array(repeating: [0, 1], count: 4)
        ).detections(head(.corners), width: 10, height: 10)
        #expect(found.isEmpty)
    }

    @Test func shapesMustFitEachOther() {
        #expect(throws: InterpretationError.self) {
            try outputs(boxes: [[0, 0, 1, 1]], scores: [[0, 1], [0, 1]])
                .detections(head(.corners), width: 10, height: 10)
        }
    }
}
