// SPDX-License-Identifier: Apache-2.0

import CKernels
import Testing

@testable import ModelCompression

struct WeightRoundingTests {
    private func random(_ count: Int, seed: UInt64) -> [Float] {
        var random = Int8KernelTests.Random(state: seed)
        return (0..<count).map { _ in Float(random.next(20001) - 10000) / 1e4 }
    }

    @Test(arguments: 1...20)
    func roundedWeightsKeepTheLaneLimit(seed: UInt64) {
        let filter = WeightRounding.round(random(Int(seed) * 13, seed: seed), limitsLanes: true)
        #expect(WeightRounding.keepsLaneLimit(filter.weights))
        #expect(int8_lane_limit_holds(filter.weights, filter.weights.count) != 0)
    }

    @Test func roundingErrorIsAtMostHalfAStep() {
        let weights = random(64, seed: 5)
        let filter = WeightRounding.round(weights, limitsLanes: true)
        for (weight, stored) in zip(weights, filter.weights) {
            #expect(abs(weight - Float(stored) * filter.scale) <= filter.scale * 0.5001)
        }
    }

    @Test func withoutALimitTheFullRangeIsUsed() {
        let filter = WeightRounding.round([1, -0.5, 0.25, 1], limitsLanes: false)
        #expect(filter.weights == [127, -64, 32, 127])
    }

    @Test(arguments: [[], [0, 0, 0], [.nan, 1], [.infinity]] as [[Float]])
    func degenerateFiltersBecomeZeros(weights: [Float]) {
        let filter = WeightRounding.round(weights, limitsLanes: true)
        #expect(filter.weights.allSatisfy { $0 == 0 })
        #expect(filter.scale.isFinite && filter.scale > 0)
    }
}
