// SPDX-License-Identifier: Apache-2.0

/// Rounds the weights of a layer so that its results change least, not each weight by itself.
///
/// With H = the second moments of the layer's inputs, the mean square error of a filter's sum is e H e^T, e being the errors
/// of its weights. GPTQ (Frantar et al., 2022, arXiv:2210.17323) rounds one weight after the other and lets those that are
/// still free make up for the error: with H^-1 = U^T U, U upper triangular, and d = w[k] - q[k] the weights j > k change by
/// -d * U[k][j] / U[k][k], and the error grows by (d / U[k][k])^2. Inputs of large power come first.
///
/// Where the kernel adds products in int16 lanes, each weight gets at most what its lane has left (`WeightRounding`).
struct OptimalRounding: Sendable {
    /// Added to the diagonal of H, in units of its mean: what the examples do not show is to be rounded well too.
    private static let damping = 0.03
    /// Steps that are tried between the one that uses the full range and the one that needs no clamping: many for small
    /// layers, few for large ones.
    private static let triedSteps = (least: 3, most: 8)
    /// Products that may be spent on all tries of a filter.
    private static let triedProducts = 4_000_000

    /// A part of the weights that is rounded by itself.
    private struct Block {
        /// The kernel's step at each place of the order in which weights are rounded.
        var order: [Int]
        /// Rows of U divided by their diagonal.
        var rows: [Float]
        /// Weight of (w - q)^2: 1 / U[k][k]^2.
        var costs: [Float]
    }

    private let blocks: [Block]
    private let count: Int
    private let limitsLanes: Bool
    private let tries: Int

    /// - Parameters:
    ///   - blocks: steps of the kernel and H of what they meet; together all steps. Between blocks H counts as zero.
    ///   - limitsLanes: whether the sums of int16 lanes are bounded.
    /// - Returns: nil when H is of no use.
    init?(_ blocks: [(steps: [Int], moments: SecondMoments)], limitsLanes: Bool) {
        var prepared: [Block] = []
        for block in blocks {
            guard let block = OptimalRounding.prepared(block.steps, block.moments) else { return nil }
            prepared.append(block)
        }
        self.blocks = prepared
        self.limitsLanes = limitsLanes
        count = blocks.reduce(0) { $0 + $1.steps.count }
        let products = blocks.reduce(1) { $0 + $1.steps.count * $1.steps.count / 2 }
        let (least, most) = OptimalRounding.triedSteps
        tries = min(max(OptimalRounding.triedProducts / products, least), most)
    }

    private static func prepared(_ steps: [Int], _ moments: SecondMoments) -> Block? {
        let n = moments.count
        let diagonal = (0..<n).map { moments[$0, $0] }
        let mean = diagonal.reduce(0, +) / Double(max(n, 1))
        guard n > 0, n == steps.count, mean > 0, mean.isFinite else { return nil }
        let order = (0..<n).sorted { (diagonal[$1], $0) < (diagonal[$0], $1) }
        // Backwards, so that the lower factor L of L L^T becomes the upper factor V of H = V V^T, and U = V^-1.
        let backwards = Array(order.reversed())
        var matrix = [Double](repeating: 0, count: n * n)
        for i in 0..<n {
            for j in 0...i { matrix[i * n + j] = moments[backwards[i], backwards[j]] }
            matrix[i * n + i] += mean * damping
        }
        guard TriangularMatrix.factor(&matrix, n) else { return nil }
        TriangularMatrix.invert(&matrix, n)
        var rows = [Float](repeating: 0, count: n * n)
        var costs = [Float](repeating: 0, count: n)
        for k in 0..<n {
            let i = n - 1 - k
            let pivot = matrix[i * n + i]
            costs[k] = Float(1 / (pivot * pivot))
            for j in 0...i { rows[k * n + n - 1 - j] = Float(matrix[i * n + j] / pivot) }
        }
        return Block(order: order.map { steps[$0] }, rows: rows, costs: costs)
    }

    /// - Parameter weights: of one filter, in the kernel's order.
    func round(_ weights: [Float]) -> WeightRounding.Filter {
        precondition(weights.count == count)
        let nearest = WeightRounding.round(weights, limitsLanes: limitsLanes)
        let largest = weights.reduce(0) { max($0, abs($1)) }
        guard largest > 0, largest.isFinite else { return nearest }
        // Between a fine step with weights that are cut and a coarse one that cuts none.
        let smallest = largest / 127
        let ratio = max(nearest.scale / smallest, 1)
        let tries = ratio > 1.01 ? self.tries : 1
        var best: (filter: WeightRounding.Filter, error: Float)?
        for index in 0..<tries {
            let share = tries > 1 ? Float(index) / Float(tries - 1) : 0
            let step = (smallest * (1 + (ratio - 1) * share)).roundedUpToHalf
            let (rounded, error) = rounded(weights, step: step)
            if best.map({ error < $0.error }) ?? true {
                best = (WeightRounding.Filter(weights: rounded, scale: step), error)
            }
        }
        return best?.filter ?? nearest
    }

    /// The rounded weights, and what they add to the mean square error.
    private func rounded(_ weights: [Float], step: Float) -> (weights: [Int8], error: Float) {
        var result = [Int8](repeating: 0, count: count)
        // What each lane has left for positive and for negative weights.
        var room = [Int](repeating: WeightRounding.laneLimit, count: (count + 7) / 8 * 4)
        var error: Float = 0
        for block in blocks {
            let n = block.order.count
            var free = block.order.map { weights[$0] / step }
            free.withUnsafeMutableBufferPointer { free in
                block.rows.withUnsafeBufferPointer { rows in
                    for k in 0..<n {
                        let q = rounded(free[k], at: block.order[k], &room)
                        result[block.order[k]] = Int8(q)
                        let difference = free[k] - Float(q)
                        error += difference * difference * block.costs[k]
                        if difference == 0 { continue }
                        for j in stride(from: k + 1, to: n, by: 1) { free[j] -= difference * rows[k * n + j] }
                    }
                }
            }
        }
        return (result, error * step * step)
    }

    private func rounded(_ weight: Float, at position: Int, _ room: inout [Int]) -> Int {
        let q = Int(min(max(weight.rounded(.toNearestOrEven), -127), 127))
        guard limitsLanes else { return q }
        // Lanes are {0, 1, 4, 5} and {2, 3, 6, 7} of each eight steps.
        let lane = position / 8 * 4 + position % 4 / 2 * 2
        let allowed = q > 0 ? min(q, room[lane]) : max(q, -room[lane + 1])
        room[lane + (q > 0 ? 0 : 1)] -= abs(allowed)
        return allowed
    }
}
