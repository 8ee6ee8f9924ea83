// SPDX-License-Identifier: Apache-2.0

/// Corners of a box in pixels of the network's input.
struct Corners {
    var x0: Float
    var y0: Float
    var x1: Float
    var y1: Float

    init(x0: Float, y0: Float, x1: Float, y1: Float) {
        self.x0 = x0
        self.y0 = y0
        self.x1 = x1
        self.y1 = y1
    }

    init(centreX: Float, centreY: Float, width: Float, height: Float) {
        self.init(
            x0: centreX - width / 2, y0: centreY - height / 2, x1: centreX + width / 2, y1: centreY + height / 2)
    }

    var area: Float { (x1 - x0) * (y1 - y0) }

    /// Whether intersection over union exceeds `threshold`; no for what is not finite.
    func overlaps(_ other: Corners, above threshold: Float) -> Bool {
        let across = min(x1, other.x1) - max(x0, other.x0)
        let down = min(y1, other.y1) - max(y0, other.y0)
        guard across > 0, down > 0 else { return false }
        let shared = across * down
        return shared > threshold * (area + other.area - shared)
    }
}

/// A form of detector output: finds the cells worth a look, and decodes the boxes of those that are asked for.
///
/// `outputs` are the network's, at the frame in question. Cells are numbered through all outputs.
protocol DetectionHead {
    /// Cells of one frame.
    var cellCount: Int { get }
    /// Columns of the scores, a background included.
    var classCount: Int { get }
    /// Adds every cell whose best class is wanted and reaches the threshold. What is not a number is never added.
    func collect(_ outputs: [UnsafePointer<Float>], classes: ClassTable, into heap: inout CandidateHeap)
    /// The box of a cell; whatever floats are, if the outputs are nonsense.
    func corners(of cell: Int, _ outputs: [UnsafePointer<Float>]) -> Corners
}

/// Smallest raw value that can reach the probability `threshold`, for cheap rejection: the probability itself, or for
/// logits its logit less a margin for rounding; the exact comparison follows on the probability.
func rawThreshold(_ threshold: Float, isLogit: Bool) -> Float {
    guard isLogit else { return threshold }
    // Solved by bisection with the same function that is used later, which spares a logarithm.
    var (low, high): (Float, Float) = (-104, 104)
    for _ in 0..<40 {
        let middle = (low + high) / 2
        if sigmoid(middle) < threshold { low = middle } else { high = middle }
    }
    return low - 0.001
}

/// The largest of `count` values `stride` apart and where it stands; NaN is passed over. (-infinity, 0) if nothing is left.
@inline(__always)
func largest(_ values: UnsafePointer<Float>, count: Int, stride: Int) -> (value: Float, index: Int) {
    var best = (value: -Float.infinity, index: 0)
    for index in 0..<count where values[index * stride] > best.value { best = (values[index * stride], index) }
    return best
}
