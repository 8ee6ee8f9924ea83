// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

@Suite struct WindowDetectorTests {
    private static let period = 16
    private let budget = FalseAlarmBudget(count: 1, per: .seconds(86400))

    /// Predicts a wave of `period` samples from its last two: x[t] = 2 cos(w) x[t-1] - x[t-2].
    private static func predictor(
        _ input: UnsafeBufferPointer<Float>, _ output: UnsafeMutableBufferPointer<Float>
    ) -> Bool {
        output[0] = 2 * cos(2 * .pi / Float(period)) * input[input.count - 1] - input[input.count - 2]
        return true
    }

    /// Reconstructs what is a wave of `period` samples, and nothing else.
    private static func autoencoder(
        _ input: UnsafeBufferPointer<Float>, _ output: UnsafeMutableBufferPointer<Float>
    ) -> Bool {
        var (a, b): (Float, Float) = (0, 0)
        for index in input.indices {
            let angle = 2 * Float.pi * Float(index) / Float(period)
            a += input[index] * cos(angle) * 2 / Float(period)
            b += input[index] * sin(angle) * 2 / Float(period)
        }
        for index in output.indices {
            let angle = 2 * Float.pi * Float(index) / Float(period)
            output[index] = a * cos(angle) + b * sin(angle)
        }
        return true
    }

    private func network(_ target: WindowForm.Target) -> WindowDetector.Network {
        switch target {
        case .next: { WindowDetectorTests.predictor($0, $1) }
        case .window: { WindowDetectorTests.autoencoder($0, $1) }
        }
    }

    private func detector(_ target: WindowForm.Target) -> WindowDetector {
        let form = WindowForm(seriesCount: 1, length: WindowDetectorTests.period, target: target)
        return WindowDetector(form, outputCount: target == .next ? 1 : form.elementCount, budget: budget)
    }

    /// A wave with some noise; its phase jumps, if at all, between values that it always takes.
    private func wave(_ count: Int, jumpAt jump: Int? = nil, seed: UInt64 = 1) -> [Double] {
        var random = Random(state: seed)
        return (0..<count).map { (index: Int) -> Double in
            let hasJumped = index >= (jump ?? Int.max)
            let place = index + (hasJumped ? WindowDetectorTests.period / 2 : 0)
            let angle = 2 * Double.pi * Double(place) / Double(WindowDetectorTests.period)
            return 50 + 8 * sin(angle) + 0.1 * random.gaussian()
        }
    }

    private func scores(_ series: [Double], _ target: WindowForm.Target) -> [AnomalyScore] {
        var detector = detector(target)
        return series.enumerated().map { detector.score([$1], at: Int64($0) * 60_000_000_000, network(target)) }
    }

    @Test(arguments: [WindowForm.Target.next, .window])
    func findsWhatTheNetworkDoesNotExpect(target: WindowForm.Target) {
        // At 1002 the wave is beside its mean, where half a period more makes a difference.
        let scores = scores(wave(1100, jumpAt: 1002), target)
        #expect(scores[1002...1006].contains { $0.isAlarm && $0.score > 0.9999 })
        #expect(scores[..<1002].count { $0.isAlarm } <= 2)
    }

    @Test func expectedIsWhereThePredictionIs() throws {
        let series = wave(500)
        let expected = try scores(series, .next).suffix(100).map { try #require($0.expected) }
        let inside = zip(expected, series.suffix(100)).count { $0.contains($1) }
        #expect(inside >= 95 && expected.allSatisfy { $0.upperBound - $0.lowerBound < 3 })
    }

    @Test(arguments: [WindowForm.Target.next, .window])
    func unitAndOffsetDoNotMatter(target: WindowForm.Target) {
        let series = wave(600)
        for (one, other) in zip(scores(series, target), scores(series.map { 1e4 + 300 * $0 }, target)) {
            #expect(abs(one.score - other.score) < 1e-3)
        }
    }

    /// 20 runs over 5 periods of the budget. Bound: 1.5 times the budget and three standard deviations of a Poisson count.
    @Test(arguments: [WindowForm.Target.next, .window])
    func rateKeepsTheBudget(target: WindowForm.Target) {
        let onsets = (1...20).reduce(0) { sum, seed in
            let alarms = scores(wave(7200, seed: UInt64(seed)), target).map(\.isAlarm)
            return sum + zip(alarms.dropFirst(), alarms).count { $0 && !$1 }
        }
        #expect(onsets <= 150 + 30, "\(onsets) alarms, 100 in the budget")
    }

    @Test(arguments: [WindowForm.Target.next, .window])
    func restoredDetectorGoesOnBitByBit(target: WindowForm.Target) throws {
        let series = wave(400)
        for count in [0, 5, 16, 17, 200] {
            var original = detector(target)
            for index in 0..<count { _ = original.score([series[index]], at: Int64(index) * 60, network(target)) }
            let form = original.form
            var restored = try WindowDetector(
                snapshot: original.snapshot, form, outputCount: target == .next ? 1 : 16, budget: budget)
            for index in count..<400 {
                let (a, b) = (
                    original.score([series[index]], at: Int64(index) * 60, network(target)),
                    restored.score([series[index]], at: Int64(index) * 60, network(target))
                )
                #expect(a == b)
            }
            var other = form
            other.length = 8
            #expect(throws: SnapshotFault.self) {
                try WindowDetector(snapshot: original.snapshot, other, outputCount: 16, budget: budget)
            }
        }
    }

    @Test(arguments: [true, false])
    func severalSeriesAreLaidOutAsTheNetworkWants(isSeriesMajor: Bool) {
        var form = WindowForm(seriesCount: 2, length: 3, isSeriesMajor: isSeriesMajor, target: .next)
        form.normalization = .none
        var detector = WindowDetector(form, outputCount: 2, budget: budget)
        var seen: [Float] = []
        for index in 0..<4 {
            _ = detector.score([Double(index), index == 2 ? .nan : Double(10 * index)], at: Int64(index)) {
                input, output in
                seen = Array(input)
                (output[0], output[1]) = (0, 0)
                return true
            }
        }
        // The missing value is the one before.
        #expect(seen == (isSeriesMajor ? [1, 2, 3, 10, 10, 30] : [1, 10, 2, 10, 3, 30]))
    }

    @Test func aNetworkThatFailsOrSaysNonsenseIsNoAlarm() {
        let series = wave(300)
        for nonsense: Float? in [nil, .nan, .infinity] {
            var detector = detector(.window)
            let scores = series.enumerated().map { index, value in
                detector.score([value], at: Int64(index) * 60) { _, output in
                    for place in output.indices { output[place] = nonsense ?? 0 }
                    return nonsense != nil
                }
            }
            #expect(scores.allSatisfy { !$0.isAlarm && (0...1).contains($0.score) })
        }
    }

    @Test func extremeValuesGiveScoresInRange() {
        var random = Random(state: 9)
        for target in [WindowForm.Target.next, .window] {
            let series = (0..<500).map { _ in (random.uniform() - 0.5) * pow(10, random.uniform() * 600 - 300) }
            #expect(scores(series, target).allSatisfy { (0...1).contains($0.score) })
        }
    }
}
