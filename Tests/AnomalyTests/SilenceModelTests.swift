// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

@Suite struct SilenceModelTests {
    private let budget = FalseAlarmBudget(count: 1, per: .seconds(86400))

    /// A model that heard samples at those times, in seconds.
    private func model(_ times: [Double]) -> SilenceModel {
        var model = SilenceModel()
        for time in times { model.take(time: Int64(time * 1e9), budget: budget) }
        return model
    }

    @Test func aSensorThatStopsIsNoticedAfterThreeIntervals() throws {
        var random = Random(state: 1)
        let model = model((0..<200).map { 10 * Double($0) + 0.5 * random.uniform() })
        let longest = try #require(model.longestSeconds)
        #expect(longest >= 30 && longest < 60, "\(longest) s")
        #expect(model.silence(at: Int64((1990 + 29) * 1e9)) == nil)
        #expect(model.silence(at: Int64((1990 + 62) * 1e9)) != nil)
    }

    /// A motion sensor: what comes at random needs longer.
    @Test func samplesAtRandomMayBeSilentForLonger() throws {
        var random = Random(state: 2)
        var time = 0.0
        let model = model(
            (0..<1000).map { _ in
                time += -60 * log(random.uniform())
                return time
            })
        let longest = try #require(model.longestSeconds)
        // Of 1440 silences a day one is allowed: ln 1440 = 7.3 intervals.
        #expect(longest > 5 * 60 && longest < 20 * 60, "\(longest) s")
    }

    /// Silences of many kinds: how long the next one is, given the hour of the day.
    enum Silences: CaseIterable {
        case atRandom, lostInARow, heavyTailed, quietNights, shifts

        func next(_ random: inout Random, hour: Double) -> Double {
            switch self {
            case .atRandom: -60 * log(random.uniform())
            case .lostInARow: random.uniform() < 0.003 ? 10 - 60 * log(random.uniform()) : 10 + random.uniform()
            case .heavyTailed: 10 * pow(random.uniform(), -1 / 1.2)
            case .quietNights: -(hour < 7 ? 1200 : 60) * log(random.uniform())
            case .shifts: hour > 22 ? 8 * 3600 : 60 + random.uniform()
            }
        }
    }

    /// 4 runs over 10 periods of the budget. Bound: 1.5 times the budget.
    @Test(arguments: Silences.allCases)
    func rateKeepsTheBudget(silences: Silences) {
        var alarms = 0
        for seed in 1...4 {
            var random = Random(state: UInt64(seed) &* 0x9E37_79B9)
            var (model, time) = (SilenceModel(), 0.0)
            while time < 10 * 86400 {
                model.take(time: Int64(time * 1e9), budget: budget)
                let hour = (time / 3600).truncatingRemainder(dividingBy: 24)
                let silence = silences.next(&random, hour: hour)
                if let longest = model.longestSeconds, silence > longest { alarms += 1 }
                time += silence
            }
        }
        #expect(alarms <= 60, "\(alarms) alarms, 40 in the budget")
    }

    @Test func littleIsKnownOfAFewSamples() { #expect(model((0..<20).map(Double.init)).longestSeconds == nil) }

    @Test func timeWithoutConnectionIsNoSilence() {
        var model = model((0..<100).map(Double.init))
        #expect(model.silence(at: 300_000_000_000) != nil)
        model.resume(at: 299_000_000_000)
        #expect(model.silence(at: 300_000_000_000) == nil)
    }

    @Test func samplesOfOneMessageAreNoIntervals() throws {
        let times = (0..<100).flatMap { message in (0..<5).map { Double(message) + 1e-5 * Double($0) } }
        #expect(abs(model(times).intervalSeconds - 1) < 0.05)
    }

    /// 20 sensors for 10 days each. Bound: 1.5 times the budget of 200 and three standard deviations of a Poisson count.
    @Test(arguments: ["regular", "random", "bursts", "nights"])
    func falseAlarmsKeepTheBudget(kind: String) {
        var count = 0
        for seed in 1...20 {
            var random = Random(state: UInt64(seed) &* 77)
            var model = SilenceModel()
            var time = 0.0
            while time < 864_000 {
                let step: Double
                switch kind {
                case "regular": step = 60 * (1 + 0.1 * random.gaussian())
                case "random": step = -60 * log(random.uniform())
                case "bursts": step = random.uniform() < 0.9 ? 5 : -600 * log(random.uniform())
                // Nothing from sunset to sunrise.
                default: step = fmod(time, 86400) > 43200 ? 43200 : 60
                }
                if let longest = model.longestSeconds, step > longest { count += 1 }
                time += max(step, 0.1)
                model.take(time: Int64(time * 1e9), budget: budget)
            }
        }
        #expect(count <= 300 + 42, "\(count) alarms, 200 in the budget")
    }

    @Test func restoredModelKnowsTheInterval() throws {
        let original = model((0..<200).map { 10 * Double($0) })
        let restored = try SilenceModel(snapshot: original.snapshot)
        #expect(restored.longestSeconds == original.longestSeconds)
        // When the last one came is not known in another run.
        #expect(restored.silence(at: .max) == nil)
    }
}
