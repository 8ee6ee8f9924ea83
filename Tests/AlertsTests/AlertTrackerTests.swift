// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Alerts

@Suite struct AlertTrackerTests {
    @Test func keysHaveTheirOwnAlerts() {
        var bench = Bench(above())
        bench.observe(sample(11), key: "a", at: 1)
        bench.observe(sample(9), key: "b", at: 2)
        bench.observe(sample(9), key: "a", at: 3)
        #expect(bench.changes.map { "\($0.key) \($0.kind)" } == ["a opened", "a closed"])
    }

    @Test func everyRuleJudgesAFact() {
        var bench = Bench(above(), AlertRule(id: "warm", condition: .above(series: 0, threshold: 5, clear: 5)))
        bench.observe(sample(11), at: 1)
        #expect(bench.changes.map(\.rule) == [0, 1])
        #expect(bench.tracker.openCount == 2)
    }

    @Test func alertTellsItsStory() throws {
        let rule = AlertRule(
            id: "odd", condition: .anomaly(series: 2), minimumDuration: .seconds(1), clearDelay: .seconds(2))
        var tracker = AlertTracker(rules: [rule])
        var changes: [AlertChange] = []
        let facts: [(Double, Double, Double)] = [
            (1, 50, 0.99), (2, 90, 0.9999), (3, 60, 0.999), (4, 20, 0.1), (6, 20, 0.1),
        ]
        for (second, value, score) in facts {
            let judgement = Fact.Judgement(score: score, isAlarm: score > 0.9, expected: 15...25)
            tracker.observe(
                .sample(series: 2, value: value, time: moment(second).unix, judgement: judgement), key: "press/1",
                at: moment(second), evidence: "result \(second)", into: &changes)
        }
        #expect(changes.map(\.kind) == [.opened, .updated, .closed])
        let alert = try #require(changes.last).alert
        #expect(alert.since == moment(1) && alert.openedAt == moment(2) && alert.lastRaisedAt == moment(3))
        #expect(alert.closedAt == moment(6) && alert.durationNanoseconds(at: moment(0)) == 5_000_000_000)
        #expect(alert.value == 60 && alert.peak == 90 && alert.score == 0.999 && alert.expected == 15...25)
        #expect(alert.count == 3 && alert.evidence == "result 3.0")
        #expect(changes.last?.samples.map(\.value) == [50, 90, 60, 20, 20])
        #expect(changes.last?.samples.first?.unixNanoseconds == moment(1).unix)
    }

    @Test func lastSamplesAreThoseBeforeTheChange() {
        var bench = Bench(above(1000))
        for index in 0..<40 { bench.observe(sample(Double(index), at: Double(index)), at: Double(index)) }
        bench.observe(sample(2000, at: 40), at: 40)
        #expect(bench.changes[0].samples.map(\.value) == (25..<40).map(Double.init) + [2000])
    }

    @Test func historyOfTheCallerTakesThePlaceOfWhatWasSeen() {
        let history = [1.0, 2, 30].map { TimedValue(unixNanoseconds: 7, value: $0) }
        var tracker = AlertTracker(rules: [above()])
        var changes: [AlertChange] = []
        tracker.observe(sample(5), key: "a", at: moment(0), into: &changes)
        tracker.observe(sample(30), key: "a", at: moment(1), history: history, into: &changes)
        #expect(changes[0].samples == history)
    }

    @Test func staleAlertCloses() {
        var bench = Bench(
            AlertRule(
                id: "people", condition: .classCount(class: 0, count: 1...9, score: 0), clearDelay: .zero,
                staleAfter: .seconds(30)))
        bench.observe(frame([0: 1]), at: 0)
        bench.tick(from: 1, to: 40)
        #expect(bench.story == ["opened 0.0", "closed 30.0"])
    }

    @Test func keyHeardOfLeastRecentlyGivesWay() {
        var bench = Bench(above(), capacity: 3)
        for key in ["a", "b", "c", "a", "d"] { bench.observe(sample(1), key: key, at: 1) }
        #expect(bench.tracker.evictedCount == 1 && bench.tracker.keyCount == 3)
        bench.observe(sample(1), key: "a", at: 2)
        #expect(bench.tracker.evictedCount == 1)
        bench.observe(sample(1), key: "b", at: 3)
        #expect(bench.tracker.evictedCount == 2)
    }

    @Test func keyThatComesBackRemembersNothing() {
        var bench = Bench(above(10, for: 5), capacity: 1)
        bench.observe(sample(11), key: "a", at: 0)
        bench.observe(sample(1), key: "b", at: 1)
        bench.observe(sample(11), key: "a", at: 6)
        bench.tick(from: 7, to: 10)
        #expect(bench.changes.isEmpty)
        bench.tick(at: 11)
        #expect(bench.story == ["opened 11.0"])
    }

