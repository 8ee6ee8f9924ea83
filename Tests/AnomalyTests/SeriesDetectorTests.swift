// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

@Suite struct SeriesDetectorTests {
    /// Scores a series with a sample every `interval` seconds.
    private func scores(_ series: [Double], budget: String = "1/day", interval: Double = 0.125) throws -> [AnomalyScore]
    {
        var detector = SeriesDetector(budget: try FalseAlarmBudget(budget))
        return series.enumerated().map { detector.score($1, at: Int64(Double($0) * interval * 1e9)) }
    }

    /// In how many of 50 runs of a noise of standard deviation 3 around 100, with a fault from its 60th sample on, the
    /// fault raises an alarm within 40 samples.
    private func found(_ fault: (_ value: Double, _ sinceOnset: Int, _ last: Double) -> Double) throws -> Int {
        try (1...50).filter { seed in
            var series = Noise.gaussian.series(count: 100, seed: UInt64(seed))
            let last = series[59]
            for index in 60..<100 { series[index] = fault(series[index], index - 60, last) }
            return try scores(series)[60...].contains { $0.isAlarm }
        }.count
    }

    @Test func findsSpikes() throws {
        #expect(try found { value, sinceOnset, _ in sinceOnset == 0 ? value + 36 : value } >= 47)
    }

    @Test func findsLevelShifts() throws { #expect(try found { value, _, _ in value + 20 } >= 47) }

    @Test func findsDrifts() throws {
        #expect(try found { value, sinceOnset, _ in value + 0.9 * Double(sinceOnset + 1) } >= 45)
    }

    @Test func findsGrowingNoise() throws { #expect(try found { value, _, _ in 100 + 5 * (value - 100) } >= 45) }

    @Test func findsStuckValues() throws { #expect(try found { _, _, last in last } >= 49) }

    @Test func scaleAndOffsetDoNotMatter() throws {
        let series = Noise.gaussian.series(count: 300, seed: 4)
        let alike = try scores(series.map { $0 * 1e6 + 1e9 })
        for (a, b) in zip(try scores(series), alike) { #expect(abs(a.score - b.score) < 0.02) }
    }

    @Test func scoresOfUsualSamplesAreTailProbabilities() throws {
        let values = try scores(Noise.gaussian.series(count: 20000, seed: 1)).dropFirst(500).map(\.score)
        // The smallest of several probabilities times their number is too careful, never too bold.
        for probability in [0.1, 0.01, 0.001] {
            let share = Double(values.count { $0 > 1 - probability }) / Double(values.count)
            #expect(share < 1.5 * probability)
        }
    }

    @Test func constantSeriesIsNeverUnusual() throws {
        #expect(try scores(Array(repeating: 20.5, count: 1000)).map(\.score).max()! < 0.99)
    }

    @Test func smallestStepOfAConstantSeriesIsNoAlarm() throws {
        let series = Array(repeating: 20.5, count: 100) + [20.6, 20.5, 20.5, 20.4]
        #expect(try scores(series).allSatisfy { !$0.isAlarm })
    }

    @Test func largeStepOfAConstantSeriesIsAnAlarm() throws {
        #expect(try scores(Array(repeating: 20.5, count: 100) + [80])[100].isAlarm)
    }

    @Test func learnsALevelShift() throws {
        let series = Noise.gaussian.series(count: 600, seed: 2).enumerated().map { $0 < 200 ? $1 : $1 + 60 }
        let results = try scores(series)
        #expect(results[200].isAlarm)
        #expect(results[300...].allSatisfy { !$0.isAlarm && $0.expected!.contains(160) })
    }

    /// A switch that begins at rest: seen at once, and soon known.
    @Test(arguments: [0.1, 0.3, 0.5])
    func aSwitchBecomesUsual(share: Double) throws {
        var random = Random(state: 21)
        let series = (0..<1000).map { $0 < 60 || random.uniform() > share ? 0.0 : 1.0 }
        #expect(try scores(series)[400...].count { $0.isAlarm } <= 1)
    }

    @Test func saysWhenTheBudgetCannotBeKept() throws {
        // Ever new excursions, of ever larger size.
        let series = (0..<4000).map { (index: Int) -> Double in
            index % 100 < 3 ? pow(1.4, Double(index / 100)) : Double(index % 7)
        }
        #expect(try scores(series).contains { $0.isOverBudget })
        #expect(try !scores(Noise.laplace.series(count: 4000, seed: 3)).contains { $0.isOverBudget })
    }

    @Test func oneOutlierDoesNotWidenTheExpectation() throws {
        var series = Noise.gaussian.series(count: 400, seed: 3)
        let before = try scores(series)[260].expected!
        series[200] = 1e12
        let after = try scores(series)[260].expected!
        let (widthBefore, widthAfter) = (before.upperBound - before.lowerBound, after.upperBound - after.lowerBound)
        #expect(widthAfter < 2 * widthBefore && abs(after.lowerBound - before.lowerBound) < widthBefore)
    }

    @Test func noAlarmWhileWarmingUp() throws {
        let results = try scores([1, 1, 1, 2, 900, 1, -5000] + Array(repeating: 3, count: 40))
        #expect(results.prefix(SeriesDetector.warmUpCount).allSatisfy { $0.isWarmingUp && !$0.isAlarm })
        #expect(!results[SeriesDetector.warmUpCount].isWarmingUp)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func whatIsNoNumberIsNotLearned(value: Double) throws {
        let series = Noise.gaussian.series(count: 100, seed: 5)
        var detector = SeriesDetector(budget: try FalseAlarmBudget("1/day"))
        var other = detector
        for (index, sample) in series.enumerated() {
            let time = Int64(index) * 1_000_000_000
            #expect(other.score(value, at: time).score == 0)
            #expect(detector.score(sample, at: time) == other.score(sample, at: time))
        }
    }

    @Test(arguments: [1e308, -1e308, 2.3e-308, 0, 1e-300])
    func extremeValuesGiveScoresInRange(value: Double) throws {
        let series = (0..<300).map { index in
            if index % 7 == 0 { return value }
            return index % 11 == 0 ? -value : Double(index % 3)
        }
        #expect(try scores(series).allSatisfy { (0...1).contains($0.score) })
    }

    @Test func wildMixturesGiveScoresInRange() throws {
        var random = Random(state: 9)
        for _ in 0..<50 {
            let series = (0..<200).map { _ in
                (random.uniform() - 0.5) * pow(10, (random.uniform() * 600 - 300).rounded())
                    * (random.uniform() < 0.3 ? 0 : 1)
            }
            #expect(try scores(series).allSatisfy { (0...1).contains($0.score) })
        }
    }

    @Test(arguments: Noise.allCases)
    func earlierScoresDoNotDependOnLaterSamples(noise: Noise) throws {
        let series = noise.series(count: 500, seed: 6)
        let all = try scores(series)
        for count in [1, 2, 30, 31, 77, 250, 499] {
            #expect(try scores(Array(series[..<count])) == Array(all[..<count]))
        }
    }

    @Test func memoryPerSeriesIsAsDocumented() { #expect(MemoryLayout<SeriesDetector>.stride <= 2900) }
}
