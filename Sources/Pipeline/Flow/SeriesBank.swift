// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
import Telemetry

/// A series over restarts: by its name, since numbers of series are given anew in each run.
struct SeriesName: Hashable, Sendable {
    var key: String
    var series: String
}

/// The series of a pipeline, each judged by itself.
///
/// A series that is hardly known is no more than its last values: about 0.5 KB with its names. From the 17th sample on it
/// has a detector (3 to 7 KB, or as `WindowDetector` says), which learns those values first: its scores are those it would have
/// had from the beginning. At most `capacity` series are known; a further one takes the place of the one that was not used
/// for the longest time.
struct SeriesBank: Sendable {
    /// What is kept of a series.
    struct Entry: Sendable {
        var name: SeriesName
        var values = RecentValues()
        fileprivate var learned: Learned?
        /// Its detector is not what the store has.
        fileprivate(set) var hasLearned = false
        fileprivate var isOverBudget = false
        /// Its alert may be open: the first sample without alarm has to be told. True at first, since an earlier run may
        /// have left it open.
        var mayBeOpen = true
    }

    /// A detector in memory of its own, so that a series that has none takes no room for it.
    ///
    /// `@unchecked Sendable`: belongs to one bank, which is never copied.
    fileprivate final class Learned: @unchecked Sendable {
        var series: SeriesDetector?
        var window: WindowDetector?
    }

    private let setup: DetectionSetup
    private let runner: SeriesNetwork.Runner?
    private(set) var registry: SeriesRegistry
    private(set) var entries: [Entry] = []
    /// Series of which the budget of false alarms is held only by withholding alarms now.
    private(set) var overBudgetCount = 0

    init(_ setup: DetectionSetup) {
        self.setup = setup
        runner = setup.judgesEachSeries ? setup.network?.makeRunner() : nil
        registry = SeriesRegistry(capacity: setup.seriesLimit)
    }

    /// Where a series stands; `isNew`: its place was made, or taken from another one, which is returned then.
    mutating func place(
        key: String, series: Int, name: String, memory: inout SeriesMemory
    ) -> (slot: Int, isNew: Bool, replaced: SeriesName?) {
        let place = registry.place(of: SeriesID(key: key, series: series))
        guard place.isNew else { return (place.slot, false, nil) }
        var entry = Entry(name: SeriesName(key: key, series: name))
        if setup.judgesEachSeries, let snapshot = memory.take(entry.name) { entry.learned = restored(snapshot) }
        if place.slot == entries.count {
            entries.append(entry)
            return (place.slot, true, nil)
        }
        let replaced = entries[place.slot].name
        if entries[place.slot].isOverBudget { overBudgetCount -= 1 }
        memory.forget(replaced)
        entries[place.slot] = entry
        return (place.slot, true, replaced)
    }

    mutating func setMayBeOpen(_ mayBeOpen: Bool, slot: Int) { entries[slot].mayBeOpen = mayBeOpen }

    /// The score of the next sample, nil where series are not judged by themselves; then learns it.
    mutating func score(_ sample: Sample, slot: Int) -> AnomalyScore? {
        defer {
            entries[slot].values.append(TimedValue(unixNanoseconds: sample.unixNanoseconds, value: sample.value))
        }
        guard setup.judgesEachSeries else { return nil }
        if entries[slot].learned == nil {
            guard entries[slot].values.isFull else {
                return .unknown
            }
            let learned = makeDetector()
            for value in entries[slot].values.array {
                _ = judge(value.value, at: value.unixNanoseconds, learned)
            }
            entries[slot].learned = learned
        }
        guard let learned = entries[slot].learned else { return nil }
        let score = judge(sample.value, at: sample.unixNanoseconds, learned)
        entries[slot].hasLearned = true
        if score.isOverBudget != entries[slot].isOverBudget {
            entries[slot].isOverBudget = score.isOverBudget
            overBudgetCount += score.isOverBudget ? 1 : -1
        }
        return score
    }

    private func judge(_ value: Double, at time: Int64, _ learned: Learned) -> AnomalyScore {
        if let runner, let score = learned.window?.score([value], at: time, runner.run) { return score }
        return learned.series?.score(value, at: time) ?? .unknown
    }

    private func makeDetector() -> Learned {
        let learned = Learned()
        if let network = setup.network {
            learned.window = WindowDetector(network.form, outputCount: network.outputCount, budget: setup.budget)
        } else {
            learned.series = SeriesDetector(budget: setup.budget, methods: setup.seriesMethods)
        }
        return learned
    }

    // MARK: Across restarts

    /// Bytes that are damaged, of another version or of another detector are as good as none.
    private func restored(_ snapshot: [UInt8]) -> Learned? {
        let learned = Learned()
        if let network = setup.network {
            learned.window = try? WindowDetector(
                snapshot: snapshot, network.form, outputCount: network.outputCount, budget: setup.budget)
        } else {
            learned.series = try? SeriesDetector(
                snapshot: snapshot, budget: setup.budget, methods: setup.seriesMethods)
        }
        return learned.window == nil && learned.series == nil ? nil : learned
    }

    /// What the detector of a slot has learned since this was last asked; nil if it has not.
    mutating func takeSnapshot(slot: Int) -> [UInt8]? {
        guard entries[slot].hasLearned, let learned = entries[slot].learned else { return nil }
        entries[slot].hasLearned = false
        return learned.window?.snapshot ?? learned.series?.snapshot
    }
}

extension AnomalyScore {
    /// Nothing can be said yet.
    static let unknown = AnomalyScore(score: 0, isAlarm: false, expected: nil, isWarmingUp: true)
}
