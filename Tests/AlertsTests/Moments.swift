// SPDX-License-Identifier: Apache-2.0

@testable import Alerts

/// When the steady clock of the tests is at zero, the wall clock is here.
let epoch: Int64 = 1_700_000_000_000_000_000

func moment(_ seconds: Double) -> Moment {
    let steady = Int64((seconds * 1e9).rounded())
    return Moment(steady: steady, unix: epoch + steady)
}

extension Moment {
    var seconds: Double { Double(steady) / 1e9 }
}

func sample(_ value: Double, series: Int = 0, at seconds: Double = 0) -> Fact {
    .sample(series: series, value: value, time: moment(seconds).unix, judgement: nil)
}

func judged(_ value: Double, alarm: Bool, series: Int = 0, at seconds: Double = 0) -> Fact {
    .sample(
        series: series, value: value, time: moment(seconds).unix,
        judgement: .init(score: alarm ? 0.999 : 0.1, isAlarm: alarm, expected: nil))
}

func frame(_ counts: [Int: Int]) -> Fact {
    .detections(
        counts.sorted { $0.key < $1.key }.flatMap { item in
            (0..<item.value).map { _ in Fact.DetectedClass(class: item.key, score: 0.8) }
        })
}

/// A tracker with its clock and all that it reported.
struct Bench {
    var tracker: AlertTracker
    var changes: [AlertChange] = []

    init(_ rules: AlertRule..., updateInterval: Duration = .seconds(1000), capacity: Int = 100) {
        tracker = AlertTracker(rules: rules, capacity: capacity, updateInterval: updateInterval)
    }

    mutating func observe(_ fact: Fact, key: String = "a", at seconds: Double) {
        tracker.observe(fact, key: key, at: moment(seconds), into: &changes)
    }

    mutating func tick(at seconds: Double) { tracker.tick(at: moment(seconds), into: &changes) }

    /// Every second, the ends included.
    mutating func tick(from first: Int, to last: Int) { for second in first...last { tick(at: Double(second)) } }

    /// Values of series 0 by the second; nil for a tick alone.
    mutating func play(_ steps: [(Double, Double?)]) {
        for (second, value) in steps {
            if let value { observe(sample(value, at: second), at: second) } else { tick(at: second) }
        }
    }

    /// `opened 3.0`
    var story: [String] { changes.map { "\($0.kind) \($0.at.seconds)" } }
}

func above(
    _ limit: Double = 10, clear: Double? = nil, for minimum: Double = 0, clearAfter: Double = 0,
    _ change: (inout AlertRule) -> Void = { _ in }
) -> AlertRule {
    var rule = AlertRule(
        id: "hot", condition: .above(series: 0, threshold: limit, clear: clear ?? limit),
        minimumDuration: .seconds(minimum), clearDelay: .seconds(clearAfter))
    change(&rule)
    return rule
}
