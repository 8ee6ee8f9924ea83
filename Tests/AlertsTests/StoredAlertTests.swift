// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Alerts

/// What outlives the program.
@Suite struct StoredAlertTests {
    /// What a second run knows after a first one was killed: through JSON, and on a steady clock of its own.
    private func restart(_ bench: inout Bench, _ rules: [AlertRule], at seconds: Double) throws -> Bench {
        let stored = bench.tracker.takeStored().compactMap(\.state)
        let data = try JSONEncoder().encode(stored)
        var next = Bench()
        next.tracker = AlertTracker(rules: rules, updateInterval: .seconds(1000))
        next.tracker.isStored = true
        for alert in try JSONDecoder().decode([StoredAlert].self, from: data) {
            let isKnown = next.tracker.restore(alert, at: reborn(seconds))
            #expect(isKnown)
        }
        return next
    }

    /// The steady clock of the second run began elsewhere.
    private func reborn(_ seconds: Double) -> Moment {
        Moment(steady: moment(seconds).steady - 1_000_000_000_000, unix: moment(seconds).unix)
    }

    private func bench(_ rule: AlertRule) -> Bench {
        var bench = Bench(rule)
        bench.tracker.isStored = true
        return bench
    }

    @Test func openAlertStaysOpenAndClosesOnceWithItsBeginning() throws {
        let rule = above(for: 2)
        var first = bench(rule)
        first.play([(1, 11), (3, nil), (4, 12)])
        var second = try restart(&first, [rule], at: 60)
        second.tracker.tick(at: reborn(61), into: &second.changes)
        second.tracker.observe(sample(13), key: "a", at: reborn(62), into: &second.changes)
        #expect(second.changes.isEmpty && second.tracker.openCount == 1)
        second.tracker.observe(sample(9), key: "a", at: reborn(63), into: &second.changes)
        #expect(second.changes.map(\.kind) == [.closed])
        let alert = second.changes[0].alert
        #expect(alert.since.unix == moment(1).unix && alert.openedAt.unix == moment(3).unix)
        #expect(alert.durationNanoseconds(at: second.changes[0].at) == 62_000_000_000)
        #expect(alert.count == 3 && alert.peak == 13)
    }

    @Test func valueBetweenThresholdsKeepsARestoredAlertOpen() throws {
        let rule = above(clear: 5)
        var first = bench(rule)
        first.play([(1, 11)])
        var second = try restart(&first, [rule], at: 2)
        second.tracker.observe(sample(7), key: "a", at: reborn(3), into: &second.changes)
        #expect(second.changes.isEmpty)
    }

    @Test func alertThatWasClearingClosesWithoutAFurtherFact() throws {
        let rule = above(clearAfter: 10)
        var first = bench(rule)
        first.play([(1, 11), (2, 9)])
        var second = try restart(&first, [rule], at: 5)
        for second_ in 5..<20 { second.tracker.tick(at: reborn(Double(second_)), into: &second.changes) }
        #expect(second.changes.map(\.kind) == [.closed])
    }

    @Test func pendingAlertGoesOnWaiting() throws {
        let rule = above(for: 100)
        var first = bench(rule)
        first.play([(1, 11)])
        var second = try restart(&first, [rule], at: 90)
        second.tracker.tick(at: reborn(100), into: &second.changes)
        #expect(second.changes.isEmpty)
        second.tracker.tick(at: reborn(101), into: &second.changes)
        #expect(second.changes.map(\.kind) == [.opened] && second.changes[0].alert.since.unix == moment(1).unix)
    }

    @Test func coolDownAndFlappingGoOn() throws {
        let rule = above {
            $0.coolDown = .seconds(100)
            $0.flapping = .init(openings: 2, within: .seconds(1000))
        }
        var first = bench(rule)
        first.play([(1, 11), (2, 9)])
        var second = try restart(&first, [rule], at: 50)
        second.tracker.observe(sample(11), key: "a", at: reborn(60), into: &second.changes)
        #expect(second.changes.isEmpty)
        second.tracker.tick(at: reborn(102), into: &second.changes)
        #expect(second.changes.map(\.kind) == [.opened, .flapping])
    }

    @Test func acknowledgementSurvives() throws {
        var first = bench(above())
        first.play([(1, 11)])
        _ = first.tracker.acknowledge(rule: 0, key: "a", by: "anna", note: nil, at: moment(2), into: &first.changes)
        var second = try restart(&first, [above()], at: 3)
        second.tracker.observe(sample(9), key: "a", at: reborn(4), into: &second.changes)
        #expect(second.changes.first?.alert.acknowledgement?.by == "anna")
    }

