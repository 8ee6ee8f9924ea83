// SPDX-License-Identifier: Apache-2.0

/// Facts to alerts: one life cycle for each rule and key.
///
/// Comes in: facts with their key and time, in the order of time for each key; `tick` a few times a second. Goes out:
/// the changes of alerts, in the order they happen, an update of the same alert at most once per `updateInterval`. A
/// plain value without clock or lock: its owner calls it from one queue.
///
/// At most `capacity` keys are known. A further one takes the place of the key that was heard of least recently and has
/// no open alert (`evictedCount`); while all have open alerts, facts of new keys are refused (`refusedCount`). Memory
/// grows with the keys: about 120 bytes for each and its own text; for each leaf of each rule's condition 112 bytes, 272
/// for its last values and 200 if it is about change; about 400 for each alert that is not idle. `observe` allocates
/// nothing for known keys while nothing changes.
package struct AlertTracker: Sendable {
    package let rules: [AlertRule]
    package let capacity: Int
    package private(set) var openCount = 0
    package private(set) var evictedCount = 0
    package private(set) var refusedCount = 0
    /// Whether `takeStored` will be asked for.
    package var isStored = false
    package var silences: [AlertSilence] = []
    /// Goes on where an earlier run has ended: for some seconds from the first fact on, nothing opens or closes at once.
    /// A broker delivers again what was not acknowledged, in its order; what that once opened or closed must not do so a
    /// second time on its way to where it stood.
    package var settles = false

    private let plan: AlertPlan
    private let timings: [AlertTiming]
    private var keys: [String: Int] = [:]
    private var entries: [Entry] = []
    /// Per entry and leaf.
    private var leaves: [LeafState] = []
    private var recent: [RecentValues] = []
    /// Per entry and leaf on change.
    private var windows: [ChangeWindow?] = []
    /// What is not idle, or has to be remembered: by entry and rule.
    private var lives: [Int: AlertLifeCycle] = [:]
    /// The keys without open alerts, by when they were heard of.
    private var evictable = RecencyList()
    private var touched: Set<Touch> = []
    private var keyChanges: [(key: String, origin: String, isKnown: Bool)] = []
    private var now = Moment(steady: .min, unix: .min)
    private var kinds: [AlertChange.Kind] = []
    private var settledAt: Int64?

    private static let settlingNanoseconds: Int64 = 5_000_000_000
    /// While it settles, the least minimum duration and the least clear delay.
    private static let settlingDelay: Int64 = 1_000_000_000

    private struct Entry: Sendable {
        var key: String
        var origin: String
        var openCount = 0
    }

    private struct Touch: Hashable {
        var rule: Int
        var key: String
    }

    package init(rules: [AlertRule], capacity: Int = 10_000, updateInterval: Duration = .seconds(1)) {
        precondition(capacity >= 1)
        self.rules = rules
        self.capacity = capacity
        plan = AlertPlan(rules)
        timings = rules.map { AlertTiming($0, updateInterval: updateInterval) }
    }

    package var keyCount: Int { entries.count }

    /// A key is known to exist, so that `noData` can apply to it before anything came. False if there was no room.
    @discardableResult
    package mutating func expect(key: String, origin: String = "", at moment: Moment) -> Bool {
        advance(to: moment)
        return entry(for: key, origin) != nil
    }

    /// Appends what the fact changes. A moment that lies before an earlier one counts as that.
    ///
    /// - Parameters:
    ///   - origin: where it came from; the latest of a key is handed on with its changes.
    ///   - isFresh: it tells that something came now. What the broker had kept tells only what the state is: conditions on
    ///     missing data do not look at it.
    ///   - evidence: what the alert will name as its reason.
    ///   - history: the last values of the fact's series, where the caller hands in only some of its facts.
    package mutating func observe(
        _ fact: Fact, isFresh: Bool = true, key: String, origin: String = "", at moment: Moment,
        evidence: String? = nil, history: [TimedValue]? = nil, into changes: inout [AlertChange]
    ) {
        advance(to: moment)
        guard plan.concerns(fact) else { return }
        if settles, settledAt == nil { settledAt = now.steady &+ AlertTracker.settlingNanoseconds }
        let index: Int
        if let known = known(key) {
            index = known
        } else {
            // What raises nothing need not be remembered, unless it is missed when it does not come again.
            guard plan.remembersAll || plan.mightRaise(fact) else { return }
            guard let new = entry(for: key, origin) else {
                refusedCount += 1
                return
            }
            index = new
        }
        entries[index].origin = origin
        for rule in rules.indices where take(fact, isFresh: isFresh, rule: rule, entry: index, history: history) {
            step(rule: rule, entry: index, isNew: true, evidence: evidence, into: &changes)
        }
    }

    /// Appends what time alone changes: no data, minimum durations and clear delays that have passed, escalations,
    /// updates held back. Looks at what is not idle, and at each key for rules on missing data.
    package mutating func tick(at moment: Moment, into changes: inout [AlertChange]) {
        advance(to: moment)
        for rule in rules.indices where plan.isTimeDriven[rule] {
            for entry in entries.indices {
                refresh(rule: rule, entry: entry)
                step(rule: rule, entry: entry, isNew: false, evidence: nil, into: &changes)
            }
        }
        for index in lives.keys.sorted() {
            let (entry, rule) = index.quotientAndRemainder(dividingBy: rules.count)
            guard !plan.isTimeDriven[rule] else { continue }
            refresh(rule: rule, entry: entry)
            step(rule: rule, entry: entry, isNew: false, evidence: nil, into: &changes)
        }
    }

    /// Appends the change; false if that alert is not open. An alert that is acknowledged stays as it is.
    package mutating func acknowledge(
        rule: Int, key: String, by: String?, note: String?, at moment: Moment, into changes: inout [AlertChange]
    ) -> Bool {
        advance(to: moment)
        guard let entry = keys[key], lives[place(entry, rule)]?.isOpen == true else { return false }
        if lives[place(entry, rule)]?.acknowledge(by: by, note: note, at: now) == true {
            record([.acknowledged], rule: rule, entry: entry, into: &changes)
        }
        return true
    }

    /// The open alerts, in no particular order.
    package func forEachOpen(_ body: (_ rule: Int, _ key: String, _ alert: Alert) -> Void) {
        for (index, life) in lives where life.isOpen {
            let (entry, rule) = index.quotientAndRemainder(dividingBy: rules.count)
            body(rule, entries[entry].key, life.alert)
        }
    }

    package var pendingCount: Int { lives.values.count { $0.phase == .pending } }

    private mutating func advance(to moment: Moment) { if moment.steady > now.steady { now = moment } }
}

