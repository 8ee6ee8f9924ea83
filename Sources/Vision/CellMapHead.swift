// SPDX-License-Identifier: Apache-2.0

import Tensors

/// One map of cells [N, 5 + classes, H, W] as FastestDet has it (https://github.com/dog-qiuqiu/FastestDet): objectness, four
/// box values x, y, w, h, and the classes' probabilities.
///
/// Of the cell at (column, row), in shares of the input: centre = ((column + tanh x) / W, (row + tanh y) / H),
/// size = (sigmoid w, sigmoid h); score = objectness^0.6 * (best class)^0.4, values clamped to 0...1 first.
struct CellMapHead: DetectionHead {
    private let output: Int
    private let gridWidth: Int
    private let gridHeight: Int
    private let inputWidth: Float
    private let inputHeight: Float
    private let threshold: Float
    /// The fifth power of the threshold, a little less: no cube of an objectness, nor square of a class, below it is enough.
    private let enough: Float
    let classCount: Int

    var cellCount: Int { gridWidth * gridHeight }

    init(
        _ head: OutputInterpretation.CellMapHead, _ table: OutputTable, inputWidth: Int, inputHeight: Int,
        threshold: Float
    ) throws(InterpretationError) {
        output = try table.index(of: head.output)
        let shape = table.outputs[output].shape
        guard shape.rank == 4, shape[1] > 5 else {
            throw .shape(output: head.output, shape: shape, expected: "Nx(5 + classes)xHxW")
        }
        (gridHeight, gridWidth) = (shape[2], shape[3])
        classCount = shape[1] - 5
        (self.inputWidth, self.inputHeight) = (Float(inputWidth), Float(inputHeight))
        self.threshold = threshold
        enough = threshold * threshold * threshold * threshold * threshold * 0.999_99
    }

    func collect(_ outputs: [UnsafePointer<Float>], classes: ClassTable, into heap: inout CandidateHeap) {
        let values = outputs[output]
        for cell in 0..<cellCount {
            let objectness = min(max(values[cell], 0), 1)
            guard objectness * objectness * objectness >= enough else { continue }
            let best = largest(values + 5 * cellCount + cell, count: classCount, stride: cellCount)
            let probability = min(max(best.value, 0), 1)
            guard probability * probability >= enough, classes.labelOfColumn[best.index] >= 0 else { continue }
            let score = fifthRoot(objectness * objectness * objectness * probability * probability)
            guard score >= threshold else { continue }
            heap.add(Candidate(score: score, cell: Int32(cell), column: Int32(best.index)))
        }
    }

    func corners(of cell: Int, _ outputs: [UnsafePointer<Float>]) -> Corners {
        let values = outputs[output] + cell
        let (row, column) = cell.quotientAndRemainder(dividingBy: gridWidth)
        func box(_ index: Int) -> Float { values[index * cellCount] }
        // tanh x = 2 sigmoid(2 x) - 1
        let across = (Float(column) + 2 * sigmoid(2 * box(1)) - 1) / Float(gridWidth)
        let down = (Float(row) + 2 * sigmoid(2 * box(2)) - 1) / Float(gridHeight)
        return Corners(
            centreX: across * inputWidth, centreY: down * inputHeight, width: sigmoid(box(3)) * inputWidth,
            height: sigmoid(box(4)) * inputHeight)
    }
}

/// The fifth root of 0...1, by operations that every machine rounds alike: a fifth of the exponent, then Newton's method in double
/// precision.
func fifthRoot(_ x: Float) -> Float {
    guard x > 0 else { return 0 }
    let value = Double(x)
    let one = (1 as Double).bitPattern
    var root = Double(bitPattern: value.bitPattern / 5 + (one - one / 5))
    for _ in 0..<5 {
        let fourth = (root * root) * (root * root)
        root -= (root - value / fourth) / 5
    }
    return Float(root)
}