    @Test func silentDeviceStaysSilentUntilItSpeaks() throws {
        let rule = AlertRule(id: "gone", condition: .noData(series: nil, after: .seconds(10)), clearDelay: .zero)
        var first = bench(rule)
        first.observe(sample(1), at: 0)
        first.tick(from: 1, to: 11)
        var second = try restart(&first, [rule], at: 20)
        for second_ in 20..<40 { second.tracker.tick(at: reborn(Double(second_)), into: &second.changes) }
        #expect(second.changes.isEmpty)
        second.tracker.observe(sample(1), key: "a", at: reborn(41), into: &second.changes)
        #expect(second.changes.map(\.kind) == [.closed] && second.changes[0].alert.since.unix == moment(0).unix)
    }

    @Test func removedRulesAreNotRestored() {
        var first = bench(above())
        first.play([(1, 11)])
        let stored = first.tracker.takeStored().compactMap(\.state)
        var second = Bench(AlertRule(id: "other", condition: .anomaly(series: 0)))
        #expect(stored.count == 1)
        let isKnown = second.tracker.restore(stored[0], at: moment(2))
        #expect(!isKnown)
        #expect(second.tracker.openCount == 0)
    }

    @Test func conditionThatWasWrittenOtherwiseBeginsAnew() throws {
        var first = bench(above())
        first.play([(1, 11)])
        let changed = AlertRule(
            id: "hot",
            condition: .all([.above(series: 0, threshold: 50, clear: 50), .above(series: 1, threshold: 1, clear: 1)]),
            clearDelay: .zero)
        var second = try restart(&first, [changed], at: 2)
        second.tracker.tick(at: reborn(3), into: &second.changes)
        #expect(second.changes.isEmpty)
        second.tracker.observe(sample(11), key: "a", at: reborn(4), into: &second.changes)
        #expect(second.changes.map(\.kind) == [.closed])
    }

    @Test func adoptedAlertWaitsForAFactAndKeepsItsBeginning() {
        var bench = Bench(above())
        bench.play([(50, nil)])
        let alert = Alert(since: Moment(steady: 0, unix: moment(1).unix), severity: .warning, value: 11)
        var isNew = bench.tracker.adopt(alert, rule: 0, key: "a", at: moment(51))
        #expect(isNew)
        isNew = bench.tracker.adopt(alert, rule: 0, key: "a", at: moment(51))
        #expect(!isNew)
        bench.tick(from: 52, to: 60)
        #expect(bench.changes.isEmpty && bench.tracker.openCount == 1)
        bench.observe(sample(9), at: 61)
        #expect(bench.story == ["closed 61.0"] && bench.changes[0].alert.since == moment(1))
    }

    @Test func whatIsOverIsForgotten() {
        var first = bench(above { $0.flapping = nil })
        first.play([(1, 11)])
        let open = first.tracker.takeStored()
        #expect(open.compactMap(\.state).count == 1)
        first.play([(2, 9)])
        let closed = first.tracker.takeStored()
        #expect(closed.map { $0.state == nil } == [true])
        let nothing = first.tracker.takeStored()
        #expect(nothing.isEmpty)
    }

    @Test func whatTheBrokerDeliversAgainOpensAndClosesNothing() throws {
        var first = bench(above())
        first.play([(1, 9), (2, 11)])
        var second = try restart(&first, [above()], at: 3)
        second.tracker.settles = true
        func play(_ steps: [(Double, Double)], _ bench: inout Bench) {
            for (second, value) in steps {
                bench.tracker.observe(sample(value), key: "a", at: reborn(second), into: &bench.changes)
                bench.tracker.tick(at: reborn(second), into: &bench.changes)
            }
        }
        play([(100, 9), (100.01, 11), (103, 9)], &second)
        #expect(second.changes.isEmpty)
        second.tracker.tick(at: reborn(104), into: &second.changes)
        #expect(second.changes.map(\.kind) == [.closed])
        // The same for what had been closed; and as soon as it has settled, all is as ever.
        play([(104.01, 11), (104.02, 9), (105.5, 11)], &second)
        #expect(second.changes.map(\.kind) == [.closed, .opened])
    }

    @Test func clockThatWasSetBackMakesNothingNegative() throws {
        var first = bench(above())
        first.play([(100, 11)])
        var second = try restart(&first, [above()], at: 50)
        second.tracker.observe(sample(9), key: "a", at: reborn(51), into: &second.changes)
        #expect(second.changes[0].alert.durationNanoseconds(at: second.changes[0].at) == 1_000_000_000)
    }
}
