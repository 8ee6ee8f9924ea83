// SPDX-License-Identifier: Apache-2.0

import Alerts
import Streaming

/// The alerts of one pipeline: takes facts about topics, gives the documents of what changes.
///
/// A plain struct: belongs to the queue of results. The tracker's keys are those of the source, with the name of the series
/// behind a U+0000 (which no topic has) where a rule exists once for each series; its origins are topics.
package struct AlertDesk {
    /// What is said about a topic, and to which desk of the pipeline.
    package struct Observation: Sendable {
        package var desk: Int
        package var fact: Fact
        /// See `AlertTracker.observe`.
        package var isFresh: Bool
        /// Name of the series, where `rules` apply to each series by itself.
        package var series: String?
        /// Id of the result that the fact stands in.
        package var result: String?
        /// The last values of the series, where only some of its facts are handed in.
        package var history: [TimedValue]?

        package init(
            desk: Int = 0, fact: Fact, isFresh: Bool = true, series: String? = nil, result: String?,
            history: [TimedValue]? = nil
        ) {
            self.desk = desk
            self.fact = fact
            self.isFresh = isFresh
            self.series = series
            self.result = result
            self.history = history
        }
    }

    let pipeline: String
    /// Position among the desks of the pipeline.
    let position: Int
    private let node: String
    private let topics: ResultTopics
    private let subjects: [AlertSubject]
    /// The key of a topic of the source; nil if none of its filters match.
    private let keyOfTopic: @Sendable (String) -> String?
    /// Whether there is a rule of that name, or a series where the rule exists once for each.
    private let hasRule: @Sendable (String) -> Bool
    private(set) var tracker: AlertTracker
    private var changes: [AlertChange] = []

    package init(
        node: String, pipeline: String, position: Int = 0, topics: ResultTopics, rules: [AlertRule],
        subjects: [AlertSubject], keyOfTopic: @escaping @Sendable (String) -> String?,
        hasRule: (@Sendable (String) -> Bool)? = nil
    ) {
        precondition(rules.count == subjects.count)
        self.node = node
        self.pipeline = pipeline
        self.position = position
        self.topics = topics
        self.subjects = subjects
        self.keyOfTopic = keyOfTopic
        let names = Set(rules.map(\.id))
        self.hasRule = hasRule ?? { names.contains($0) }
        tracker = AlertTracker(rules: rules, capacity: AlertDesk.capacity)
    }

    /// Keys, or keys and series, with alerts or with rules that wait for something.
    static let capacity = 100_000

    package var isEmpty: Bool { subjects.isEmpty }

    /// What the fact changes.
    package mutating func observe(
        _ observation: Observation, key sourceKey: String, topic: String, at now: Instant
    ) -> [AlertOutput] {
        guard !isEmpty else { return [] }
        changes.removeAll(keepingCapacity: true)
        let key = observation.series.map { sourceKey + "\0" + $0 } ?? sourceKey
        tracker.observe(
            observation.fact, isFresh: observation.isFresh, key: key, origin: topic, at: Moment(now),
            evidence: observation.result,
            history: observation.history, into: &changes)
        return outputs()
    }

    /// What time alone changes. To be called a few times a second.
    package mutating func tick(at now: Instant) -> [AlertOutput] {
        guard !isEmpty else { return [] }
        changes.removeAll(keepingCapacity: true)
        tracker.tick(at: Moment(now), into: &changes)
        return outputs()
    }

    /// The state of each alert that changed, and an event for each change.
    private func outputs() -> [AlertOutput] {
        guard !changes.isEmpty else { return [] }
        var outputs: [AlertOutput] = []
        for (index, change) in changes.enumerated() {
            let document = self.document(rule: change.rule, key: change.key, topic: change.origin)
            let topic = topics.alert(pipeline: pipeline, key: document.key, rule: document.rule)
            let isUpdate = change.kind == .updated
            if !isUpdate {
                let event = document.document(change, event: change.kind, to: topic + "/events")
                outputs.append(AlertOutput(document: event, isRetained: false))
            }
            // Changes of the same moment have the same state.
            let next = index + 1 < changes.count ? changes[index + 1] : nil
            guard next?.rule != change.rule || next?.key != change.key else { continue }
            let state = document.document(change, event: nil, to: topic)
            outputs.append(
                AlertOutput(
                    document: state, isRetained: true, isUpdate: isUpdate,
                    subject: .init(pipeline: pipeline, desk: position, rule: document.rule)))
        }
        return outputs
    }

    private func document(rule: Int, key: String, topic: String) -> AlertDocument {
        let (sourceKey, series) = AlertDesk.parts(of: key)
        return AlertDocument(
            node: node, pipeline: pipeline, rule: series ?? tracker.rules[rule].id, topic: topic, key: sourceKey,
            series: series.flatMap { subjects[rule].series(ofRule: $0) }, subject: subjects[rule])
    }

    static func parts(of key: String) -> (source: String, series: String?) {
        guard let end = key.utf8.firstIndex(of: 0) else { return (key, nil) }
        return (String(key[..<end]), String(key[key.utf8.index(after: end)...]))
    }
}

