// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Alerts

@Suite struct ConditionTests {
    private func rule(_ condition: Condition, staleAfter: Duration? = nil, clearAfter: Double = 0) -> AlertRule {
        AlertRule(id: "r", condition: condition, clearDelay: .seconds(clearAfter), staleAfter: staleAfter)
    }

    @Test(
        arguments: [
            (.below(series: 0, threshold: 5, clear: 7), [6, 4, 6, 7], ["opened 1.0", "closed 3.0"]),
            (
                .outside(series: 0, range: 0...10, margin: 1), [0.5, -1, 0.5, 1, 11, 9.5, 9],
                ["opened 1.0", "closed 3.0", "opened 4.0", "closed 6.0"]
            ),
            (.outside(series: 0, range: 0...1, margin: 5), [2, 0.9, 0.5], ["opened 0.0", "closed 2.0"]),
            (.above(series: 1, threshold: 5, clear: 5), [9, 9], []),
            (.not(.above(series: 0, threshold: 5, clear: 5)), [9, 4, 6], ["opened 1.0", "closed 2.0"]),
        ] as [(Condition, [Double], [String])])
    func valuesAgainstLimits(condition: Condition, values: [Double], expected: [String]) {
        var bench = Bench(rule(condition))
        for (index, value) in values.enumerated() { bench.observe(sample(value), at: Double(index)) }
        #expect(bench.story == expected)
    }

    // MARK: Change

    private func change(_ direction: ChangeDirection, _ values: [(Double, Double)]) -> [String] {
        var bench = Bench(rule(.change(series: 0, direction: direction, amount: 5, within: .seconds(80))))
        for (second, value) in values { bench.observe(sample(value, at: second), at: second) }
        return bench.story
    }

    @Test func risesWithinItsTime() {
        #expect(change(.rises, [(0, 20), (40, 23), (70, 25.5), (140, 26)]) == ["opened 70.0", "closed 140.0"])
    }

