// SPDX-License-Identifier: Apache-2.0
import Tensors

/// A matrix product of 8-bit numbers as integer layers do it: uint8 with one scale and zero point, times int8 weights with a
/// scale per row (or one) and no zero points.
///
///     sum[i, n] = sum over k of (x[i, k] - zero point) * weight[n, k], exactly
///     real[i, n] = fma(sum[i, n], multiplier[n], bias[n]), multiplier[n] = x scale * weight scale[n]
package struct IntegerMatrix: Sendable {
    package let weights: Tensor
    package let rows: Int
    package let steps: Int
    /// Elements from one row, and from one step, to the next.
    package let rowStride: Int
    package let stepStride: Int
    package let zeroPoint: UInt8
    /// Per row.
    package let multipliers: [Float]
    /// Of x, and of the weights per row.
    package let scales: (input: Float, weights: [Float])

    /// Nil if values are quantized in another way.
    ///
    /// - Parameters:
    ///   - x: the activations; `input` their value.
    ///   - rowAxis: the axis of the weights along which rows follow each other; the other one of the last two axes is that
    ///     of the steps, any before them have an extent of one.
    package init?(_ input: Value, _ weights: Tensor, _ value: Value, rowAxis: Int) {
        let shape = weights.shape
        guard input.type == .uint8, let from = input.quantization, from.scales.count == 1, weights.type == .int8,
            shape.rank >= 2, rowAxis == shape.rank - 1 || rowAxis == shape.rank - 2,
            shape.dimensions.dropLast(2).allSatisfy({ $0 == 1 }), shape.count > 0, let steps = value.quantization,
            steps.zeroPoints.allSatisfy({ $0 == 0 }), steps.axis == nil || steps.axis == rowAxis,
            let zeroPoint = UInt8(exactly: from.zeroPoints[0])
        else { return nil }
        self.weights = weights
        rows = shape[rowAxis]
        let columns = shape[shape.rank - 1]
        self.steps = shape.count / rows
        rowStride = rowAxis == shape.rank - 2 ? columns : 1
        stepStride = rowAxis == shape.rank - 2 ? 1 : columns
        self.zeroPoint = zeroPoint
        let scales = steps.axis == nil ? [Float](repeating: steps.scales[0], count: rows) : steps.scales
        multipliers = scales.map { from.scales[0] * $0 }
        self.scales = (from.scales[0], scales)
    }

    /// The exact sum for one row of weights and of x.
    func sum(_ row: Int, _ x: UnsafePointer<UInt8>) -> Int32 {
        let weight = weights.elements(as: Int8.self)
        var sum: Int32 = 0
        for step in 0..<steps {
            sum &+= (Int32(x[step]) - Int32(zeroPoint)) &* Int32(weight[row * rowStride + step * stepStride])
        }
        return sum
    }
}
