// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

/// Each method finds what it is for, says nothing of the rest, and keeps the budget.
@Suite struct MethodTests {
    private static let second: Int64 = 1_000_000_000

    private func alarms(
        _ series: [Double], _ methods: Set<DetectionMethod>, budget: String = "1/day", seconds: Int64 = 300
    ) throws -> [Bool] {
        var detector = SeriesDetector(budget: try FalseAlarmBudget(budget), methods: methods)
        return series.enumerated().map {
            detector.score($1, at: Int64($0) * seconds * MethodTests.second).isAlarm
        }
    }

    /// A ramp that is ten times as steep, but stays where the series always is.
    private func withSteepRamp(_ seed: UInt64) -> [Double] {
        var random = Random(state: seed)
        var level = 0.0
        return (0..<3000).map { index in
            let step = (2000..<2004).contains(index) ? 10.0 : 0
            level += step + random.uniform() - 0.5 - 0.01 * level
            return level
        }
    }

    @Test func rateFindsAFastChange() throws {
        let found = try (1...20).filter { try alarms(withSteepRamp($0), [.rate])[2000..<2004].contains(true) }
        #expect(found.count >= 19, "\(found)")
    }

    @Test func rateTakesAGapForTime() throws {
        // After a gap of 100 samples the series is 100 steps away: that is as fast as ever.
        var detector = SeriesDetector(budget: try FalseAlarmBudget("1/day"), methods: [.rate])
        var random = Random(state: 3)
        let isAlarm = (0..<1000).map { index in
            let place = index < 900 ? index : index + 100
            return detector.score(
                Double(place) + 0.2 * random.uniform(), at: Int64(place) * 60 * MethodTests.second
            ).isAlarm
        }
        #expect(!isAlarm.contains(true))
    }

    @Test func flatLineFindsAStuckValueAndNothingElse() throws {
        var series = Noise.quantized.series(count: 2000, seed: 4)
        series[500] = 1000
        for index in 1500..<1560 { series[index] = series[1499] }
        let alarms = try alarms(series, [.flatLine])
        #expect(!alarms[..<1500].contains(true) && alarms[1510..<1560].contains(true))
    }

    /// The value of noon at midnight: usual, but not then.
    @Test func seasonalFindsAUsualValueAtAnUnusualTime() throws {
        var random = Random(state: 5)
        var series = (0..<20 * 288).map { 20 + 10 * sin(2 * .pi * Double($0) / 288) + 0.5 * random.gaussian() }
        let place = 18 * 288 + 72
        series[place] = 10
        let seasonal = try alarms(series, [.seasonal])
        #expect(seasonal[place])
        #expect(zip(seasonal.dropFirst(), seasonal).count { $0 && !$1 } <= 20 + 14)
    }

    @Test func levelFindsAShift() throws {
        var series = Noise.gaussian.series(count: 1000, seed: 6)
        for index in 800..<1000 { series[index] += 20 }
        let alarms = try alarms(series, [.level])
        #expect(!alarms[790..<800].contains(true) && alarms[800..<804].contains(true))
    }

    /// 10 runs over 5 periods of the budget. Bound: 1.5 times the budget and three standard deviations of a Poisson count.
    @Test(
        arguments: [[.level], [.rate], [.level, .flatLine, .rate], [.auto, .rate]] as [Set<DetectionMethod>],
        [Noise.gaussian, .student3, .autoregressive, .season])
    func rateOfFalseAlarmsKeepsTheBudget(methods: Set<DetectionMethod>, noise: Noise) throws {
        let onsets = try (1...10).reduce(0) { sum, seed in
            let alarms = try alarms(
                noise.series(count: 10_000, seed: UInt64(seed)), methods, budget: "1/600000s")
            return sum + zip(alarms.dropFirst(), alarms).count { $0 && !$1 }
        }
        #expect(onsets <= 75 + 21, "\(onsets) alarms, 50 in the budget")
    }

    @Test(arguments: [[.level], [.seasonal, .rate], [.auto, .rate]] as [Set<DetectionMethod>])
    func restoredDetectorGoesOnBitByBit(methods: Set<DetectionMethod>) throws {
        let budget = try FalseAlarmBudget("1/day")
        let series = Noise.season.series(count: 1200, seed: 7)
        var original = SeriesDetector(budget: budget, methods: methods)
        for index in 0..<900 { _ = original.score(series[index], at: Int64(index) * 300 * MethodTests.second) }
        var restored = try SeriesDetector(snapshot: original.snapshot, budget: budget, methods: methods)
        for index in 900..<1200 {
            let time = Int64(index) * 300 * MethodTests.second
            #expect(restored.score(series[index], at: time) == original.score(series[index], at: time))
        }
        // Of another kind it is none.
        #expect(throws: SnapshotFault.self) { try SilenceModel(snapshot: original.snapshot) }
    }
}
