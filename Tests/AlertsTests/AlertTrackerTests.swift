// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Alerts

@Suite struct AlertTrackerTests {
    private var changes: [AlertChange] = []

    private func sample(_ value: Double) -> Fact { .sample(series: 0, value: value, judgement: nil) }

    private static let hot = AlertRule(
        id: "hot", condition: .above(series: 0, threshold: 10, clear: 10), clearDelay: .zero)

    private func seconds(_ value: Double) -> Int64 { Int64(value * 1e9) }

    @Test mutating func keysHaveTheirOwnAlerts() {
        var tracker = AlertTracker(rules: [AlertTrackerTests.hot])
        tracker.observe(sample(11), key: "a", at: 1, into: &changes)
        tracker.observe(sample(9), key: "b", at: 2, into: &changes)
        tracker.observe(sample(9), key: "a", at: 3, into: &changes)
        #expect(changes.map { "\($0.key) \($0.kind)" } == ["a opened", "a closed"])
    }

    @Test mutating func everyRuleJudgesAFact() {
        let warm = AlertRule(id: "warm", condition: .above(series: 0, threshold: 5, clear: 5))
        var tracker = AlertTracker(rules: [AlertTrackerTests.hot, warm])
        tracker.observe(sample(11), key: "a", at: 1, into: &changes)
        #expect(changes.map(\.rule) == [0, 1])
        #expect(tracker.openCount == 2)
    }

    @Test mutating func alertTellsItsStory() throws {
        let rule = AlertRule(
            id: "odd", condition: .anomaly(series: 2), minimumDuration: .seconds(1), clearDelay: .seconds(2))
        var tracker = AlertTracker(rules: [rule])
        let facts: [(Double, Double, Double)] = [
            (1, 50, 0.99), (2, 90, 0.9999), (3, 60, 0.999), (4, 20, 0.1), (6, 20, 0.1),
        ]
        for (second, value, score) in facts {
            let judgement = Fact.Judgement(score: score, isAlarm: score > 0.9, expected: 15...25)
            tracker.observe(
                .sample(series: 2, value: value, judgement: judgement), key: "press/1", at: seconds(second),
                into: &changes)
        }
        #expect(changes.map(\.kind) == [.opened, .updated, .closed])
        let alert = try #require(changes.last).alert
        #expect(alert.since == seconds(1) && alert.openedAt == seconds(2) && alert.lastRaisedAt == seconds(3))
        #expect(alert.closedAt == seconds(6) && alert.durationNanoseconds(at: 0) == seconds(5))
        #expect(alert.value == 60 && alert.peak == 90 && alert.score == 0.999 && alert.expected == 15...25)
        #expect(alert.count == 3)
    }

    @Test mutating func silenceOpensAndDataCloses() throws {
        let rule = AlertRule(
            id: "silent", condition: .noData(series: nil, after: .seconds(10)), clearDelay: .seconds(1))
        var tracker = AlertTracker(rules: [rule])
        tracker.observe(sample(1), key: "a", at: seconds(5), into: &changes)
        for second in 6...20 { tracker.tick(at: seconds(Double(second)), into: &changes) }
        #expect(changes.map(\.at) == [seconds(15)])
        #expect(changes[0].alert.since == seconds(5) && changes[0].alert.value == 10)
        tracker.observe(sample(1), key: "a", at: seconds(21), into: &changes)
        tracker.tick(at: seconds(22), into: &changes)
        #expect(changes.map(\.kind) == [.opened, .closed])
    }

    @Test mutating func otherSeriesDoNotBreakTheSilence() {
        let rule = AlertRule(id: "silent", condition: .noData(series: 1, after: .seconds(10)))
        var tracker = AlertTracker(rules: [rule])
        for second in 0...12 {
            tracker.observe(sample(1), key: "a", at: seconds(Double(second)), into: &changes)
            tracker.tick(at: seconds(Double(second)), into: &changes)
        }
        #expect(changes.map(\.at) == [seconds(10)])
    }

    @Test mutating func expectedKeyCanBeSilentFromTheStart() {
        let rule = AlertRule(id: "silent", condition: .noData(series: nil, after: .seconds(10)))
        var tracker = AlertTracker(rules: [rule])
        tracker.expect(key: "a", at: seconds(1))
        tracker.tick(at: seconds(11), into: &changes)
        #expect(changes.map(\.kind) == [.opened])
    }

    @Test mutating func silenceAgainWithinTheClearDelayKeepsItOpen() {
        let rule = AlertRule(id: "silent", condition: .noData(series: nil, after: .seconds(2)), clearDelay: .seconds(5))
        var tracker = AlertTracker(rules: [rule])
        tracker.observe(sample(1), key: "a", at: 0, into: &changes)
        tracker.tick(at: seconds(2), into: &changes)
        tracker.observe(sample(1), key: "a", at: seconds(3), into: &changes)
        for second in 4...20 { tracker.tick(at: seconds(Double(second)), into: &changes) }
        #expect(!changes.contains { $0.kind == .closed })
    }

