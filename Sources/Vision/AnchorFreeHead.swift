// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Anchor-free heads, a set of outputs per stride: YuNet (Wu et al., 2023, doi 10.1007/s11633-023-1423-y) and FCOS
/// (Tian et al., 2019, arXiv:1904.01355).
///
/// Of the cell at (column, row) of stride s, with the four box values a, b, c, d:
/// - offsets: centre = ((column + a) s, (row + b) s), size = (exp(c) s, exp(d) s)
/// - distances: ((column + 1/2 - a) s, (row + 1/2 - b) s) to ((column + 1/2 + c) s, (row + 1/2 + d) s)
///
/// Score = best class, with objectness sqrt(class * objectness) or their product; values are clamped to 0...1 first.
struct AnchorFreeHead: DetectionHead {
    /// Where the values of a cell lie in an output.
    private struct Plane {
        var output: Int
        var cellStride: Int
        var valueStride: Int
        var valueCount: Int
    }

    private struct Level {
        var firstCell: Int
        var cellCount: Int
        var gridWidth: Int
        var stride: Float
        var scores: Plane
        var objectness: Plane?
        var boxes: Plane
    }

    private let levels: [Level]
    private let form: OutputInterpretation.AnchorFreeHead.BoxForm
    private let isLogit: Bool
    private let threshold: Float
    /// Least raw class score, and objectness, of a cell that can reach the threshold.
    private let enough: Float
    private let isGeometricMean: Bool
    let classCount: Int
    let cellCount: Int

    init(
        _ head: OutputInterpretation.AnchorFreeHead, _ table: OutputTable, inputWidth: Int, inputHeight: Int,
        threshold: Float
    ) throws(InterpretationError) {
        guard !head.levels.isEmpty, head.levels.allSatisfy({ (1...65_536).contains($0.stride) }) else {
            throw .setting("there must be levels, with strides 1...65536")
        }
        var levels: [Level] = []
        var cells = 0
        for level in head.levels {
            let gridWidth = (inputWidth + level.stride - 1) / level.stride
            let gridHeight = (inputHeight + level.stride - 1) / level.stride
            func plane(_ name: String, values: Int?) throws(InterpretationError) -> Plane {
                try Self.plane(name, table, gridWidth: gridWidth, gridHeight: gridHeight, values: values)
            }
            levels.append(
                Level(
                    firstCell: cells, cellCount: gridWidth * gridHeight, gridWidth: gridWidth,
                    stride: Float(level.stride),
                    scores: try plane(level.scores, values: levels.first?.scores.valueCount),
                    objectness: try level.objectness.map { (name) throws(InterpretationError) in
                        try plane(name, values: 1)
                    },
                    boxes: try plane(level.boxes, values: 4)))
            cells += gridWidth * gridHeight
        }
        self.levels = levels
        form = head.form
        isLogit = head.scoresAreLogits
        isGeometricMean = head.geometricMean
        classCount = levels[0].scores.valueCount
        cellCount = cells
        self.threshold = threshold
        // Neither factor is above 1, so each alone must reach what the score needs; a little less, because the square may
        // have been rounded up.
        let least = head.geometricMean && levels.contains { $0.objectness != nil } ? threshold * threshold : threshold
        enough = rawThreshold(least * 0.999_999, isLogit: isLogit)
    }

    /// [N, cells, values], [N, values, cells], [N, values, H, W] or [N, H, W, values], whichever fits first.
    private static func plane(
        _ name: String, _ table: OutputTable, gridWidth: Int, gridHeight: Int, values: Int?
    ) throws(InterpretationError) -> Plane {
        let output = try table.index(of: name)
        let shape = table.outputs[output].shape
        let cells = gridWidth * gridHeight
        func fits(_ count: Int) -> Bool { count > 0 && (values == nil || values == count) }
        func interleaved(_ count: Int) -> Plane {
            Plane(output: output, cellStride: count, valueStride: 1, valueCount: count)
        }
        func planar(_ count: Int) -> Plane {
            Plane(output: output, cellStride: 1, valueStride: cells, valueCount: count)
        }
        switch shape.rank {
        case 2 where shape[1] == cells && fits(1): return planar(1)
        case 3 where shape[1] == cells && fits(shape[2]): return interleaved(shape[2])
        case 3 where shape[2] == cells && fits(shape[1]): return planar(shape[1])
        case 4 where shape[2] == gridHeight && shape[3] == gridWidth && fits(shape[1]): return planar(shape[1])
        case 4 where shape[1] == gridHeight && shape[2] == gridWidth && fits(shape[3]): return interleaved(shape[3])
        default:
            let count = values.map(String.init) ?? "CLASSES"
            throw .shape(
                output: name, shape: shape, expected: "Nx\(cells)x\(count) or Nx\(count)x\(gridHeight)x\(gridWidth)")
        }
    }

    func collect(_ outputs: [UnsafePointer<Float>], classes: ClassTable, into heap: inout CandidateHeap) {
        for level in levels {
            for index in 0..<level.cellCount {
                var objectness: Float = 1
                if let plane = level.objectness {
                    objectness = outputs[plane.output][index * plane.cellStride]
                    guard objectness >= enough else { continue }
                }
                let plane = level.scores
                let best = largest(
                    outputs[plane.output] + index * plane.cellStride, count: plane.valueCount, stride: plane.valueStride
                )
                guard best.value >= enough, classes.labelOfColumn[best.index] >= 0 else { continue }
                var score = probability(best.value)
                if level.objectness != nil {
                    score *= probability(objectness)
                    if isGeometricMean { score = score.squareRoot() }
                }
                guard score >= threshold else { continue }
                heap.add(
                    Candidate(score: score, cell: Int32(level.firstCell + index), column: Int32(best.index)))
            }
        }
    }

    private func probability(_ value: Float) -> Float { isLogit ? sigmoid(value) : min(max(value, 0), 1) }

    func corners(of cell: Int, _ outputs: [UnsafePointer<Float>]) -> Corners {
        var level = levels[0]
        for candidate in levels where candidate.firstCell <= cell { level = candidate }
        let index = cell - level.firstCell
        let values = outputs[level.boxes.output] + index * level.boxes.cellStride
        let step = level.boxes.valueStride
        let (a, b, c, d) = (values[0], values[step], values[2 * step], values[3 * step])
        let (gridY, gridX) = index.quotientAndRemainder(dividingBy: level.gridWidth)
        let (column, row, stride) = (Float(gridX), Float(gridY), level.stride)
        return switch form {
        case .offsets:
            Corners(
                centreX: (column + a) * stride, centreY: (row + b) * stride, width: exponential(c) * stride,
                height: exponential(d) * stride)
        case .distances:
            Corners(
                x0: (column + 0.5 - a) * stride, y0: (row + 0.5 - b) * stride, x1: (column + 0.5 + c) * stride,
                y1: (row + 0.5 + d) * stride)
        }
    }
}
