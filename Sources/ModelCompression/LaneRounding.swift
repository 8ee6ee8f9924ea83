// SPDX-License-Identifier: Apache-2.0

/// Rounds one row of weights to int8 such that `products` products of `vpmaddubsw`, each a sum of two, can be added in an
/// int16 lane: in each lane the positive weights sum to at most 128, and so do the negative ones (255 * 128 < 32768).
///
/// The scale is the one with the least squared error of several: with a small one, weights of the few lanes that are over the
/// limit are rounded away from their values, with a large one all are coarse.
enum LaneRounding {
    private static let limit = 128
    /// Shares of the scale that needs no lane to be cut.
    private static let shares: [Float] = [1, 0.93, 0.86, 0.8, 0.74, 0.68, 0.62, 0.56, 0.5]

    /// - Parameter products: 2, 1, or 0 for the full range of int8 without a limit.
    static func round(_ weights: [Float], products: Int) -> (weights: [Int8], scale: Float) {
        let largest = weights.reduce(0) { max($0, abs($1)) }
        guard largest > 0, weights.allSatisfy(\.isFinite) else { return (weights.map { _ in 0 }, 1) }
        let lanes = lanes(weights.count, products: products)
        let worst = lanes.map { lane in sums(lane.map { weights[$0] }) }.reduce(0) { max($0, $1) }
        let free = max(largest / 127, worst / Float(limit))
        var best: (weights: [Int8], scale: Float, error: Float)?
        for share in shares {
            let scale = free * share
            // Never so fine that a single weight leaves int8 by much.
            if best != nil && scale < largest / 150 { break }
            let candidate = round(weights, scale: scale, lanes: lanes)
            var error: Float = 0
            for index in weights.indices {
                let difference = weights[index] - Float(candidate[index]) * scale
                error += difference * difference
            }
            if error < best?.error ?? .infinity { best = (candidate, scale, error) }
        }
        return best.map { ($0.weights, $0.scale) } ?? (weights.map { _ in 0 }, 1)
    }

    private static func round(_ weights: [Float], scale: Float, lanes: [[Int]]) -> [Int8] {
        var result = weights.map { Int8(max(-127, min(127, ($0 / scale).rounded(.toNearestOrEven)))) }
        for lane in lanes {
            for sign in [1, -1] {
                var excess = lane.reduce(-limit) { $0 + max(sign * Int(result[$1]), 0) }
                while excess > 0 {
                    // The weight that rounding took farthest from zero, or the least far toward it.
                    let index = lane.filter { sign * Int(result[$0]) > 0 }.max {
                        Float(sign) * (Float(result[$0]) - weights[$0] / scale)
                            < Float(sign) * (Float(result[$1]) - weights[$1] / scale)
                    }
                    guard let index else { break }
                    result[index] -= Int8(sign)
                    excess -= 1
                }
            }
        }
        return result
    }

    private static func sums(_ weights: [Float]) -> Float {
        max(weights.reduce(0) { $0 + max($1, 0) }, weights.reduce(0) { $0 - min($1, 0) })
    }

    /// Steps that share a lane: {0, 1, 4, 5} and {2, 3, 6, 7} of each eight, or each two.
    private static func lanes(_ count: Int, products: Int) -> [[Int]] {
        let pattern =
            products == 2 ? [[0, 1, 4, 5], [2, 3, 6, 7]] : products == 1 ? [[0, 1], [2, 3], [4, 5], [6, 7]] : []
        return stride(from: 0, to: count, by: 8).flatMap { first in
            pattern.map { lane in lane.map { first + $0 }.filter { $0 < count } }
        }
    }
}
