// SPDX-License-Identifier: Apache-2.0
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Foundation
#endif

/// The end of an SSD detector: boxes are decoded around their anchors, and those that overlap a better one are left out. As
/// TensorFlow Lite's `TFLite_Detection_PostProcess` has it.
///
///     centre y = code 0 / scale y * anchor height + anchor y, height = exp(code 2 / scale height) * anchor height; x alike
///
/// Boxes are suppressed by the best score of each, or class by class. Between equal scores the order of the boxes decides.
package struct DetectionPostProcess: Hashable, Sendable, Encodable {
    /// Boxes that are kept, 0 to 65536.
    package var maximumDetections: Int
    /// Best classes of each box that are listed, unless boxes are suppressed class by class.
    package var classesPerDetection: Int
    /// Boxes that are kept of each class, if they are suppressed class by class; nil: by their best score.
    package var detectionsPerClass: Int?
    /// Classes without the background, which comes first if scores have one more.
    package var classes: Int
    /// Intersection over union above which the worse of two boxes is left out.
    package var overlapThreshold: Float
    package var scoreThreshold: Float
    /// What codes are divided by: y, x, height, width.
    package var scales: [Float]

    package init(
        maximumDetections: Int, classesPerDetection: Int, detectionsPerClass: Int?, classes: Int,
        overlapThreshold: Float, scoreThreshold: Float, scales: [Float]
    ) {
        self.maximumDetections = maximumDetections
        self.classesPerDetection = classesPerDetection
        self.detectionsPerClass = detectionsPerClass
        self.classes = classes
        self.overlapThreshold = overlapThreshold
        self.scoreThreshold = scoreThreshold
        self.scales = scales
    }

    /// Rows of the output.
    var rows: Int { maximumDetections * classesPerDetection }
    /// Rows of the output that belong to one box, and how many of them are used.
    var rowsPerBox: Int { detectionsPerClass == nil ? classesPerDetection : 1 }
    var listedClasses: Int { detectionsPerClass == nil ? min(classesPerDetection, classes) : 1 }
}

extension DetectionPostProcess {
    func outputTypes(_ arguments: Arguments) throws -> [TensorType] {
        try arguments.expect(3...3)
        for place in 0..<3 { try arguments.requireFloat(place) }
        let (codes, scores, anchors) = (try arguments[0].shape, try arguments[1].shape, try arguments[2].shape)
        try arguments.require(
            codes.rank == 3 && codes[0] == 1 && codes[2] >= 4, "codes of boxes must be [1, boxes, 4]")
        try arguments.require(
            scores.rank == 3 && scores[0] == 1 && scores[1] == codes[1]
                && (0...1).contains(scores[2] - classes) && classes > 0, "scores must be [1, boxes, classes]")
        try arguments.require(anchors == [codes[1], 4], "anchors must be [boxes, 4]")
        try arguments.require(
            (0...65_536).contains(maximumDetections) && (1...65_536).contains(classesPerDetection)
                && (detectionsPerClass ?? 1) > 0,
            "the numbers of detections are out of range")
        try arguments.require(scales.count == 4 && scales.allSatisfy { $0 > 0 }, "scales must be positive")
        return [
            TensorType(.float32, [1, rows, 4]), TensorType(.float32, [1, rows]), TensorType(.float32, [1, rows]),
            TensorType(.float32, [1]),
        ]
    }
}

extension ReferenceEvaluator {
    static func detections(_ attributes: DetectionPostProcess, _ codes: Tensor, _ scores: Tensor, _ anchors: Tensor)
        -> [Tensor]
    {
        let work = DetectionWork(attributes, codes, scores, anchors)
        let rows = attributes.rows
        let boxes = Tensor(.float32, [1, rows, 4])
        let (classes, best, count) = (Tensor(.float32, [1, rows]), Tensor(.float32, [1, rows]), Tensor(.float32, [1]))
        let found = attributes.detectionsPerClass == nil ? work.byBestScore() : work.byClass()
        let listed = attributes.listedClasses
        for (index, detection) in found.enumerated() {
            let row = index / listed * attributes.rowsPerBox + index % listed
            let box = work.boxes[detection.box]
            for (place, edge) in [box.top, box.left, box.bottom, box.right].enumerated() {
                boxes.floats[4 * row + place] = edge
            }
            classes.floats[row] = Float(detection.column)
            best.floats[row] = detection.score
        }
        count.floats[0] = Float(found.count / listed)
        return [boxes, classes, best, count]
    }
}