    @Test func slowRiseIsNone() { #expect(change(.rises, (0..<50).map { (Double($0) * 30, Double($0)) }).isEmpty) }

    @Test func fallIsNoRise() {
        let values = [(0.0, 20.0), (10, 10)]
        #expect(change(.rises, values).isEmpty)
        #expect(change(.falls, values) == ["opened 10.0"])
        #expect(change(.changes, values) == ["opened 10.0"])
    }

    @Test func changeIsMeasuredByTheTimesOfTheSamples() {
        // An hour of a slow drift that is delivered in one second.
        var bench = Bench(rule(.change(series: 0, direction: .changes, amount: 5, within: .seconds(80))))
        for index in 0..<60 {
            bench.observe(sample(Double(index), at: Double(index) * 60), at: 5000 + Double(index) / 60)
        }
        #expect(bench.changes.isEmpty)
    }

    @Test func clockOfTheSourceThatIsSetBackBeginsANewWindow() {
        #expect(change(.changes, [(10_000, 20), (100, 90), (110, 92)]).isEmpty)
        #expect(change(.rises, [(10_000, 20), (100, 90), (110, 96)]) == ["opened 10000.0"])
    }

    // MARK: Classes

    @Test func classMustBePresentInNumberAndScore() {
        var bench = Bench(
            AlertRule(
                id: "people", condition: .classCount(class: 3, count: 2...1000, score: 0.5),
                minimumDuration: .seconds(2), clearDelay: .seconds(1)))
        let person = Fact.DetectedClass(class: 3, score: 0.8)
        let frames: [(Double, [Fact.DetectedClass])] = [
            (0, [person]), (1, [person, person]), (2, [person, Fact.DetectedClass(class: 3, score: 0.4)]),
            (3, [person, person]),
            (4, [person, person, Fact.DetectedClass(class: 1, score: 0.9)]), (5, [person, person]), (6, []), (7, []),
        ]
        for (second, detections) in frames { bench.observe(.detections(detections), at: second) }
        #expect(bench.story == ["opened 5.0", "closed 7.0"])
        #expect(bench.changes[0].alert.value == 2 && bench.changes[0].alert.since == moment(3))
    }

    @Test func tooFewOfAClass() {
        var bench = Bench(rule(.classCount(class: 1, count: 0...1, score: 0)))
        for (second, count) in [2, 1, 0, 2].enumerated() { bench.observe(frame([1: count]), at: Double(second)) }
        #expect(bench.story == ["opened 1.0", "closed 3.0"])
        #expect(bench.changes.last?.alert.peak == 0)
    }

    // MARK: Silence of a source

    @Test func silenceOpensAndDataCloses() throws {
        var bench = Bench(rule(.noData(series: nil, after: .seconds(10)), clearAfter: 1))
        bench.observe(sample(1), at: 5)
        bench.tick(from: 6, to: 20)
        #expect(bench.story == ["opened 15.0"])
        #expect(bench.changes[0].alert.since == moment(5) && bench.changes[0].alert.value == 10)
        bench.observe(sample(1), at: 21)
        bench.tick(at: 22)
        #expect(bench.story == ["opened 15.0", "closed 22.0"])
    }

    @Test func otherSeriesDoNotBreakTheSilence() {
        var bench = Bench(rule(.noData(series: 1, after: .seconds(10))))
        bench.observe(sample(1, series: 1), at: 0)
        for second in 0...12 {
            bench.observe(sample(1), at: Double(second))
            bench.tick(at: Double(second))
        }
        #expect(bench.story == ["opened 10.0"])
    }

    @Test func expectedKeyCanBeSilentFromTheStart() {
        var bench = Bench(rule(.noData(series: nil, after: .seconds(10))))
        bench.tracker.expect(key: "a", at: moment(1))
        bench.tick(at: 11)
        #expect(bench.story == ["opened 11.0"])
    }

    @Test func silenceAgainWithinTheClearDelayKeepsItOpen() {
        var bench = Bench(rule(.noData(series: nil, after: .seconds(2)), clearAfter: 5))
        bench.observe(sample(1), at: 0)
        bench.tick(at: 2)
        bench.observe(sample(1), at: 3)
        bench.tick(from: 4, to: 20)
        #expect(!bench.changes.contains { $0.kind == .closed })
    }

    // MARK: Combinations

    @Test func allMustHoldTogether() {
        var bench = Bench(
            rule(.all([.above(series: 0, threshold: 10, clear: 8), .below(series: 1, threshold: 3, clear: 3)])))
        bench.observe(sample(11, series: 0), at: 0)
        bench.observe(sample(2, series: 1), at: 1)
        bench.observe(sample(9, series: 0), at: 2)
        bench.observe(sample(4, series: 1), at: 3)
        #expect(bench.story == ["opened 1.0", "closed 3.0"])
        #expect(bench.changes[0].leaves.map(\.value) == [11, 2])
        #expect(bench.changes[1].leaves.map(\.verdict) == [.raised, .clear])
    }

    @Test func oneOfAnyIsEnough() {
        var bench = Bench(
            rule(.any([.above(series: 0, threshold: 10, clear: 10), .anomaly(series: 1)])))
        bench.observe(sample(1), at: 0)
        bench.observe(judged(5, alarm: true, series: 1), at: 1)
        bench.observe(sample(11), at: 2)
        bench.observe(judged(5, alarm: false, series: 1), at: 3)
        bench.observe(sample(9), at: 4)
        #expect(bench.story == ["opened 1.0", "closed 4.0"])
    }

    @Test func whatIsNotKnownIsNotTheOpposite() {
        // Nothing was heard of series 1 yet: neither that it is above nor that it is not.
        var bench = Bench(
            rule(.all([.above(series: 0, threshold: 10, clear: 10), .not(.above(series: 1, threshold: 5, clear: 5))])))
        bench.observe(sample(11), at: 0)
        #expect(bench.changes.isEmpty)
        bench.observe(sample(4, series: 1), at: 1)
        #expect(bench.story == ["opened 1.0"])
    }

    @Test func cameraThatSendsNothingShowsNeitherSomebodyNorNobody() {
        var bench = Bench(
            AlertRule(
                id: "some", condition: .classCount(class: 1, count: 1...9, score: 0), clearDelay: .zero,
                staleAfter: .seconds(10)),
            AlertRule(
                id: "none", condition: .not(.classCount(class: 1, count: 1...9, score: 0)), clearDelay: .zero,
                staleAfter: .seconds(10)))
        bench.observe(frame([1: 1]), at: 0)
        bench.tick(from: 1, to: 30)
        #expect(bench.changes.map { "\($0.rule) \($0.kind) \($0.at.seconds)" } == ["0 opened 0.0", "0 closed 10.0"])
    }

    @Test func combinationWithSilenceIsFoundByTime() {
        var bench = Bench(
            rule(.all([.above(series: 0, threshold: 10, clear: 10), .noData(series: 1, after: .seconds(5))])))
        bench.observe(sample(1, series: 1), at: 0)
        bench.observe(sample(11), at: 1)
        bench.tick(from: 1, to: 10)
        #expect(bench.story == ["opened 5.0"])
    }

    @Test func nestedCombinationsNumberTheirLeavesInOrder() {
        let condition = Condition.any([
            .all([.anomaly(series: 0), .not(.anomaly(series: 1))]), .above(series: 2, threshold: 1, clear: 1),
        ])
        #expect(
            condition.leaves == [.anomaly(series: 0), .anomaly(series: 1), .above(series: 2, threshold: 1, clear: 1)])
        var next = 0
        let logic = Logic(condition, next: &next)
        #expect(next == 3)
        for bits in 0..<8 {
            let leaf = { (index: Int) in bits >> index & 1 == 1 }
            let expected = (leaf(0) && !leaf(1)) || leaf(2)
            #expect(logic.verdict { Verdict(leaf($0)) } == Verdict(expected))
        }
    }
}