extension AlertTracker {
    private func place(_ entry: Int, _ rule: Int) -> Int { entry * rules.count + rule }

    private mutating func take(
        _ fact: Fact, isFresh: Bool, rule: Int, entry: Int, history: [TimedValue]?
    ) -> Bool {
        var isConcerned = false
        for leaf in plan.leaves(of: rule) {
            let place = entry * plan.leafCount + leaf
            let taken: Bool
            if let window = plan.windows[leaf] {
                taken = leaves[place].take(
                    fact, isFresh: isFresh, plan.leaves[leaf], &windows[entry * plan.windowCount + window], at: now)
            } else {
                var none: ChangeWindow?
                taken = leaves[place].take(fact, isFresh: isFresh, plan.leaves[leaf], &none, at: now)
            }
            guard taken else { continue }
            isConcerned = true
            if let history {
                recent[place] = RecentValues()
                for value in history { recent[place].append(value) }
            } else {
                switch fact {
                case .sample(_, let value, let time, _):
                    recent[place].append(TimedValue(unixNanoseconds: time, value: value))
                case .detections:
                    recent[place].append(TimedValue(unixNanoseconds: now.unix, value: leaves[place].value))
                case .silence: break
                }
            }
        }
        return isConcerned
    }

    private mutating func refresh(rule: Int, entry: Int) {
        for leaf in plan.leaves(of: rule) {
            leaves[entry * plan.leafCount + leaf].refresh(
                plan.leaves[leaf], staleAfter: timings[rule].staleAfter, at: now)
        }
    }

