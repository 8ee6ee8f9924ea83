// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Anomaly

@Suite struct FalseAlarmTests {
    /// Alarms that begin after the warm-up, over all seeds.
    private func alarms(_ noise: Noise, seeds: Int, count: Int, period: Int, interval: Double) -> Int {
        (1...seeds).reduce(0) { sum, seed in
            var detector = SeriesDetector(budget: FalseAlarmBudget(count: 1, per: .seconds(Double(period) * interval)))
            var alarms = 0
            var last = -100
            for (index, value) in noise.series(count: count, seed: UInt64(seed)).enumerated()
            where detector.score(value, at: Int64(Double(index) * interval * 1e9)).isAlarm {
                if index - last > 1 { alarms += 1 }
                last = index
            }
            return sum + alarms
        }
    }

    /// 3 runs over 20 periods of the budget, warm-up and all. Bound: 1.5 times the budget.
    @Test(arguments: Noise.allCases)
    func rateKeepsTheBudget(noise: Noise) {
        let count = alarms(noise, seeds: 3, count: 40_000, period: 2000, interval: 300)
        #expect(count <= 90, "\(count) alarms, 60 in the budget")
    }

    /// The first 5 periods alone, 10 runs. Bound: 1.5 times the budget and three standard deviations of a Poisson count.
    @Test(
        arguments: [
            .gaussian, .laplace, .student3, .uniform, .autoregressive, .quantized, .randomWalk, .logNormal, .poisson,
            .garch, .pulses, .season,
        ] as [Noise])
    func rateKeepsTheBudgetFromTheStart(noise: Noise) {
        let count = alarms(noise, seeds: 10, count: 10_000, period: 2000, interval: 300)
        #expect(count <= 75 + 21, "\(count) alarms, 50 in the budget")
    }

    /// One alarm an hour, of samples that come every 10 s: 3 runs over 20 periods.
    @Test(arguments: Noise.allCases)
    func rateKeepsShortBudgets(noise: Noise) {
        let count = alarms(noise, seeds: 3, count: 7200, period: 360, interval: 10)
        #expect(count <= 90, "\(count) alarms, 60 in the budget")
    }

    /// 100 runs of 20 s at 8 samples per second with a budget of one per day, which is 0.02 for all.
    @Test(arguments: [Noise.gaussian, .uniform, .quantized])
    func newSeriesStayQuiet(noise: Noise) {
        let count = alarms(noise, seeds: 100, count: 160, period: 691_200, interval: 0.125)
        #expect(count <= 5, "\(count) alarms")
    }

    @Test(
        arguments: [
            ("1/day", 1.0 / 86400), ("2/week", 2.0 / 604_800), ("0.5/hour", 0.5 / 3600), ("3/10m", 3.0 / 600),
            ("1/7d", 1.0 / 604_800),
        ] as [(String, Double)])
    func readsBudgets(text: String, rate: Double) throws {
        #expect(abs(try FalseAlarmBudget(text).rate / rate - 1) < 1e-12)
    }

    @Test(arguments: [
        "", "1", "day", "0/day", "-1/day", "1/0day", "1/fortnight", "1/day/2", "nan/day", "inf/day", "1/ day", "1/",
    ])
    func refusesOtherBudgets(text: String) {
        #expect(throws: FalseAlarmBudget.Fault.malformed(text)) { try FalseAlarmBudget(text) }
    }
}
