// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

@testable import ModelCompression

struct OptimalRoundingTests {
    /// Second moments of correlated inputs, as neighbouring channels of a network have.
    private func moments(_ count: Int, seed: UInt64) -> SecondMoments {
        var numbers = Numbers(seed: seed)
        let sources = (0..<count).map { _ in (0..<count / 3 + 1).map { _ in numbers.next() } }
        var moments = SecondMoments(count: count)
        var window = [Float](repeating: 0, count: count)
        for _ in 0..<400 {
            let causes = sources[0].map { _ in numbers.next() }
            for index in 0..<count {
                window[index] = 20 * zip(sources[index], causes).reduce(0) { $0 + $1.0 * $1.1 } + numbers.next()
            }
            window.withUnsafeMutableBufferPointer { moments.addWindow($0) }
        }
        return moments
    }

    /// e H e^T
    private func error(_ weights: [Float], _ filter: WeightRounding.Filter, _ moments: SecondMoments) -> Double {
        let errors = zip(weights, filter.weights).map { Double($0) - Double($1) * Double(filter.scale) }
        var sum = 0.0
        for i in errors.indices { for j in errors.indices { sum += errors[i] * moments[i, j] * errors[j] } }
        return sum
    }

    @Test(arguments: [8, 27, 64])
    func resultsChangeLessThanByRoundingToTheNearest(count: Int) throws {
        let moments = moments(count, seed: UInt64(count))
        let rounding = try #require(OptimalRounding([(Array(0..<count), moments)], limitsLanes: true))
        var numbers = Numbers(seed: 9)
        var (optimal, nearest) = (0.0, 0.0)
        for _ in 0..<10 {
            let weights = (0..<count).map { _ in numbers.next() }
            optimal += error(weights, rounding.round(weights), moments)
            nearest += error(weights, WeightRounding.round(weights, limitsLanes: true), moments)
        }
        #expect(optimal < nearest * 0.7, "\(optimal) against \(nearest)")
    }

    @Test(arguments: 1...12)
    func lanesKeepTheirLimit(seed: UInt64) throws {
        let count = Int(seed) * 7
        let half = count / 2 / 8 * 8
        let blocks = [0..<half, half..<count].filter { !$0.isEmpty }.map { range in
            (steps: Array(range), moments: moments(range.count, seed: seed))
        }
        let rounding = try #require(OptimalRounding(blocks, limitsLanes: true))
        var numbers = Numbers(seed: seed)
        for _ in 0..<5 {
            let filter = rounding.round((0..<count).map { _ in abs(numbers.next()) * 0.3 + 0.7 })
            #expect(WeightRounding.keepsLaneLimit(filter.weights))
            #expect(filter.weights.contains { $0 > 0 })
        }
    }

    @Test func independentInputsAreRoundedToTheNearest() throws {
        var moments = SecondMoments(count: 4)
        for index in 0..<4 { moments[index, index] = Double(index + 1) }
        let rounding = try #require(OptimalRounding([(Array(0..<4), moments)], limitsLanes: false))
        let weights: [Float] = [1.27, -0.504, 0.336, 0.012]
        let filter = rounding.round(weights)
        for (weight, stored) in zip(weights, filter.weights) {
            #expect(abs(weight - Float(stored) * filter.scale) <= filter.scale * 0.5001)
        }
    }

    @Test func inputsThatAreAlwaysZeroGiveNoRounding() {
        #expect(OptimalRounding([([0, 1], SecondMoments(count: 2))], limitsLanes: false) == nil)
    }

    @Test func triangularMatricesAreFactoredAndInverted() {
        // [[4, 2], [2, 5]] = [[2, 0], [1, 2]] * transpose
        var matrix = [4.0, 0, 2, 5]
        #expect(TriangularMatrix.factor(&matrix, 2))
        #expect(matrix == [2, 0, 1, 2])
        TriangularMatrix.invert(&matrix, 2)
        #expect(matrix == [0.5, 0, -0.25, 0.5])
        var indefinite = [1.0, 0, 2, 1]
        #expect(!TriangularMatrix.factor(&indefinite, 2))
    }
}
