// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Alerts

@Suite struct AlertLifeCycleTests {
    /// A rule on series 0, its facts and ticks by the second, and the changes as text: `opened 3`.
    private func changes(
        _ rule: AlertRule, _ steps: [(second: Double, value: Double?)], updateInterval: Duration = .seconds(1)
    ) -> [String] {
        var tracker = AlertTracker(rules: [rule], updateInterval: updateInterval)
        var changes: [AlertChange] = []
        for step in steps {
            let now = Int64(step.second * 1e9)
            if let value = step.value {
                tracker.observe(.sample(series: 0, value: value, judgement: nil), key: "a", at: now, into: &changes)
            } else {
                tracker.tick(at: now, into: &changes)
            }
        }
        return changes.map { "\($0.kind) \(Double($0.at) / 1e9)" }
    }

    private func above(_ minimumDuration: Double = 0, clearDelay: Double = 0, clear: Double = 10) -> AlertRule {
        AlertRule(
            id: "hot", condition: .above(series: 0, threshold: 10, clear: clear),
            minimumDuration: .seconds(minimumDuration), clearDelay: .seconds(clearDelay))
    }

    @Test func opensAndClosesAtOnceWithoutDurations() {
        #expect(changes(above(), [(1, 11), (2, 9)]) == ["opened 1.0", "closed 2.0"])
    }

    @Test func opensOnlyAfterMinimumDuration() {
        #expect(changes(above(3), [(1, 11), (3.9, 11), (4, 11)]) == ["opened 4.0"])
    }

    @Test func tickOpensWhenMinimumDurationHasPassed() {
        #expect(changes(above(3), [(1, 11), (3, nil), (4.5, nil)]) == ["opened 4.5"])
    }

    @Test func interruptionStartsMinimumDurationAnew() {
        #expect(changes(above(3), [(1, 11), (2, 9), (3, 11), (5, 11), (6, 11)]) == ["opened 6.0"])
    }

    @Test func staysOpenBetweenThresholds() {
        #expect(changes(above(clear: 8), [(1, 11), (2, 9), (3, 8)]) == ["opened 1.0", "closed 3.0"])
    }

    @Test func tickClosesAfterClearDelay() {
        #expect(changes(above(clearDelay: 5), [(1, 11), (2, 9), (6, nil), (7, nil)]) == ["opened 1.0", "closed 7.0"])
    }

    @Test func returnWithinClearDelayKeepsItOpen() {
        let steps: [(Double, Double?)] = [(1, 11), (2, 9), (4, 12), (5, 9), (9, nil), (10, nil)]
        #expect(changes(above(clearDelay: 5), steps) == ["opened 1.0", "updated 4.0", "closed 10.0"])
    }

    @Test func updatesAtMostOncePerInterval() {
        let steps: [(Double, Double?)] = [(1, 11), (1.2, 12), (1.4, 13), (2, 14), (2.5, 15), (3.5, nil), (5, nil)]
        #expect(changes(above(), steps) == ["opened 1.0", "updated 2.0", "updated 3.5"])
    }
}