    @Test func openAlertsAreNeverEvicted() {
        var bench = Bench(above(), capacity: 2)
        for key in ["a", "b"] { bench.observe(sample(11), key: key, at: 1) }
        for key in ["c", "d"] { bench.observe(sample(11), key: key, at: 2) }
        #expect(bench.tracker.refusedCount == 2 && bench.tracker.openCount == 2)
        bench.observe(sample(1), key: "a", at: 3)
        bench.observe(sample(11), key: "c", at: 4)
        var open: [String] = []
        bench.tracker.forEachOpen { _, key, _ in open.append(key) }
        #expect(open.sorted() == ["b", "c"])
    }

    @Test func seriesWithoutAlarmsTakeNoPlace() {
        var bench = Bench(AlertRule(id: "anomaly", condition: .anomaly(series: 0)))
        for index in 0..<50 { bench.observe(judged(1, alarm: false), key: "s\(index)", at: 1) }
        #expect(bench.tracker.keyCount == 0)
        bench.observe(judged(1, alarm: true), key: "s7", at: 2)
        #expect(bench.tracker.keyCount == 1 && bench.tracker.openCount == 1)
    }

    @Test func timeNeverGoesBack() {
        var bench = Bench(above())
        bench.observe(sample(11), at: 10)
        bench.observe(sample(9), at: 5)
        #expect(bench.story == ["opened 10.0", "closed 10.0"])
    }

    /// What a broker has kept makes a key known and says what the state is, but nothing came.
    @Test func whatIsNotFreshIsNoData() {
        var bench = Bench(
            AlertRule(id: "gone", condition: .noData(series: nil, after: .seconds(10)), clearDelay: .zero), above())
        bench.tracker.observe(sample(11), isFresh: false, key: "a", at: moment(0), into: &bench.changes)
        #expect(bench.changes.map { "\($0.rule) \($0.kind)" } == ["1 opened"])
        bench.tick(from: 1, to: 8)
        bench.tracker.observe(sample(11), isFresh: false, key: "a", at: moment(8), into: &bench.changes)
        bench.tick(from: 9, to: 11)
        #expect(bench.changes.map { "\($0.rule) \($0.kind)" } == ["1 opened", "0 opened"])
        bench.observe(sample(11), at: 12)
        #expect(bench.changes.last?.kind == .closed)
    }

    @Test func silenceBeginsWithTheLastData() {
        var bench = Bench(AlertRule(id: "quiet", condition: .tooSilent, clearDelay: .zero))
        bench.observe(.silence(seconds: 0, isTooLong: false), at: 1)
        #expect(bench.tracker.keyCount == 0)
        bench.observe(.silence(seconds: 30, isTooLong: true), at: 50)
        bench.observe(.silence(seconds: 0, isTooLong: false), at: 70)
        #expect(bench.story == ["opened 50.0", "closed 70.0"])
        #expect(bench.changes.first?.alert.since == moment(20))
    }

    /// Every alert opens before it closes, at most once at a time, and the counts agree, whatever comes.
    @Test(arguments: 1...10)
    func changesAreConsistentForRandomFacts(seed: Int) {
        let rules = [
            above(clearAfter: 0) {
                $0.coolDown = .seconds(2)
                $0.flapping = .init(openings: 3, within: .seconds(60))
            },
            AlertRule(id: "s", condition: .noData(series: nil, after: .seconds(3)), clearDelay: .seconds(1)),
            AlertRule(
                id: "l",
                condition: .all([
                    .above(series: 0, threshold: 8, clear: 4),
                    .not(.change(series: 0, direction: .falls, amount: 3, within: .seconds(2))),
                ]), minimumDuration: .seconds(2), clearDelay: .seconds(2), staleAfter: .seconds(4)),
        ]
        var bench = Bench(capacity: 4)
        bench.tracker = AlertTracker(rules: rules, capacity: 4)
        var state = UInt64(seed)
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        for step in 0..<3000 {
            let now = Double(step) * 0.3
            if random(4) == 0 { bench.tick(at: now) }
            if random(50) == 0 {
                _ = bench.tracker.acknowledge(
                    rule: Int(random(3)), key: "k\(random(7))", by: nil, note: nil, at: moment(now),
                    into: &bench.changes)
            }
            bench.observe(sample(Double(random(13)), at: now), key: "k\(random(7))", at: now)
        }
        var open: Set<String> = []
        for change in bench.changes {
            let name = "\(change.key) \(change.rule)"
            switch change.kind {
            case .opened: #expect(open.insert(name).inserted)
            case .closed: #expect(open.remove(name) != nil)
            default: #expect(open.contains(name))
            }
            #expect(change.alert.since.steady <= change.alert.openedAt.steady)
            #expect(change.alert.openedAt.steady <= change.at.steady)
        }
        #expect(open.count == bench.tracker.openCount)
        #expect(bench.changes.contains { $0.kind == .flapping } && bench.changes.contains { $0.kind == .acknowledged })
    }
}
