// SPDX-License-Identifier: Apache-2.0

import Anomaly

/// Notices series that come no more: each teaches by itself how long it may be silent (`SilenceModel`).
///
/// When all that a device sent has stopped, that is one finding, about the device; when the device still sends other series,
/// the finding is about the series. Looks at every series once a second: 100 000 take about a millisecond.
struct SilenceWatch: Sendable {
    /// What has to be told.
    struct Finding: Sendable, Equatable {
        var key: String
        /// Nil: the device as a whole.
        var series: String?
        var topic: String
        /// 0 when it came again.
        var seconds: Double
        var isTooLong: Bool
    }

    private struct Watched: Sendable {
        var model: SilenceModel
        var topic: String
        var lastAt: Int64
        var hasLearned = false
        /// An alert about it may be open. At first, an earlier run may have left it so.
        var mayBeOpen = true
    }

    private let budget: FalseAlarmBudget
    /// By place in the bank.
    private var watched: [Watched] = []
    /// Devices that may have an open alert, by key.
    private var openDevices: Set<String> = []

    init(budget: FalseAlarmBudget) { self.budget = budget }

    /// A series has a place, or its place is another's now.
    mutating func begin(slot: Int, name: SeriesName, topic: String, at now: Int64, memory: inout SeriesMemory) {
        let stored = memory.take(SeriesName(key: name.key, series: SeriesMemory.silence(name.series)))
        let model = stored.flatMap { try? SilenceModel(snapshot: $0) } ?? SilenceModel()
        let new = Watched(model: model, topic: topic, lastAt: now)
        if slot == watched.count { watched.append(new) } else { watched[slot] = new }
        openDevices.insert(name.key)
    }

    /// A sample came, at a time that only runs forward. Returns what is over by that.
    mutating func take(slot: Int, name: SeriesName, at now: Int64) -> [Finding] {
        watched[slot].model.take(time: now, budget: budget)
        watched[slot].lastAt = now
        watched[slot].hasLearned = true
        var findings: [Finding] = []
        func over(_ series: String?) {
            findings.append(
                Finding(key: name.key, series: series, topic: watched[slot].topic, seconds: 0, isTooLong: false))
        }
        if openDevices.remove(name.key) != nil { over(nil) }
        if watched[slot].mayBeOpen {
            watched[slot].mayBeOpen = false
            over(name.series)
        }
        return findings
    }

    /// What has become too silent by now.
    ///
    /// - Parameters:
    ///   - since: before that nobody could have heard anything.
    ///   - entries: of the bank.
    mutating func sweep(at now: Int64, since: Int64, _ entries: [SeriesBank.Entry]) -> [Finding] {
        var overdue: [(slot: Int, seconds: Double)] = []
        for slot in watched.indices {
            watched[slot].model.resume(at: since)
            if !watched[slot].mayBeOpen, let seconds = watched[slot].model.silence(at: now) {
                overdue.append((slot, seconds))
            }
        }
        guard !overdue.isEmpty else { return [] }
        var newest: [String: Int64] = [:]
        for slot in watched.indices {
            newest[entries[slot].name.key] = max(newest[entries[slot].name.key] ?? .min, watched[slot].lastAt)
        }
        var findings: [Finding] = []
        for (slot, seconds) in overdue {
            let name = entries[slot].name
            let heardSecondsAgo = Double(now &- max(newest[name.key] ?? now, since)) * 1e-9
            if heardSecondsAgo > 0.9 * seconds {
                if openDevices.insert(name.key).inserted {
                    findings.append(
                        Finding(
                            key: name.key, series: nil, topic: watched[slot].topic, seconds: seconds, isTooLong: true))
                }
            } else if heardSecondsAgo < 0.5 * seconds, !openDevices.contains(name.key) {
                watched[slot].mayBeOpen = true
                findings.append(
                    Finding(
                        key: name.key, series: name.series, topic: watched[slot].topic, seconds: seconds,
                        isTooLong: true))
            }
        }
        return findings
    }

    /// What was learned of a slot since this was last asked.
    mutating func takeSnapshot(slot: Int) -> [UInt8]? {
        guard watched.indices.contains(slot), watched[slot].hasLearned else { return nil }
        watched[slot].hasLearned = false
        return watched[slot].model.snapshot
    }
}
