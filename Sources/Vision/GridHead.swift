// SPDX-License-Identifier: Apache-2.0

import Tensors

/// YOLOX (Ge et al., 2021, arXiv:2107.08430): one output [N, cells, 5 + classes].
///
/// Of the cell at (column, row) of stride s: centre = (value + cell) * s, size = exp(value) * s,
/// score = objectness * best class.
struct GridHead: DetectionHead {
    private struct Level {
        var firstCell: Int
        var gridWidth: Int
        var stride: Float
    }

    private let output: Int
    private let width: Int
    private let levels: [Level]
    private let isLogit: Bool
    private let threshold: Float
    private let enough: Float
    let cellCount: Int

    var classCount: Int { width - 5 }

    init(
        _ head: OutputInterpretation.GridHead, _ table: OutputTable, inputWidth: Int, inputHeight: Int, threshold: Float
    ) throws(InterpretationError) {
        output = try table.index(of: head.output)
        let shape = table.outputs[output].shape
        guard !head.strides.isEmpty, head.strides.allSatisfy({ (1...65_536).contains($0) }) else {
            throw .setting("there must be strides, each 1...65536")
        }
        var levels: [Level] = []
        var cells = 0
        for stride in head.strides {
            // Convolutions with padding round up.
            let (gridWidth, gridHeight) = ((inputWidth + stride - 1) / stride, (inputHeight + stride - 1) / stride)
            levels.append(Level(firstCell: cells, gridWidth: gridWidth, stride: Float(stride)))
            cells += gridWidth * gridHeight
        }
        guard shape.rank == 3, shape[1] == cells, shape[2] > 5 else {
            throw .shape(output: head.output, shape: shape, expected: "Nx\(cells)x(5 + classes)")
        }
        self.levels = levels
        width = shape[2]
        isLogit = head.scoresAreLogits
        self.threshold = threshold
        enough = rawThreshold(threshold, isLogit: isLogit)
        cellCount = cells
    }

    func collect(_ outputs: [UnsafePointer<Float>], classes: ClassTable, into heap: inout CandidateHeap) {
        var row = outputs[output]
        for cell in 0..<cellCount {
            defer { row += width }
            guard row[4] >= enough else { continue }
            let best = largest(row + 5, count: classCount, stride: 1)
            guard best.value >= enough, classes.labelOfColumn[best.index] >= 0 else { continue }
            let score = isLogit ? sigmoid(row[4]) * sigmoid(best.value) : min(row[4], 1) * min(best.value, 1)
            guard score >= threshold else { continue }
            heap.add(Candidate(score: score, cell: Int32(cell), column: Int32(best.index)))
        }
    }

    func corners(of cell: Int, _ outputs: [UnsafePointer<Float>]) -> Corners {
        let row = outputs[output] + cell * width
        var level = levels[0]
        for candidate in levels where candidate.firstCell <= cell { level = candidate }
        let (gridY, gridX) = (cell - level.firstCell).quotientAndRemainder(dividingBy: level.gridWidth)
        return Corners(
            centreX: (row[0] + Float(gridX)) * level.stride, centreY: (row[1] + Float(gridY)) * level.stride,
            width: exponential(row[2]) * level.stride, height: exponential(row[3]) * level.stride)
    }
}
