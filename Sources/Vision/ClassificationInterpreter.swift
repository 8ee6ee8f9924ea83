// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Turns the output of a classifier into its best classes. One per worker.
package final class ClassificationInterpreter {
    package struct Settings: Hashable, Sendable {
        /// Least score, 0...1.
        package var scoreThreshold: Float = 0
        /// Labels to report, or column numbers where the model has no labels; nil for all.
        package var classes: [String]?
        package var maximumClasses = 5

        package init() {}
    }

    private let output: Int
    private let classCount: Int
    private let isLogit: Bool
    private let classes: ClassTable
    private let settings: Settings
    private var heap: CandidateHeap

    /// - Parameter outputs: names and shapes, in the order in which the outputs will come.
    package init(
        _ interpretation: OutputInterpretation, outputs: [OutputDescription], labels: [String],
        settings: Settings = Settings()
    ) throws(InterpretationError) {
        guard case .classification(let head) = interpretation else { throw .wrongKind(wanted: "classifier") }
        guard settings.scoreThreshold >= 0, settings.scoreThreshold <= 1 else {
            throw .setting("the score threshold must be 0...1")
        }
        guard settings.maximumClasses > 0 else { throw .setting("at least one class must be allowed") }
        output = try OutputTable(outputs: outputs).index(of: head.output)
        let shape = outputs[output].shape
        classCount = try outputs[output].elementsPerFrame()
        guard shape.rank >= 2, classCount > 0, shape.dimensions.dropFirst().filter({ $0 != 1 }).count <= 1 else {
            throw .shape(output: head.output, shape: shape, expected: "NxCLASSES")
        }
        isLogit = head.scoresAreLogits
        classes = try ClassTable(columns: classCount, background: nil, labels: labels, wanted: settings.classes)
        self.settings = settings
        heap = CandidateHeap(capacity: min(settings.maximumClasses, classCount))
    }

    /// The classes of one frame that reach the threshold, best first; of logits the softmax. What is not a number is
    /// passed over.
    package func classifications(outputs: [UnsafeBufferPointer<Float>], item: Int = 0) -> [Classification] {
        precondition(outputs[output].count >= (item + 1) * classCount, "the output is smaller than its shape says")
        guard let base = outputs[output].baseAddress else { return [] }
        let values = base + item * classCount
        var (scale, highest): (Float, Float) = (1, 0)
        if isLogit {
            highest = largest(values, count: classCount, stride: 1).value
            guard highest.isFinite else { return [] }
            var sum: Float = 0
            for column in 0..<classCount where !values[column].isNaN { sum += exponential(values[column] - highest) }
            scale = 1 / sum
        }
        heap.removeAll()
        for column in 0..<classCount where classes.labelOfColumn[column] >= 0 {
            let score = isLogit ? exponential(values[column] - highest) * scale : min(values[column], 1)
            guard score >= settings.scoreThreshold else { continue }
            heap.add(Candidate(score: score, cell: Int32(column), column: Int32(column)))
        }
        heap.sort()
        return (0..<heap.count).map {
            Classification(classIndex: Int(classes.labelOfColumn[Int(heap[$0].column)]), score: heap[$0].score)
        }
    }
}
