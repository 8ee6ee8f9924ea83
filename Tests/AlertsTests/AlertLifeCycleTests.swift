// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Alerts

@Suite struct AlertLifeCycleTests {
    private func story(
        _ rule: AlertRule, _ steps: [(Double, Double?)], updateInterval: Duration = .seconds(1)
    ) -> [String] {
        var bench = Bench(rule, updateInterval: updateInterval)
        bench.play(steps)
        return bench.story
    }

    @Test func opensAndClosesAtOnceWithoutDurations() {
        #expect(story(above(), [(1, 11), (2, 9)]) == ["opened 1.0", "closed 2.0"])
    }

    @Test func opensOnlyAfterMinimumDuration() {
        #expect(story(above(for: 3), [(1, 11), (3.9, 11), (4, 11)]) == ["opened 4.0"])
    }

    @Test func tickOpensWhenMinimumDurationHasPassed() {
        #expect(story(above(for: 3), [(1, 11), (3, nil), (4.5, nil)]) == ["opened 4.5"])
    }

    @Test func interruptionStartsMinimumDurationAnew() {
        #expect(story(above(for: 3), [(1, 11), (2, 9), (3, 11), (5, 11), (6, 11)]) == ["opened 6.0"])
    }

    @Test func staysOpenBetweenThresholds() {
        #expect(story(above(clear: 8), [(1, 11), (2, 9), (3, 8)]) == ["opened 1.0", "closed 3.0"])
    }

    @Test func tickClosesAfterClearDelay() {
        #expect(story(above(clearAfter: 5), [(1, 11), (2, 9), (6, nil), (7, nil)]) == ["opened 1.0", "closed 7.0"])
    }

    @Test func returnWithinClearDelayKeepsItOpen() {
        let steps: [(Double, Double?)] = [(1, 11), (2, 9), (4, 12), (5, 9), (9, nil), (10, nil)]
        #expect(story(above(clearAfter: 5), steps) == ["opened 1.0", "updated 4.0", "closed 10.0"])
    }

    @Test func updatesAtMostOncePerInterval() {
        let steps: [(Double, Double?)] = [(1, 11), (1.2, 12), (1.4, 13), (2, 14), (2.5, 15), (3.5, nil), (5, nil)]
        #expect(story(above(), steps) == ["opened 1.0", "updated 2.0", "updated 3.5"])
    }

    // MARK: Cool-down

    @Test func nothingOpensWhileItCoolsDown() {
        let rule = above { $0.coolDown = .seconds(10) }
        let steps: [(Double, Double?)] = [(1, 11), (2, 9), (3, 11), (4, 9), (11.5, 12), (11.9, nil), (12, nil)]
        #expect(story(rule, steps, updateInterval: .seconds(99)) == ["opened 1.0", "closed 2.0", "opened 12.0"])
    }

    @Test func whatHeldWhileItCooledDownBeganThen() throws {
        var bench = Bench(above { $0.coolDown = .seconds(10) })
        bench.play([(1, 11), (2, 9), (5, 11), (12, nil)])
        #expect(try #require(bench.changes.last).alert.since == moment(5))
    }

    // MARK: Escalation

    @Test func severityGrowsWithDuration() {
        var bench = Bench(
            above {
                $0.severity = .info
                $0.escalation = [
                    .init(severity: .critical, after: .seconds(60)), .init(severity: .warning, after: .seconds(20)),
                ]
            })
        bench.play([(0, 11), (19, nil), (20, nil), (59, nil), (60, nil), (90, nil)])
        #expect(bench.story == ["opened 0.0", "escalated 20.0", "escalated 60.0"])
        #expect(bench.changes.map(\.alert.severity) == [.info, .warning, .critical])
    }

    @Test func severityNeverShrinks() {
        let rule = above {
            $0.severity = .critical
            $0.escalation = [.init(severity: .warning, after: .seconds(5))]
        }
        #expect(story(rule, [(0, 11), (10, nil)]) == ["opened 0.0"])
    }

    @Test func acknowledgedAlertsDoNotEscalate() {
        var bench = Bench(above { $0.escalation = [.init(severity: .critical, after: .seconds(20))] })
        bench.play([(0, 11)])
        let isOpen = bench.tracker.acknowledge(
            rule: 0, key: "a", by: "anna", note: nil, at: moment(5), into: &bench.changes)
        #expect(isOpen)
        bench.play([(30, nil), (40, 9)])
        #expect(bench.story == ["opened 0.0", "acknowledged 5.0", "closed 40.0"])
    }

    // MARK: Acknowledging

    @Test func acknowledgementTellsWhoAndWhy() throws {
        var bench = Bench(above())
        bench.play([(0, 11)])
        _ = bench.tracker.acknowledge(rule: 0, key: "a", by: "anna", note: "on it", at: moment(5), into: &bench.changes)
        let alert = try #require(bench.changes.last).alert
        #expect(alert.state == .acknowledged)
        #expect(alert.acknowledgement == .init(at: moment(5), by: "anna", note: "on it"))
    }