// MARK: Commands

extension AlertDesk {
    /// An open alert as commands speak of it.
    struct Reference: Sendable {
        var rule: Int
        /// Of the tracker.
        var trackerKey: String
        var id: String
        var pipeline: String
        var key: String
        var ruleName: String
        var state: Alert.State
    }

    /// The open alerts that a target means, by key and rule.
    func open(_ target: AlertTarget) -> [Reference] {
        guard target.pipeline == nil || target.pipeline == pipeline else { return [] }
        var found: [Reference] = []
        tracker.forEachOpen { rule, trackerKey, alert in
            let document = self.document(rule: rule, key: trackerKey, topic: "")
            guard target.rule == nil || target.rule == document.rule,
                target.key == nil || target.key == document.key
            else { return }
            let id = document.identity(alert)
            guard target.id == nil || target.id == id else { return }
            found.append(
                Reference(
                    rule: rule, trackerKey: trackerKey, id: id, pipeline: pipeline, key: document.key,
                    ruleName: document.rule,
                    state: alert.state))
        }
        return found.sorted { ($0.key, $0.ruleName) < ($1.key, $1.ruleName) }
    }

    mutating func acknowledge(_ reference: Reference, by: String?, note: String?, at now: Instant) -> [AlertOutput] {
        changes.removeAll(keepingCapacity: true)
        _ = tracker.acknowledge(
            rule: reference.rule, key: reference.trackerKey, by: by, note: note, at: Moment(now), into: &changes)
        return outputs()
    }

    mutating func setSilences(_ silences: [StoredSilence]) {
        let names = tracker.rules.map(\.id)
        tracker.silences = silences.filter { $0.pipeline == nil || $0.pipeline == pipeline }.map { silence in
            AlertSilence(until: silence.until) { rule, trackerKey in
                let (key, series) = AlertDesk.parts(of: trackerKey)
                return (silence.rule == nil || silence.rule == series ?? names[rule])
                    && (silence.key == nil || silence.key == key)
            }
        }
    }
}

// MARK: Across restarts

extension AlertDesk {
    var isStored: Bool {
        get { tracker.isStored }
        set { tracker.isStored = newValue }
    }

    /// This run goes on where an earlier one has ended.
    mutating func settle() { tracker.settles = true }

    mutating func takeStored() -> [StoredAlertRow] {
        tracker.takeStored().map { change in
            let (key, series) = AlertDesk.parts(of: change.key)
            return StoredAlertRow(
                pipeline: pipeline, desk: position, rule: tracker.rules[change.rule].id, key: key, series: series,
                state: change.state)
        }
    }

    /// False when the configuration has no such alert any more.
    mutating func restore(_ stored: StoredAlert, at now: Instant) -> Bool {
        let (key, series) = AlertDesk.parts(of: stored.key)
        return keyOfTopic(stored.origin) == key && hasRule(series ?? stored.rule)
            && tracker.restore(stored, at: Moment(now))
    }

    /// Goes on with an alert that another run has left open on the bus. False when it is not one of this desk, or there is
    /// one already.
    mutating func adopt(_ retained: RetainedAlert, at now: Instant) -> Bool {
        guard retained.pipeline == pipeline, let key = keyOfTopic(retained.topic), hasRule(retained.rule) else {
            return false
        }
        let names = tracker.rules.map(\.id)
        if let rule = names.firstIndex(of: retained.rule) {
            return tracker.adopt(retained.alert, rule: rule, key: key, origin: retained.topic, at: Moment(now))
        }
        guard !names.isEmpty else { return false }
        return tracker.adopt(
            retained.alert, rule: 0, key: key + "\0" + retained.rule, origin: retained.topic, at: Moment(now))
    }

    /// Whether a retained alert can still be one of this desk.
    func stands(behind retained: RetainedTopic) -> Bool {
        guard retained.pipeline == pipeline, retained.desk == position, hasRule(retained.rule) else { return false }
        let start = topics.alert(pipeline: pipeline, key: "", rule: "")
        return !isEmpty && retained.topic.hasPrefix(start) && retained.topic.hasSuffix("/" + retained.rule)
    }

    mutating func expect(_ row: StoredKeyRow, at now: Instant) {
        guard keyOfTopic(row.topic) == row.key else { return }
        tracker.expect(key: row.key, origin: row.topic, at: Moment(now))
    }

    mutating func takeKeyChanges() -> [StoredKeyRow] {
        tracker.takeKeyChanges().map {
            StoredKeyRow(pipeline: pipeline, desk: position, key: $0.key, topic: $0.origin, isKnown: $0.isKnown)
        }
    }
}

extension Moment {
    init(_ instant: Instant) { self.init(steady: instant.monotonicNanoseconds, unix: instant.unixNanoseconds) }
}
