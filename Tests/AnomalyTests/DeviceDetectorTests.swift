// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

@Suite struct DeviceDetectorTests {
    private let second: Int64 = 1_000_000_000

    /// Three series that follow one another, and one by itself.
    private func sets(count: Int, seed: UInt64) -> [[Double]] {
        var random = Random(state: seed &* 0x9E37_79B9)
        return (0..<count).map { _ in
            let common = random.gaussian()
            return [
                20 + common, 5 + 0.1 * (common + 0.2 * random.gaussian()),
                900 + 40 * (common + 0.2 * random.gaussian()),
                random.gaussian(),
            ]
        }
    }

    private func scores(_ sets: [[Double]], budget: String = "1/hour") throws -> [AnomalyScore] {
        var detector = DeviceDetector(seriesCount: sets[0].count, budget: try FalseAlarmBudget(budget))
        return sets.enumerated().map { detector.score($1, at: Int64($0) * second) }
    }

    @Test func findsABrokenRelationOfUsualValues() throws {
        let found = try (1...20).filter { seed in
            var sets = self.sets(count: 500, seed: UInt64(seed))
            // Two deviations up where two deviations down belong: neither is unusual.
            for index in 400..<430 { (sets[index][0], sets[index][1]) = (22, 4.8) }
            return try scores(sets)[400..<430].contains { $0.isAlarm }
        }
        #expect(found.count >= 19, "\(found)")
    }

    @Test func findsAShiftOfOneSeries() throws {
        let found = try (1...20).filter { seed in
            var sets = self.sets(count: 500, seed: UInt64(seed))
            for index in 400..<500 { sets[index][3] += 8 }
            return try scores(sets)[400..<410].contains { $0.isAlarm && $0.score > 0.99 }
        }
        #expect(found.count >= 19, "\(found)")
    }

    @Test func alarmLastsAsLongAsTheFault() throws {
        var sets = self.sets(count: 700, seed: 5)
        for index in 400..<600 { sets[index][0] -= 10 }
        let alarms = try scores(sets).map(\.isAlarm)
        #expect(alarms[405..<600].allSatisfy { $0 })
        #expect(alarms[..<400].allSatisfy { !$0 } && alarms[690...].allSatisfy { !$0 })
    }

    @Test func aFaultThatStaysBecomesUsual() throws {
        var sets = self.sets(count: 1800, seed: 6)
        for index in 400..<1800 { sets[index][0] -= 10 }
        let alarms = try scores(sets).map(\.isAlarm)
        #expect(alarms[500] && !alarms[850..<1500].contains(true))
    }

    /// 20 runs over 4 periods of the budget. Bound: 1.5 times the budget and three standard deviations of a Poisson
    /// count.
    @Test func rateKeepsTheBudget() throws {
        var onsets = 0
        for seed in 1...20 {
            let alarms = try scores(sets(count: 4000, seed: UInt64(seed)), budget: "1/1000s").map(\.isAlarm)
            onsets += zip(alarms.dropFirst(), alarms).count { $0 && !$1 }
        }
        #expect(onsets <= 120 + 27, "\(onsets) alarms, 80 in the budget")
    }

    /// 6 runs of eight series of the same kind, over 5 periods of the budget. Bound: 1.5 times the budget.
    @Test(arguments: [Noise.student3, .randomWalk, .garch, .onOff])
    func rateKeepsTheBudgetOfDrivenSeries(noise: Noise) throws {
        var onsets = 0
        for seed in 1...6 {
            let series = (0..<8).map { noise.series(count: 2500, seed: UInt64(100 * seed + $0)) }
            let sets = (0..<2500).map { index in series.map { $0[index] } }
            let alarms = try scores(sets, budget: "1/500s").map(\.isAlarm)
            onsets += zip(alarms.dropFirst(), alarms).count { $0 && !$1 }
        }
        #expect(onsets <= 45, "\(onsets) alarms, 30 in the budget")
    }

    @Test func missingSamplesAreNoFault() throws {
        var sets = self.sets(count: 600, seed: 7)
        for index in 200..<600 { sets[index][index % 4] = .nan }
        for index in 300..<310 { sets[index] = [.nan, .nan, .nan, .nan] }
        let scores = try scores(sets)
        #expect(scores.allSatisfy { !$0.isAlarm && (0...1).contains($0.score) })
        #expect(scores[300..<310].allSatisfy { $0.score == 0 })
    }

    @Test func earlierScoresDoNotDependOnLaterSets() throws {
        let sets = self.sets(count: 400, seed: 8)
        let all = try scores(sets)
        for count in [1, 31, 121, 250] { #expect(try scores(Array(sets[..<count])) == Array(all[..<count])) }
    }

    @Test func restoredDetectorGoesOnBitByBit() throws {
        let budget = try FalseAlarmBudget("1/hour")
        var sets = self.sets(count: 900, seed: 10)
        for index in 380..<500 { sets[index][2] = 2000 }
        for count in [0, 1, 100, 400] {
            var original = DeviceDetector(seriesCount: 4, budget: budget)
            for (index, set) in sets[..<count].enumerated() { _ = original.score(set, at: Int64(index) * second) }
            var restored = try DeviceDetector(snapshot: original.snapshot, seriesCount: 4, budget: budget)
            for index in count..<900 {
                let time = Int64(index) * second
                #expect(restored.score(sets[index], at: time) == original.score(sets[index], at: time))
            }
            #expect(throws: SnapshotFault.self) {
                try DeviceDetector(snapshot: original.snapshot, seriesCount: 3, budget: budget)
            }
        }
    }

    @Test func extremeValuesGiveScoresInRange() throws {
        var random = Random(state: 12)
        for _ in 0..<20 {
            let sets = (0..<300).map { _ in
                (0..<3).map { _ in
                    (random.uniform() - 0.5) * pow(10, (random.uniform() * 600 - 300).rounded())
                        * (random.uniform() < 0.3 ? 0 : 1)
                }
            }
            #expect(try scores(sets).allSatisfy { (0...1).contains($0.score) })
        }
    }

    @Test func oneSeriesIsJudgedAsByItself() throws {
        let series = Noise.student3.series(count: 400, seed: 9)
        var detector = SeriesDetector(budget: try FalseAlarmBudget("1/hour"))
        for (index, score) in try scores(series.map { [$0] }).enumerated() {
            let alone = detector.score(series[index], at: Int64(index) * second)
            #expect(score.score == alone.score && score.isAlarm == alone.isAlarm)
        }
    }
}
