// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Turns the outputs of a detector into detections in frame pixels: threshold, decoding, class-wise non-maximum
/// suppression, the way back through the letterbox. One per worker; its scratch memory is taken once.
///
/// Deterministic to the bit on every machine. Whatever the outputs hold, NaN and infinities included, the result is a
/// list of finite boxes within the frame with scores from the threshold to 1.
package final class DetectionInterpreter {
    package struct Settings: Hashable, Sendable {
        /// Least score, 0...1.
        package var scoreThreshold: Float = 0.5
        /// Of two boxes of one class that overlap more than this (intersection over union, 0...1) the better one stays.
        package var overlapThreshold: Float = 0.45
        /// Labels to report, or column numbers where the model has no labels; nil for all.
        package var classes: [String]?
        package var maximumDetections = 100

        package init() {}
    }

    /// Candidates that enter suppression, the best by score. Far more than a frame has objects, few enough to be fast.
    static let candidateLimit = 2048

    private let head: any DetectionHead
    private let classes: ClassTable
    private let settings: Settings
    private let elementCounts: [Int]
    private var heap = CandidateHeap(capacity: DetectionInterpreter.candidateLimit)
    private var pointers: [UnsafePointer<Float>] = []
    private var kept: [(corners: Corners, column: Int32)] = []

    /// - Parameters:
    ///   - outputs: names and shapes, in the order in which the outputs will come.
    ///   - labels: one per class, with or without the background; or none.
    package init(
        _ interpretation: OutputInterpretation, outputs: [OutputDescription], inputWidth: Int, inputHeight: Int,
        labels: [String], settings: Settings = Settings()
    ) throws(InterpretationError) {
        guard settings.scoreThreshold >= 0, settings.scoreThreshold <= 1 else {
            throw .setting("the score threshold must be 0...1")
        }
        guard settings.overlapThreshold >= 0, settings.overlapThreshold <= 1 else {
            throw .setting("the overlap threshold must be 0...1")
        }
        guard (1...65_536).contains(inputWidth), (1...65_536).contains(inputHeight) else {
            throw .setting("the input must have 1...65536 rows and columns")
        }
        guard settings.maximumDetections > 0 else { throw .setting("at least one detection must be allowed") }
        let table = OutputTable(outputs: outputs)
        var background: Int?
        let threshold = settings.scoreThreshold
        switch interpretation {
        case .grid(let grid):
            head = try GridHead(grid, table, inputWidth: inputWidth, inputHeight: inputHeight, threshold: threshold)
        case .boxesAndScores(let boxes):
            head = try BoxesAndScoresHead(
                boxes, table, inputWidth: inputWidth, inputHeight: inputHeight, threshold: threshold,
                labelCount: labels.count)
            background = boxes.backgroundClass
        case .anchorFree(let levels):
            head = try AnchorFreeHead(
                levels, table, inputWidth: inputWidth, inputHeight: inputHeight, threshold: threshold)
        case .cellMap(let map):
            head = try CellMapHead(map, table, inputWidth: inputWidth, inputHeight: inputHeight, threshold: threshold)
        case .classification: throw .wrongKind(wanted: "detector")
        }
        guard head.cellCount <= Int(Int32.max) else { throw .setting("the network has too many boxes") }
        classes = try ClassTable(
            columns: head.classCount, background: background, labels: labels, wanted: settings.classes)
        self.settings = settings
        elementCounts = try outputs.map { (output) throws(InterpretationError) in try output.elementsPerFrame() }
        pointers.reserveCapacity(outputs.count)
        kept.reserveCapacity(min(settings.maximumDetections, Self.candidateLimit))
    }

    /// The detections of one frame, best first. Between equal scores the network's order decides.
    ///
    /// - Parameters:
    ///   - outputs: all of the network's outputs, in the order given at the beginning.
    ///   - item: which frame of the batch.
    ///   - geometry: how the frame was laid into the input.
    package func detections(
        outputs: [UnsafeBufferPointer<Float>], item: Int = 0, geometry: FrameGeometry
    ) -> [Detection] {
        pointers.removeAll(keepingCapacity: true)
        precondition(outputs.count == elementCounts.count, "as many outputs as the network has")
        for (output, count) in zip(outputs, elementCounts) {
            guard let base = output.baseAddress, item >= 0, output.count >= (item + 1) * count else {
                preconditionFailure("an output is smaller than its shape says")
            }
            pointers.append(base + item * count)
        }
        heap.removeAll()
        head.collect(pointers, classes: classes, into: &heap)
        heap.sort()
        return suppress(geometry)
    }

    /// Greedy: the best candidate stays and removes those of its class that overlap it too much.
    private func suppress(_ geometry: FrameGeometry) -> [Detection] {
        kept.removeAll(keepingCapacity: true)
        var detections: [Detection] = []
        for index in 0..<heap.count where kept.count < settings.maximumDetections {
            let candidate = heap[index]
            let corners = head.corners(of: Int(candidate.cell), pointers)
            guard let box = geometry.frameBox(x0: corners.x0, y0: corners.y0, x1: corners.x1, y1: corners.y1) else {
                continue
            }
            let isDouble = kept.contains {
                $0.column == candidate.column && $0.corners.overlaps(corners, above: settings.overlapThreshold)
            }
            guard !isDouble else { continue }
            kept.append((corners, candidate.column))
            let label = Int(classes.labelOfColumn[Int(candidate.column)])
            detections.append(Detection(classIndex: label, score: candidate.score, box: box))
        }
        return detections
    }
}

extension OutputDescription {
    /// Elements of one frame: the product of all extents but the first.
    func elementsPerFrame() throws(InterpretationError) -> Int {
        guard shape.rank > 0, let count = Shape(Array(shape.dimensions.dropFirst())).checkedCount else {
            throw .shape(output: name, shape: shape, expected: "the batch first")
        }
        return count
    }
}
