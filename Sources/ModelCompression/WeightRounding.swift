// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

/// Rounds float weights to int8, one filter at a time.
///
/// The AVX2 kernel adds two products of `vpmaddubsw` in an int16 lane. With activations up to 255 a lane cannot overflow if
/// its positive weights sum to at most 128 and its negative ones to at least -128 (255 * 128 < 32768). Weights that keep
/// this give the same sums on every instruction set. The scale of a filter is the smallest for which they do.
enum WeightRounding {
    struct Filter {
        var weights: [Int8]
        /// weight = stored * scale
        var scale: Float
    }

    static let laneLimit = 128

    /// Weights [K, C, taps...], each filter to the nearest.
    static func round(
        _ weights: [Float], _ shape: Shape, limitsLanes: Bool
    ) -> (weights: Tensor, parameters: QuantizationParameters) {
        let (filters, order) = (shape[0], KernelOrder(shape))
        let result = Tensor(.int8, shape)
        let stored = result.mutableElements(as: Int8.self)
        var scales: [Float] = []
        for filter in 0..<filters {
            let start = filter * order.steps
            let rounded = round(
                (0..<order.steps).map { weights[start + order.position($0)] }, limitsLanes: limitsLanes)
            scales.append(rounded.scale)
            for step in 0..<order.steps { stored[start + order.position(step)] = rounded.weights[step] }
        }
        return (result, QuantizationParameters(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0))
    }

    /// - Parameters:
    ///   - weights: of one filter, in the order in which the kernel adds them: taps row by row, then channels.
    ///   - limitsLanes: false where the kernel adds in int32 or float (depthwise).
    static func round(_ weights: [Float], limitsLanes: Bool) -> Filter {
        let largest = weights.reduce(0) { max($0, abs($1)) }
        guard largest > 0, weights.allSatisfy(\.isFinite) else {
            return Filter(weights: weights.map { _ in 0 }, scale: 1)
        }
        let smallest = largest / 127
        var scale = smallest
        if limitsLanes { scale = max(smallest, worstLane(weights) / Float(laneLimit)) }
        // Rounding may add up to half a step to each weight, so the exact limit is searched from there.
        while true {
            let rounded = weights.map { Int8(clamping: Int(($0 / scale).rounded(.toNearestOrEven))) }
            if !limitsLanes || keepsLaneLimit(rounded) { return Filter(weights: rounded, scale: scale) }
            scale *= 1.005
        }
    }

    /// Whether each lane keeps the limit.
    static func keepsLaneLimit(_ weights: [Int8]) -> Bool {
        lanes(weights.count).allSatisfy { lane in
            var positive = 0
            var negative = 0
            for step in lane {
                if weights[step] > 0 { positive += Int(weights[step]) } else { negative -= Int(weights[step]) }
            }
            return positive <= laneLimit && negative <= laneLimit
        }
    }

    private static func worstLane(_ weights: [Float]) -> Float {
        var worst: Float = 0
        for lane in lanes(weights.count) {
            var positive: Float = 0
            var negative: Float = 0
            for step in lane { if weights[step] > 0 { positive += weights[step] } else { negative -= weights[step] } }
            worst = max(worst, positive, negative)
        }
        return worst
    }

    /// The steps that share an int16 lane: {0, 1, 4, 5} and {2, 3, 6, 7} of each group of eight.
    private static func lanes(_ count: Int) -> some Sequence<[Int]> {
        stride(from: 0, to: count, by: 8).lazy.flatMap { first in
            [[0, 1, 4, 5], [2, 3, 6, 7]].map { lane in lane.map { first + $0 }.filter { $0 < count } }
        }
    }
}

/// The order in which a kernel goes through the weights of a filter: taps row by row, then channels.
struct KernelOrder {
    let channels: Int
    let taps: Int

    var steps: Int { channels * taps }

    /// - Parameter shape: of the weights, [K, C, taps...].
    init(_ shape: Shape) {
        channels = shape[1]
        taps = shape.dimensions.dropFirst(2).reduce(1, *)
    }

    /// Where the weight of a step stands within the filter.
    func position(_ step: Int) -> Int { step % channels * taps + step / channels }
}