private struct DetectionWork {
    struct Box {
        var top: Float
        var left: Float
        var bottom: Float
        var right: Float

        /// Intersection over union; zero for boxes without an area.
        func overlap(_ other: Box) -> Float {
            let areas = ((bottom - top) * (right - left), (other.bottom - other.top) * (other.right - other.left))
            if areas.0 <= 0 || areas.1 <= 0 { return 0 }
            let down = max(min(bottom, other.bottom) - max(top, other.top), 0)
            let across = max(min(right, other.right) - max(left, other.left), 0)
            return down * across / (areas.0 + areas.1 - down * across)
        }
    }

    struct Detection {
        var box: Int
        var column: Int
        var score: Float
    }

    let attributes: DetectionPostProcess
    let boxes: [Box]
    private let scores: UnsafeMutablePointer<Float>
    private let owner: Tensor
    private let columns: Int
    /// The first column that is a class.
    private let first: Int

    init(_ attributes: DetectionPostProcess, _ codes: Tensor, _ scores: Tensor, _ anchors: Tensor) {
        self.attributes = attributes
        owner = scores
        self.scores = scores.floats
        columns = scores.shape[2]
        first = columns - attributes.classes
        let width = codes.shape[2]
        let scales = attributes.scales.map(Double.init)
        boxes = (0..<codes.shape[1]).map { index in
            let code = (0..<4).map { Double(codes.floats[index * width + $0]) / scales[$0] }
            let anchor = (0..<4).map { Double(anchors.floats[4 * index + $0]) }
            let (y, x) = (Float(code[0] * anchor[2] + anchor[0]), Float(code[1] * anchor[3] + anchor[1]))
            let (high, wide) = (Float(0.5 * exp(code[2]) * anchor[2]), Float(0.5 * exp(code[3]) * anchor[3]))
            return Box(top: y - high, left: x - wide, bottom: y + high, right: x + wide)
        }
    }

    private func score(_ box: Int, _ column: Int) -> Float { scores[box * columns + first + column] }

    /// Indices of the boxes that stay, best first.
    private func kept(_ scores: [Float], maximum: Int) -> [Int] {
        let candidates = scores.indices.filter { scores[$0] >= attributes.scoreThreshold }
            .sorted { scores[$0] > scores[$1] || (scores[$0] == scores[$1] && $0 < $1) }
        var kept: [Int] = []
        for index in candidates where kept.count < maximum {
            if kept.contains(where: { boxes[$0].overlap(boxes[index]) > attributes.overlapThreshold }) { continue }
            kept.append(index)
        }
        return kept
    }

    func byBestScore() -> [Detection] {
        func best(_ box: Int) -> [Int] {
            let all = 0..<attributes.classes
            if attributes.listedClasses == 1 {
                return [all.dropFirst().reduce(0) { score(box, $1) > score(box, $0) ? $1 : $0 }]
            }
            let order = all.sorted { score(box, $0) > score(box, $1) || (score(box, $0) == score(box, $1) && $0 < $1) }
            return Array(order.prefix(attributes.listedClasses))
        }
        let classes = boxes.indices.map(best)
        let chosen = kept(boxes.indices.map { score($0, classes[$0][0]) }, maximum: attributes.maximumDetections)
        return chosen.flatMap { box in
            classes[box].map { Detection(box: box, column: $0, score: score(box, $0)) }
        }
    }

    func byClass() -> [Detection] {
        var found: [Detection] = []
        for column in 0..<attributes.classes {
            let own = kept(boxes.indices.map { score($0, column) }, maximum: attributes.detectionsPerClass ?? 0)
            found += own.map { Detection(box: $0, column: column, score: score($0, column)) }
        }
        // Stable: between equal scores the class that comes first.
        let order = found.indices.sorted {
            found[$0].score > found[$1].score || (found[$0].score == found[$1].score && $0 < $1)
        }
        return order.prefix(attributes.maximumDetections).map { found[$0] }
    }
}
