// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors
import Testing

@testable import ModelCompression

@Suite struct ChannelRangesTests {
    private static let id = ValueID(7)

    /// [1, 2, 1, 2]: the channels reach `high` and `-high / 2`, zero beside them.
    private func tensor(_ high: [Float]) -> Tensor {
        Tensor([1, 2, 1, 2], [high[0], 0, 0, -high[1] / 2] as [Float])
    }

    private func bounds(_ examples: [[Float]]) throws -> ChannelRanges.Bounds {
        var ranges = ChannelRanges()
        for example in examples { ranges.include([Self.id: tensor(example)]) }
        return try #require(ranges[Self.id])
    }

    @Test func channelsThatAlwaysReachTheSameAreNotStretched() throws {
        let found = try bounds([[4, 2], [4, 2], [4, 2]])
        #expect(found == ChannelRanges.Bounds(low: [0, -1], high: [4, 0]))
    }

    @Test func oneExampleIsTakenAsItIs() throws {
        #expect(try bounds([[3, 8]]) == ChannelRanges.Bounds(low: [0, -4], high: [3, 0]))
    }

    @Test func channelsThatVaryReachFartherWithinABound() throws {
        // Deviations 0.1 and 1: ln(1000) * sqrt(6) / pi = 5.39 of them above the mean, but never 1.4 times what was seen.
        let found = try bounds([[3.9, 7], [4, 8], [4.1, 9]])
        #expect(abs(found.high[0] - 4.5386) < 1e-3)
        #expect(abs(found.low[1] + 4.5 * 1.4) < 1e-4)
    }

    @Test func whatWasSeenIsWithin() throws {
        let found = try bounds([[1, 1], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], [100, 100]])
        #expect(found.high[0] >= 100 && found.low[1] <= -50)
    }

    @Test func numbersThatAreNoneDoNotCount() throws {
        let found = try bounds([[.nan, .infinity], [2, 2]])
        #expect(found.high[0] <= 2.8 && found.low[1] >= -1.4)
    }
}

@Suite struct SignalRatioTests {
    /// Classes that differ much and pictures that do not: the classes are the signal.
    @Test func classesOfAPictureAreComparedWithEachOther() {
        for shape in [Shape([1, 4]), Shape([1, 4, 1, 1])] {
            var ratio = SignalRatio(countsMeans: false)
            let scores: [Float] = [5, 1, -3, 2]
            for _ in 0..<3 {
                ratio.include(
                    reference: Tensor(shape, scores), result: Tensor(shape, scores.map { $0 + 0.01 }))
            }
            #expect(ratio.decibels > 40 && ratio.decibels < 60)
        }
    }

    @Test func whatIsTheSameAtAllPlacesIsNoSignal() {
        var ratio = SignalRatio(countsMeans: false)
        ratio.include(
            reference: Tensor([1, 1, 1, 4], [9, 9, 9, 9] as [Float]),
            result: Tensor([1, 1, 1, 4], [9, 9, 9, 9.1] as [Float]))
        #expect(ratio.decibels < -100)
    }
}
