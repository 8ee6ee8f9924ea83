// SPDX-License-Identifier: Apache-2.0

import Tensors

/// SSD with decoded boxes (Liu et al., 2016, arXiv:1512.02325): boxes [N, boxes, 4] and scores [N, boxes, classes].
///
/// A network that has chosen the class of each box gives scores [N, boxes] and classes [N, boxes].
/// Of logits with a background class the softmax is taken over all classes; of logits without, the sigmoid of each.
struct BoxesAndScoresHead: DetectionHead {
    private let boxes: Int
    private let scores: Int
    /// Nil where scores have a column per class.
    private let classes: Int?
    private let form: OutputInterpretation.BoxesAndScoresHead.BoxForm
    private let scaleX: Float
    private let scaleY: Float
    private let isLogit: Bool
    private let threshold: Float
    private let enough: Float
    let classCount: Int
    let cellCount: Int
    /// Classes that can be told apart where a network chooses them and there are no labels.
    private static let unnamedClasses = 1024

    init(
        _ head: OutputInterpretation.BoxesAndScoresHead, _ table: OutputTable, inputWidth: Int, inputHeight: Int,
        threshold: Float, labelCount: Int
    ) throws(InterpretationError) {
        boxes = try table.index(of: head.boxes)
        scores = try table.index(of: head.scores)
        let (boxShape, scoreShape) = (table.outputs[boxes].shape, table.outputs[scores].shape)
        guard boxShape.rank == 3, boxShape[2] == 4 else {
            throw .shape(output: head.boxes, shape: boxShape, expected: "NxBOXESx4")
        }
        classes = try head.classes.map { (name) throws(InterpretationError) in try table.index(of: name) }
        if let classes {
            let expected = Shape([boxShape[0], boxShape[1]])
            for index in [scores, classes] where table.outputs[index].shape != expected {
                throw .shape(
                    output: table.outputs[index].name, shape: table.outputs[index].shape, expected: "\(expected)")
            }
            classCount = labelCount > 0 ? labelCount : Self.unnamedClasses
        } else {
            guard scoreShape.rank == 3, scoreShape[1] == boxShape[1], scoreShape[2] > 0 else {
                throw .shape(output: head.scores, shape: scoreShape, expected: "Nx\(boxShape[1])xCLASSES")
            }
            classCount = scoreShape[2]
        }
        cellCount = boxShape[1]
        form = head.form
        isLogit = head.scoresAreLogits
        self.threshold = threshold
        enough = rawThreshold(threshold, isLogit: isLogit)
        scaleX = head.normalized ? Float(inputWidth) : 1
        scaleY = head.normalized ? Float(inputHeight) : 1
    }

    func collect(_ outputs: [UnsafePointer<Float>], classes: ClassTable, into heap: inout CandidateHeap) {
        if let chosen = self.classes {
            return collect(outputs[scores], outputs[chosen], classes: classes, into: &heap)
        }
        var row = outputs[scores]
        for cell in 0..<cellCount {
            defer { row += classCount }
            var best = (value: -Float.infinity, index: 0)
            for column in 0..<classCount where row[column] > best.value && column != classes.background {
                best = (row[column], column)
            }
            guard classes.labelOfColumn[best.index] >= 0 else { continue }
            let score: Float
            if let background = classes.background, isLogit {
                // The softmax is at most the sigmoid of the difference to the background.
                guard best.value - row[background] >= enough else { continue }
                var sum: Float = 0
                for column in 0..<classCount { sum += exponential(row[column] - best.value) }
                score = 1 / sum
            } else {
                guard best.value >= enough else { continue }
                score = isLogit ? sigmoid(best.value) : min(best.value, 1)
            }
            guard score >= threshold else { continue }
            heap.add(Candidate(score: score, cell: Int32(cell), column: Int32(best.index)))
        }
    }

    /// Classes that do not exist are passed over.
    private func collect(
        _ scores: UnsafePointer<Float>, _ chosen: UnsafePointer<Float>, classes: ClassTable,
        into heap: inout CandidateHeap
    ) {
        for cell in 0..<cellCount where scores[cell] >= enough {
            guard let column = Int(exactly: chosen[cell]), (0..<classCount).contains(column),
                classes.labelOfColumn[column] >= 0
            else { continue }
            let score = isLogit ? sigmoid(scores[cell]) : min(scores[cell], 1)
            if score >= threshold { heap.add(Candidate(score: score, cell: Int32(cell), column: Int32(column))) }
        }
    }

    func corners(of cell: Int, _ outputs: [UnsafePointer<Float>]) -> Corners {
        let row = outputs[boxes] + cell * 4
        return switch form {
        case .corners: Corners(x0: row[0] * scaleX, y0: row[1] * scaleY, x1: row[2] * scaleX, y1: row[3] * scaleY)
        case .cornersYX: Corners(x0: row[1] * scaleX, y0: row[0] * scaleY, x1: row[3] * scaleX, y1: row[2] * scaleY)
        case .centre:
            Corners(
                centreX: row[0] * scaleX, centreY: row[1] * scaleY, width: row[2] * scaleX, height: row[3] * scaleY)
        }
    }
}