    /// Applies what is known of the leaves to the life cycle.
    private mutating func step(
        rule: Int, entry: Int, isNew: Bool, evidence: String?, into changes: inout [AlertChange]
    ) {
        let index = place(entry, rule)
        let first = entry * plan.leafCount + plan.leaves(of: rule).lowerBound
        let verdict = plan.logic[rule].verdict { leaves[first + $0].verdict }
        guard verdict == .raised || lives[index] != nil else { return }
        if verdict == .unknown, lives[index]?.awaitsFacts == true { return }
        var life = lives.removeValue(forKey: index) ?? AlertLifeCycle(at: now)
        life.awaitsFacts = false
        let before = (life.phase, life.isClearing)
        var reading: AlertLifeCycle.Reading?
        if verdict == .raised {
            let position = (0..<plan.leaves(of: rule).count).first { leaves[first + $0].verdict == .raised } ?? 0
            let state = leaves[first + position]
            // Silence began with the last data, not when it was noticed.
            var since = now
            if case .noData = rules[rule].condition { since = state.lastFactAt }
            if case .tooSilent = rules[rule].condition {
                let silence = Duration.seconds(min(state.value, 1e9)).nanoseconds
                since = Moment(steady: now.steady &- silence, unix: now.unix &- silence)
            }
            reading = AlertLifeCycle.Reading(
                leaf: position, state: state, since: since, evidence: evidence,
                isNew: isNew && !state.isBetween)
        }
        kinds.removeAll(keepingCapacity: true)
        life.take(
            reading, at: now, timing: timing(of: rule), silencedUntil: silencedUntil(rule: rule, entry: entry),
            into: &kinds)
        if isStored, (life.phase, life.isClearing) != before || kinds.contains(where: { $0 != .updated }) {
            touch(rule: rule, entry: entry)
        }
        if !life.isForgettable(at: now, timing: timings[rule]) || !kinds.isEmpty { lives[index] = life }
        if !kinds.isEmpty {
            record(kinds, rule: rule, entry: entry, into: &changes)
            if life.isForgettable(at: now, timing: timings[rule]) { lives[index] = nil }
        }
    }

    private func timing(of rule: Int) -> AlertTiming {
        guard settles, now.steady < settledAt ?? .max else { return timings[rule] }
        var timing = timings[rule]
        timing.minimumDuration = max(timing.minimumDuration, AlertTracker.settlingDelay)
        timing.clearDelay = max(timing.clearDelay, AlertTracker.settlingDelay)
        return timing
    }

    private func silencedUntil(rule: Int, entry: Int) -> Int64? {
        var until: Int64?
        for silence in silences where silence.until > now.unix && silence.matches(rule, entries[entry].key) {
            until = max(until ?? silence.until, silence.until)
        }
        return until
    }

    private mutating func record(
        _ kinds: [AlertChange.Kind], rule: Int, entry: Int, into changes: inout [AlertChange]
    ) {
        guard let alert = lives[place(entry, rule)]?.alert else { return }
        if isStored, kinds.contains(where: { $0 != .updated }) { touch(rule: rule, entry: entry) }
        let range = plan.leaves(of: rule)
        let first = entry * plan.leafCount + range.lowerBound
        let states = Array(leaves[first..<first + range.count])
        let samples = recent[first + min(max(alert.leaf, 0), range.count - 1)].array
        for kind in kinds {
            let step = kind == .opened ? 1 : kind == .closed ? -1 : 0
            openCount += step
            entries[entry].openCount += step
            if kind == .opened, entries[entry].openCount == 1 { evictable.remove(entry) }
            if kind == .closed, entries[entry].openCount == 0 { evictable.append(entry) }
            changes.append(
                AlertChange(
                    kind: kind, rule: rule, key: entries[entry].key, origin: entries[entry].origin, alert: alert,
                    at: now, leaves: states,
                    samples: samples))
        }
    }

    // MARK: Keys

    /// Where a known key stands; it was heard of now.
    private mutating func known(_ key: String) -> Int? {
        guard let entry = keys[key] else { return nil }
        if entries[entry].openCount == 0 {
            evictable.remove(entry)
            evictable.append(entry)
        }
        return entry
    }

    /// Where the key stands, with a place made for it if it is new; nil if there is none.
    private mutating func entry(for key: String, _ origin: String) -> Int? {
        if let entry = known(key) { return entry }
        let entry: Int
        if entries.count < capacity {
            entry = entries.count
            entries.append(Entry(key: key, origin: origin))
            leaves.append(contentsOf: repeatElement(LeafState(knownSince: now), count: plan.leafCount))
            recent.append(contentsOf: repeatElement(RecentValues(), count: plan.leafCount))
            windows.append(contentsOf: repeatElement(nil, count: plan.windowCount))
        } else {
            guard let oldest = evictable.first else { return nil }
            entry = oldest
            evictable.remove(entry)
            evictedCount += 1
            forget(entry)
            entries[entry] = Entry(key: key, origin: origin)
        }
        keys[key] = entry
        evictable.append(entry)
        if isStored, plan.waitsForData { keyChanges.append((key, origin, true)) }
        return entry
    }

