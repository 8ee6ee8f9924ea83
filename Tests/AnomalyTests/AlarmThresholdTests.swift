// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

@Suite struct AlarmThresholdTests {
    private let allowed = 0.01

    /// Which samples alarm, given the logarithms of their probabilities, and the threshold after them.
    private func alarms(_ logProbabilities: [Double]) -> (alarms: [Bool], threshold: AlarmThreshold) {
        var threshold = AlarmThreshold()
        return (logProbabilities.map { threshold.isAlarm($0, allowed) }, threshold)
    }

    /// Which samples begin an alarm.
    private func onsets(_ logProbabilities: [Double]) -> [Int] {
        let alarms = alarms(logProbabilities).alarms
        return alarms.indices.filter { alarms[$0] && ($0 == 0 || !alarms[$0 - 1]) }
    }

    /// However improbable every other sample is called, in 20 periods there are not many more than 20 alarms.
    @Test(arguments: [-5.0, -10, -100, -700])
    func holdsTheBudgetAgainstAnyProbability(logProbability: Double) {
        let samples = (0..<2000).map { $0 % 2 == 0 ? 0 : logProbability }
        #expect(onsets(samples).count <= 29)
        #expect(alarms(samples).threshold.isOverBudget == (logProbability < -50))
    }

    @Test func anAlarmGoesOnAtTheLimitItBeganWith() {
        #expect(alarms([-4.5, -30, -5, -4.5, -5]).alarms == [false, true, true, false, false])
    }

    @Test func aRecordIsAnAlarmAtAnyTime() {
        let equal = [-20.0, 0, -20, 0, -20, 0, -20, 0, -20, 0, -20, 0, -20, 0, -20, 0]
        #expect(onsets(equal + [-60, 0, -25]) == [0, 2, 4, 6, 8, 10, 16])
    }

    /// Two periods after one alarm the threshold is what it was.
    @Test func theThresholdComesBack() {
        let quiet = Array(repeating: 0.0, count: 200)
        #expect(onsets([-700] + quiet + [-4.7]) == [0, 201])
    }

    @Test func anAlarmThatGoesOnForOtherReasonsIsNotAnother() {
        var threshold = AlarmThreshold()
        for _ in 0..<50 { _ = threshold.isAlarm(-700, allowed, continues: true) }
        #expect(threshold.limit(allowed) == log(allowed))
    }
}