    @Test mutating func classMustBePresentInNumberAndScore() {
        let rule = AlertRule(
            id: "people", condition: .classPresent(class: 3, count: 2, score: 0.5), minimumDuration: .seconds(2),
            clearDelay: .seconds(1))
        var tracker = AlertTracker(rules: [rule])
        let person = Fact.DetectedClass(class: 3, score: 0.8)
        let frames: [(Double, [Fact.DetectedClass])] = [
            (0, [person]), (1, [person, person]), (2, [person, Fact.DetectedClass(class: 3, score: 0.4)]),
            (3, [person, person]),
            (4, [person, person, Fact.DetectedClass(class: 1, score: 0.9)]), (5, [person, person]), (6, []), (7, []),
        ]
        for (second, detections) in frames {
            tracker.observe(.detections(detections), key: "gate", at: seconds(second), into: &changes)
        }
        #expect(changes.map(\.kind) == [.opened, .closed])
        #expect(changes.map(\.at) == [seconds(5), seconds(7)])
        #expect(changes[0].alert.value == 2 && changes[0].alert.since == seconds(3))
    }

    @Test mutating func staleAlertCloses() {
        var rule = AlertTrackerTests.hot
        rule.staleAfter = .seconds(30)
        var tracker = AlertTracker(rules: [rule])
        tracker.observe(sample(11), key: "a", at: 0, into: &changes)
        for second in 1...40 { tracker.tick(at: seconds(Double(second)), into: &changes) }
        #expect(changes.map(\.kind) == [.opened, .closed])
        #expect(changes.last?.at == seconds(30))
    }

    @Test mutating func keyHeardOfLeastRecentlyGivesWay() {
        var tracker = AlertTracker(rules: [AlertTrackerTests.hot], capacity: 3)
        for key in ["a", "b", "c", "a", "d"] { tracker.observe(sample(1), key: key, at: 1, into: &changes) }
        #expect(tracker.evictedCount == 1 && tracker.keyCount == 3)
        tracker.observe(sample(1), key: "a", at: 2, into: &changes)
        #expect(tracker.evictedCount == 1)
        tracker.observe(sample(1), key: "b", at: 3, into: &changes)
        #expect(tracker.evictedCount == 2)
    }

    @Test mutating func openAlertsAreNeverEvicted() {
        var tracker = AlertTracker(rules: [AlertTrackerTests.hot], capacity: 2)
        for key in ["a", "b"] { tracker.observe(sample(11), key: key, at: 1, into: &changes) }
        for key in ["c", "d"] { tracker.observe(sample(11), key: key, at: 2, into: &changes) }
        #expect(tracker.refusedCount == 2 && tracker.openCount == 2)
        tracker.observe(sample(1), key: "a", at: 3, into: &changes)
        tracker.observe(sample(11), key: "c", at: 4, into: &changes)
        var open: [String] = []
        tracker.forEachOpen { _, key, _ in open.append(key) }
        #expect(open.sorted() == ["b", "c"])
    }

    @Test mutating func timeNeverGoesBack() {
        var tracker = AlertTracker(rules: [AlertTrackerTests.hot])
        tracker.observe(sample(11), key: "a", at: seconds(10), into: &changes)
        tracker.observe(sample(9), key: "a", at: seconds(5), into: &changes)
        #expect(changes.map(\.at) == [seconds(10), seconds(10)])
    }

    @Test(
        arguments: [
            (.below(series: 0, threshold: 5, clear: 7), [6, 4, 6, 7], ["opened 1", "closed 3"]),
            (
                .outside(series: 0, range: 0...10, margin: 1), [0.5, -1, 0.5, 1, 11, 9.5, 9],
                ["opened 1", "closed 3", "opened 4", "closed 6"]
            ),
            (.outside(series: 0, range: 0...1, margin: 5), [2, 0.9, 0.5], ["opened 0", "closed 2"]),
            (.above(series: 1, threshold: 5, clear: 5), [9, 9], []),
        ] as [(Condition, [Double], [String])])
    mutating func conditionsKeepTheirStateBetweenThresholds(condition: Condition, values: [Double], expected: [String])
    {
        var tracker = AlertTracker(
            rules: [AlertRule(id: "r", condition: condition, clearDelay: .zero)], updateInterval: .seconds(99))
        for (index, value) in values.enumerated() {
            tracker.observe(sample(value), key: "a", at: Int64(index), into: &changes)
        }
        #expect(changes.map { "\($0.kind) \($0.at)" } == expected)
    }

    /// Every alert opens before it closes, at most once at a time, and the counts agree, whatever comes.
    @Test(arguments: 1...10)
    mutating func changesAreConsistentForRandomFacts(seed: Int) {
        let rules = [
            AlertTrackerTests.hot,
            AlertRule(id: "s", condition: .noData(series: nil, after: .seconds(3)), clearDelay: .seconds(1)),
            AlertRule(
                id: "l", condition: .above(series: 0, threshold: 8, clear: 4), minimumDuration: .seconds(2),
                clearDelay: .seconds(2),
                staleAfter: .seconds(4)),
        ]
        var tracker = AlertTracker(rules: rules, capacity: 4)
        var state = UInt64(seed)
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        for step in 0..<3000 {
            let now = Int64(step) * 300_000_000
            if random(4) == 0 { tracker.tick(at: now, into: &changes) }
            tracker.observe(sample(Double(random(13))), key: "k\(random(7))", at: now, into: &changes)
        }
        var open: Set<String> = []
        for change in changes {
            let name = "\(change.key) \(change.rule)"
            switch change.kind {
            case .opened: #expect(open.insert(name).inserted)
            case .updated: #expect(open.contains(name))
            case .closed: #expect(open.remove(name) != nil)
            }
            #expect(change.alert.since <= change.alert.openedAt && change.alert.openedAt <= change.at)
        }
        #expect(open.count == tracker.openCount)
        #expect(!changes.isEmpty)
    }
}