    private mutating func forget(_ entry: Int) {
        for rule in rules.indices where lives[place(entry, rule)] != nil {
            if isStored { touch(rule: rule, entry: entry) }
            lives[place(entry, rule)] = nil
        }
        keys[entries[entry].key] = nil
        if isStored, plan.waitsForData { keyChanges.append((entries[entry].key, entries[entry].origin, false)) }
        for leaf in 0..<plan.leafCount {
            leaves[entry * plan.leafCount + leaf] = LeafState(knownSince: now)
            recent[entry * plan.leafCount + leaf] = RecentValues()
        }
        for window in 0..<plan.windowCount { windows[entry * plan.windowCount + window] = nil }
    }

    private mutating func touch(rule: Int, entry: Int) { touched.insert(Touch(rule: rule, key: entries[entry].key)) }
}

// MARK: Across restarts

/// What outlives the program of the life of one rule's alerts for one key.
package struct StoredAlert: Sendable, Equatable, Codable {
    package var rule: String
    package var key: String
    package var origin: String
    var life: AlertLifeCycle.Stored
    var leaves: [LeafState]

    package var isOpen: Bool { life.phase == .open }
    package var alert: Alert { life.alert }
}

extension AlertTracker {
    /// What has to be stored since the last call: the new state for a rule and key, or nil where nothing is to be
    /// remembered any more.
    package mutating func takeStored() -> [(rule: Int, key: String, state: StoredAlert?)] {
        guard !touched.isEmpty else { return [] }
        defer { touched.removeAll() }
        return touched.map { ($0.rule, $0.key, stored(rule: $0.rule, key: $0.key)) }
    }

    /// For rules that wait for data: the keys that became known or were forgotten since the last call, in that order.
    package mutating func takeKeyChanges() -> [(key: String, origin: String, isKnown: Bool)] {
        guard !keyChanges.isEmpty else { return [] }
        defer { keyChanges.removeAll() }
        return keyChanges
    }

    private func stored(rule: Int, key: String) -> StoredAlert? {
        guard let entry = keys[key], let life = lives[place(entry, rule)] else { return nil }
        let range = plan.leaves(of: rule)
        let first = entry * plan.leafCount + range.lowerBound
        return StoredAlert(
            rule: rules[rule].id, key: key, origin: entries[entry].origin, life: life.stored(at: now),
            leaves: Array(leaves[first..<first + range.count])
        )
    }

    /// Goes on with what an earlier run has stored. False if there is no such rule any more, or no room.
    package mutating func restore(_ stored: StoredAlert, at moment: Moment) -> Bool {
        advance(to: moment)
        guard let rule = rules.firstIndex(where: { $0.id == stored.rule }),
            let entry = entry(for: stored.key, stored.origin),
            lives[place(entry, rule)] == nil
        else { return false }
        var life = AlertLifeCycle(stored.life, at: now)
        let range = plan.leaves(of: rule)
        // Of a condition that was written otherwise then nothing is known.
        life.awaitsFacts = stored.leaves.count != range.count
        lives[place(entry, rule)] = life
        if !life.awaitsFacts {
            for (offset, var state) in stored.leaves.enumerated() {
                state.lastFactAt = state.lastFactAt.rebased(to: now)
                leaves[entry * plan.leafCount + range.lowerBound + offset] = state
            }
        }
        if stored.isOpen { countOpen(entry) }
        return true
    }

    /// Goes on with an open alert of which nothing but that is known. False if there is one already, or no room.
    package mutating func adopt(
        _ alert: Alert, rule: Int, key: String, origin: String = "", at moment: Moment
    ) -> Bool {
        advance(to: moment)
        guard let entry = entry(for: key, origin), lives[place(entry, rule)]?.isOpen != true else { return false }
        lives[place(entry, rule)] = AlertLifeCycle(adopting: alert, at: now)
        countOpen(entry)
        if isStored { touch(rule: rule, entry: entry) }
        return true
    }

    private mutating func countOpen(_ entry: Int) {
        openCount += 1
        entries[entry].openCount += 1
        if entries[entry].openCount == 1 { evictable.remove(entry) }
    }
}
