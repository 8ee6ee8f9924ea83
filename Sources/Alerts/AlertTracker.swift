// SPDX-License-Identifier: Apache-2.0

/// Facts to alerts: one life cycle for each rule and key.
///
/// Comes in: facts with their key and time, in the order of time for each key; `tick` a few times a second. Goes out:
/// the changes of alerts, in the order they happen, an update of the same alert at most once per `updateInterval`. A
/// plain value without clock or lock: its owner calls it from one queue.
///
/// At most `capacity` keys are known. A further one takes the place of the key that was heard of least recently and has
/// no open alert (`evictedCount`); while all have open alerts, facts of new keys are refused (`refusedCount`). Memory
/// is taken at start: about 100 bytes per key and its own text, and 168 bytes per key and rule. `observe` allocates
/// nothing for known keys.
package struct AlertTracker: Sendable {
    package let rules: [AlertRule]
    package let capacity: Int
    package private(set) var openCount = 0
    package private(set) var evictedCount = 0
    package private(set) var refusedCount = 0

    private let timings: [AlertTiming]
    private var keys: [String: Int]
    private var entries: [Entry] = []
    /// `entries.count` x `rules.count`
    private var cycles: [Cycle] = []
    /// The keys without open alerts, by when they were heard of.
    private var evictable = RecencyList()
    private var now = Int64.min

    private struct Entry: Sendable {
        var key: String
        var openCount = 0
    }

    private struct Cycle: Sendable {
        var life = AlertLifeCycle()
        /// When the data came that `noData` waits for.
        var lastDataAt: Int64
    }

    package init(rules: [AlertRule], capacity: Int = 10_000, updateInterval: Duration = .seconds(1)) {
        precondition(capacity >= 1)
        self.rules = rules
        self.capacity = capacity
        timings = rules.map { AlertTiming($0, updateInterval: updateInterval) }
        keys = Dictionary(minimumCapacity: capacity)
        entries.reserveCapacity(capacity)
        cycles.reserveCapacity(capacity * rules.count)
    }

    package var keyCount: Int { entries.count }

    /// A key is known to exist from now on, so that `noData` can apply to it before anything came. False if there was
    /// no room.
    @discardableResult
    package mutating func expect(key: String, at now: Int64) -> Bool {
        self.now = max(self.now, now)
        return entry(for: key) != nil
    }

    /// Appends what the fact changes. `now` that lies before an earlier one counts as that.
    package mutating func observe(
        _ fact: Fact, key: String, at now: Int64, into changes: inout [AlertChange]
    ) {
        self.now = max(self.now, now)
        guard let entry = entry(for: key) else {
            refusedCount += 1
            return
        }
        for rule in rules.indices {
            let index = entry * rules.count + rule
            var reading = rules[rule].condition.read(fact)
            if rules[rule].condition.isData(fact) {
                cycles[index].lastDataAt = self.now
                reading = Condition.Reading(verdict: .clears, value: 0, extremity: 0)
            }
            guard let reading else { continue }
            let change = cycles[index].life.take(reading, at: self.now, timing: timings[rule])
            if let change { record(change, rule: rule, entry: entry, into: &changes) }
        }
    }

    /// Appends what time alone changes: no data, minimum durations and clear delays that have passed, updates held
    /// back. Looks at each key and rule once.
    package mutating func tick(at now: Int64, into changes: inout [AlertChange]) {
        self.now = max(self.now, now)
        for rule in rules.indices {
            var silence: Int64?
            if case .noData(_, let after) = rules[rule].condition { silence = after.nanoseconds }
            for entry in entries.indices {
                let index = entry * rules.count + rule
                var change: (AlertChange.Kind, Alert)?
                if let silence, cycles[index].life.isIdleOrClearing, self.now - cycles[index].lastDataAt >= silence {
                    let lastDataAt = cycles[index].lastDataAt
                    let seconds = Double(self.now - lastDataAt) / 1e9
                    change = cycles[index].life.take(
                        Condition.Reading(verdict: .raises, value: seconds, extremity: seconds), since: lastDataAt,
                        at: self.now, timing: timings[rule])
                } else if !cycles[index].life.isIdle {
                    change = cycles[index].life.advance(to: self.now, timing: timings[rule])
                }
                if let change { record(change, rule: rule, entry: entry, into: &changes) }
            }
        }
    }

    /// The open alerts, in no particular order.
    package func forEachOpen(_ body: (_ rule: Int, _ key: String, _ alert: Alert) -> Void) {
        for entry in entries.indices where entries[entry].openCount > 0 {
            for rule in rules.indices where cycles[entry * rules.count + rule].life.isOpen {
                body(rule, entries[entry].key, cycles[entry * rules.count + rule].life.current)
            }
        }
    }

    private mutating func record(
        _ change: (kind: AlertChange.Kind, alert: Alert), rule: Int, entry: Int, into changes: inout [AlertChange]
    ) {
        let step = change.kind == .opened ? 1 : change.kind == .closed ? -1 : 0
        openCount += step
        entries[entry].openCount += step
        if change.kind == .opened, entries[entry].openCount == 1 { evictable.remove(entry) }
        if change.kind == .closed, entries[entry].openCount == 0 { evictable.append(entry) }
        changes.append(
            AlertChange(kind: change.kind, rule: rule, key: entries[entry].key, alert: change.alert, at: now))
    }

    /// Where the key stands, with a place made for it if it is new; nil if there is none.
    private mutating func entry(for key: String) -> Int? {
        if let entry = keys[key] {
            if entries[entry].openCount == 0 {
                evictable.remove(entry)
                evictable.append(entry)
            }
            return entry
        }
        let fresh = Cycle(lastDataAt: now)
        let entry: Int
        if entries.count < capacity {
            entry = entries.count
            entries.append(Entry(key: key))
            for _ in rules.indices { cycles.append(fresh) }
        } else {
            guard let oldest = evictable.first else { return nil }
            entry = oldest
            evictable.remove(entry)
            evictedCount += 1
            keys[entries[entry].key] = nil
            entries[entry] = Entry(key: key)
            for rule in rules.indices { cycles[entry * rules.count + rule] = fresh }
        }
        keys[key] = entry
        evictable.append(entry)
        return entry
    }
}