    @Test func onlyOpenAlertsCanBeAcknowledged() {
        var bench = Bench(above(for: 10))
        func acknowledge(_ bench: inout Bench, key: String, at second: Double) -> Bool {
            bench.tracker.acknowledge(rule: 0, key: key, by: nil, note: nil, at: moment(second), into: &bench.changes)
        }
        var answers = [acknowledge(&bench, key: "a", at: 0)]
        bench.play([(1, 11)])
        answers.append(acknowledge(&bench, key: "a", at: 2))
        bench.play([(11, nil)])
        answers.append(acknowledge(&bench, key: "a", at: 12))
        answers.append(acknowledge(&bench, key: "a", at: 13))
        #expect(answers == [false, false, true, true])
        #expect(bench.story == ["opened 11.0", "acknowledged 12.0"])
    }

    @Test func theNextAlertIsNotAcknowledged() throws {
        var bench = Bench(above())
        bench.play([(0, 11)])
        _ = bench.tracker.acknowledge(rule: 0, key: "a", by: nil, note: nil, at: moment(1), into: &bench.changes)
        bench.play([(2, 9), (3, 11)])
        #expect(try #require(bench.changes.last).alert.state == .open)
    }

    // MARK: Flapping

    private func flappy(_ openings: Int = 3) -> AlertRule {
        above { $0.flapping = .init(openings: openings, within: .seconds(100)) }
    }

    @Test func alertThatOpensAgainAndAgainIsFlappingAndStaysOpen() {
        let toggles: [(Double, Double?)] = (0..<10).map { (Double($0), $0 % 2 == 0 ? 11 : 9) }
        var bench = Bench(flappy())
        bench.play(toggles)
        #expect(
            bench.story == ["opened 0.0", "closed 1.0", "opened 2.0", "closed 3.0", "opened 4.0", "flapping 4.0"])
        #expect(bench.changes.last?.alert.isFlapping == true && bench.changes.last?.alert.openings == 3)
    }

    @Test func flappingAlertClosesWhenItWasQuietForItsTime() {
        var bench = Bench(flappy())
        bench.play([(0, 11), (1, 9), (2, 11), (3, 9), (4, 11), (5, 9), (6, 11), (7, 9), (106, nil), (107, nil)])
        #expect(bench.story.suffix(2) == ["flapping 4.0", "closed 107.0"])
        // What happened before is forgiven.
        bench.play([(108, 11), (109, 9)])
        #expect(bench.story.suffix(2) == ["opened 108.0", "closed 109.0"])
    }

    @Test func flappingAlertThatGoesOnHoldingIsSteady() {
        var bench = Bench(flappy())
        bench.play([(0, 11), (1, 9), (2, 11), (3, 9), (4, 11), (50, 11), (104, nil), (105, 9)])
        #expect(bench.story.suffix(3) == ["flapping 4.0", "steady 104.0", "closed 105.0"])
        #expect(bench.changes.last?.alert.isFlapping == false)
    }

    @Test func openingsThatAreFarApartAreNotFlapping() {
        let toggles: [(Double, Double?)] = (0..<10).map { (Double($0) * 51, $0 % 2 == 0 ? 11 : 9) }
        #expect(!story(flappy(), toggles).contains { $0.hasPrefix("flapping") })
    }

    @Test func withoutFlappingEveryOpeningIsTold() {
        let rule = above { $0.flapping = nil }
        let toggles: [(Double, Double?)] = (0..<20).map { (Double($0), $0 % 2 == 0 ? 11 : 9) }
        #expect(story(rule, toggles).count == 20)
    }

    // MARK: Silence

    private func silence(until second: Double, key: String = "a") -> AlertSilence {
        AlertSilence(until: moment(second).unix) { rule, candidate in rule == 0 && candidate == key }
    }

    @Test func nothingOpensWhileSilencedAndOpensAfterwardsWithItsBeginning() throws {
        var bench = Bench(above())
        bench.tracker.silences = [silence(until: 10)]
        bench.play([(1, 11), (5, nil), (9.9, nil), (10, nil)])
        #expect(bench.story == ["opened 10.0"])
        #expect(try #require(bench.changes.last).alert.since == moment(1))
    }

    @Test func openAlertIsMarkedSilencedAndStillCloses() {
        var bench = Bench(
            above { $0.escalation = [.init(severity: .critical, after: .seconds(5))] }, updateInterval: .zero)
        bench.play([(0, 11)])
        bench.tracker.silences = [silence(until: 20)]
        bench.play([(1, nil), (2, 12), (7, 13), (8, 9)])
        #expect(bench.story == ["opened 0.0", "silenced 1.0", "closed 8.0"])
        #expect(bench.changes.map(\.alert.silencedUntil) == [nil, moment(20).unix, nil])
    }

    @Test func endOfSilenceIsTold() {
        var bench = Bench(above())
        bench.play([(0, 11)])
        bench.tracker.silences = [silence(until: 20)]
        bench.play([(1, nil), (19, nil), (20, nil)])
        #expect(bench.story.suffix(2) == ["silenced 1.0", "unsilenced 20.0"])
    }

    @Test func silenceOfOneKeyLeavesOthersAlone() {
        var bench = Bench(above())
        bench.tracker.silences = [silence(until: 20)]
        bench.observe(sample(11), key: "a", at: 1)
        bench.observe(sample(11), key: "b", at: 1)
        #expect(bench.changes.map(\.key) == ["b"])
    }
}
