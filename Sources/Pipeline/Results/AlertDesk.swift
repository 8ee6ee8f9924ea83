// SPDX-License-Identifier: Apache-2.0

import Alerts
import Crypto
import Streaming

/// The alerts of one pipeline: takes facts about topics, gives the documents of what changes.
///
/// A plain struct: belongs to the queue of results. The tracker's keys are topics, with the name of the series behind a
/// U+0000 (which no topic has) where a rule exists once for each series.
package struct AlertDesk {
    /// What is said about a topic, and to which desk of the pipeline.
    package struct Observation: Sendable {
        package var desk: Int
        package var fact: Fact
        /// Name of the series, where `rules` apply to each series by itself.
        package var series: String?
        /// Id of the result that the fact stands in.
        package var result: String

        package init(desk: Int = 0, fact: Fact, series: String? = nil, result: String) {
            self.desk = desk
            self.fact = fact
            self.series = series
            self.result = result
        }
    }

    /// What a rule is about, in words.
    package struct Subject: Sendable {
        package var condition: String
        package var series: String?
        package var `class`: String?

        package init(condition: String, series: String? = nil, class: String? = nil) {
            self.condition = condition
            self.series = series
            self.class = `class`
        }
    }

    private let node: String
    private let pipeline: String
    private let topics: ResultTopics
    private let subjects: [Subject]
    /// The key of a topic of the source.
    private let keyOfTopic: @Sendable (String) -> String
    private var tracker: AlertTracker
    private var changes: [AlertChange] = []

    package init(
        node: String, pipeline: String, topics: ResultTopics, rules: [AlertRule], subjects: [Subject],
        keyOfTopic: @escaping @Sendable (String) -> String
    ) {
        precondition(rules.count == subjects.count)
        self.node = node
        self.pipeline = pipeline
        self.topics = topics
        self.subjects = subjects
        self.keyOfTopic = keyOfTopic
        tracker = AlertTracker(rules: rules)
    }

    package var isEmpty: Bool { subjects.isEmpty }

    /// What the fact changes, as documents to publish retained.
    package mutating func observe(_ observation: Observation, topic: String, at now: Instant) -> [ResultDocument] {
        guard !isEmpty else { return [] }
        changes.removeAll(keepingCapacity: true)
        let key = observation.series.map { topic + "\0" + $0 } ?? topic
        tracker.observe(observation.fact, key: key, at: now.monotonicNanoseconds, into: &changes)
        return changes.map { document($0, result: observation.result, at: now) }
    }

    /// What time alone changes. To be called a few times a second.
    package mutating func tick(at now: Instant) -> [ResultDocument] {
        guard !isEmpty else { return [] }
        changes.removeAll(keepingCapacity: true)
        tracker.tick(at: now.monotonicNanoseconds, into: &changes)
        return changes.map { document($0, result: nil, at: now) }
    }

    /// Described by `Config/schemas/alert.v1.json`.
    private func document(_ change: AlertChange, result: String?, at now: Instant) -> ResultDocument {
        let parts = change.key.split(separator: "\0", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let topic = parts[0]
        let series = parts.count > 1 ? parts[1] : subjects[change.rule].series
        let key = keyOfTopic(topic)
        let rule = parts.count > 1 ? parts[1] : tracker.rules[change.rule].id
        let alert = change.alert
        func unix(_ monotonic: Int64) -> Int64 { now.unixNanoseconds - (now.monotonicNanoseconds - monotonic) }
        var json = JSONWriter()
        var offset = 0
        json.object { json in
            json.field("schema", "brokerside.alert/1")
            json.field("id", identity(rule: rule, topic: topic, since: alert.since))
            json.field("node", node)
            json.field("pipeline", pipeline)
            json.field("rule", rule)
            json.key("source")
            json.object { json in
                json.field("topic", topic)
                json.field("key", key)
            }
            json.field("severity", tracker.rules[change.rule].severity.rawValue)
            json.field("state", change.kind == .closed ? "closed" : "open")
            json.field("since", time: unix(alert.since))
            json.field("updated_at", time: unix(change.at))
            if change.kind == .closed { json.field("closed_at", time: unix(alert.closedAt ?? change.at)) }
            offset = json.publishedAt()
            json.field("duration_ms", alert.durationNanoseconds(at: change.at) / 1_000_000)
            json.field(
                "condition",
                series.map { "\($0) \(subjects[change.rule].condition)" } ?? subjects[change.rule].condition)
            json.key("explanation")
            json.object { json in
                if let series {
                    json.field("series", series)
                    json.field("value", alert.value)
                    json.key("expected")
                    json.range(alert.expected)
                }
                if let name = subjects[change.rule].class {
                    json.field("class", name)
                    json.field("count", Int(alert.value))
                }
                if let score = alert.score { json.field("score", score) }
            }
            if let result { json.field("result", result) }
        }
        return ResultDocument(
            topic: topics.alert(pipeline: pipeline, key: key, rule: rule), bytes: json.bytes, publishedAtOffset: offset)
    }

    /// The same from the opening of an alert to its closing. `since` is of the monotonic clock, which nobody adjusts.
    private func identity(rule: String, topic: String, since: Int64) -> String {
        var text = [node, pipeline, rule, topic, String(since)].joined(separator: "\0")
        let digest = text.withUTF8 { SHA256.hash(data: UnsafeRawBufferPointer($0)) }
        return digest.withUnsafeBytes { hexadecimal(UnsafeRawBufferPointer(rebasing: $0[0..<16])) }
    }
}
