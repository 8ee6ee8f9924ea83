// SPDX-License-Identifier: Apache-2.0

import Alerts
import Crypto

/// What a change of an alert sends to the bus: the state, retained, or an event.
package struct AlertOutput: Sendable {
    package var document: ResultDocument
    package var isRetained: Bool
    /// Only news of what goes on; the first to be given up when there is too much.
    package var isUpdate = false
    /// Of a retained output, what it is about.
    package var subject: Subject?

    package struct Subject: Sendable {
        package var pipeline: String
        package var desk: Int
        /// Or the series, where the rule exists once for each.
        package var rule: String
    }
}

/// Writes the state of an alert and its events. Described by `Config/schemas/alert.v1.json`, `alert-event.v1.json`.
struct AlertDocument {
    var node: String
    var pipeline: String
    var rule: String
    /// Of the latest message that the alert is about.
    var topic: String
    var key: String
    /// Where the rule exists once for each series.
    var series: String?
    var subject: AlertSubject
    /// Of a closing event: why, if not because the condition is over.
    var reason: Reason?

    /// Raw values are published.
    enum Reason: String { case ruleRemoved = "rule_removed" }

    /// The same from the opening of an alert to its closing, over restarts too. Of the milliseconds that are published.
    func identity(_ alert: Alert) -> String {
        AlertDocument.digest([node, pipeline, rule, key, String(alert.since.unix / 1_000_000)])
    }

    /// - Parameters:
    ///   - event: the kind of an event; nil writes the state.
    ///   - to: where it is published.
    func document(_ change: AlertChange, event: AlertChange.Kind?, to destination: String) -> ResultDocument {
        let alert = change.alert
        let id = identity(alert)
        var json = JSONWriter()
        var offset = 0
        json.object { json in
            json.field("schema", event == nil ? "brokerside.alert/1" : "brokerside.alert-event/1")
            if let event {
                json.field("id", AlertDocument.digest([id, event.rawValue, String(change.at.unix)]))
                json.field("alert", id)
                json.field("event", event.rawValue)
                if let reason { json.field("reason", reason.rawValue) }
            } else {
                json.field("id", id)
            }
            json.field("node", node)
            json.field("pipeline", pipeline)
            json.field("rule", rule)
            json.key("source")
            json.object { json in
                json.field("topic", topic)
                json.field("key", key)
            }
            json.field("severity", alert.severity.rawValue)
            json.field("state", alert.state.rawValue)
            json.field("since", time: alert.since.unix)
            json.field("opened_at", time: alert.openedAt.unix)
            json.field("updated_at", time: change.at.unix)
            if let closedAt = alert.closedAt { json.field("closed_at", time: closedAt.unix) }
            offset = json.publishedAt()
            json.field("duration_ms", alert.durationNanoseconds(at: change.at) / 1_000_000)
            if let acknowledgement = alert.acknowledgement {
                json.key("acknowledged")
                json.object { json in
                    json.field("at", time: acknowledgement.at.unix)
                    if let by = acknowledgement.by { json.field("by", by) }
                    if let note = acknowledgement.note { json.field("note", note) }
                }
            }
            if let until = alert.silencedUntil { json.field("silenced_until", time: until) }
            json.key("flapping")
            json.value(alert.isFlapping)
            let link = subject.method == nil ? " " : ": "
            json.field("condition", series.map { "\($0)\(link)\(subject.condition)" } ?? subject.condition)
            json.key("explanation")
            json.object { explain(change, &$0) }
            if let evidence = alert.evidence { json.field("result", evidence) }
        }
        return ResultDocument(topic: destination, bytes: json.bytes, publishedAtOffset: offset)
    }

    /// The event that closes an alert of which the configuration knows nothing any more.
    func closing(_ alert: Alert, key: String, at now: Moment, on alertTopic: String) -> AlertOutput {
        var document = self
        document.reason = .ruleRemoved
        var closed = alert
        closed.closedAt = now
        let change = AlertChange(
            kind: .closed, rule: 0, key: key, origin: topic, alert: closed, at: now, leaves: [], samples: [])
        return AlertOutput(
            document: document.document(change, event: .closed, to: alertTopic + "/events"), isRetained: false)
    }

    private func explain(_ change: AlertChange, _ json: inout JSONWriter) {
        let alert = change.alert
        let place = subject.leaves.indices.contains(alert.leaf) ? alert.leaf : 0
        if subject.leaves.indices.contains(place) {
            // The alert has what raised it; what closed it is in the leaf.
            let isOver = alert.closedAt != nil && change.leaves.indices.contains(place)
            let leaf = isOver ? change.leaves[place] : nil
            let last = change.samples.last?.value
            write(
                subject.leaves[place], value: leaf?.value ?? alert.value, last: last,
                expected: leaf?.expected ?? alert.expected, score: isOver ? leaf?.score : alert.score,
                series: isOver ? leaf?.series : alert.series, &json)
            if subject.leaves[place].kind != .silence {
                json.field("peak", alert.peak)
                json.key("samples")
                json.array { json in
                    for sample in change.samples {
                        json.object { json in
                            json.field("time", time: sample.unixNanoseconds)
                            json.field("value", sample.value)
                        }
                    }
                }
            }
        }
        guard subject.leaves.count > 1 else { return }
        json.key("conditions")
        json.array { json in
            for (leaf, state) in zip(subject.leaves, change.leaves) {
                json.object { json in
                    json.field("condition", leaf.words)
                    json.key("holds")
                    if state.verdict == .unknown { json.null() } else { json.value(state.verdict == .raised) }
                    if state.verdict != .unknown {
                        write(
                            leaf, value: state.value, last: nil, expected: state.expected, score: state.score,
                            series: nil, &json)
                    }
                }
            }
        }
    }

    /// - Parameters:
    ///   - last: of a change, the value that it led to.
    ///   - found: of several series judged together, the one that the value is of.
    private func write(
        _ leaf: AlertSubject.Leaf, value: Double, last: Double?, expected: ClosedRange<Double>?, score: Double?,
        series found: String?, _ json: inout JSONWriter
    ) {
        if let name = found ?? series ?? leaf.series { json.field("series", name) }
        switch leaf.kind {
        case .value:
            json.field("value", value)
            json.key("expected")
            json.range(expected)
        case .change:
            if let last { json.field("value", last) }
            json.field("change", value)
        case .silence: json.field("silent_s", (value * 1000).rounded() / 1000)
        case .count:
            if let name = leaf.class { json.field("class", name) }
            json.field("count", Int(value))
        }
        if let score { json.field("score", score) }
    }

    /// The first 128 bits of SHA-256 over the texts, with U+0000 between them, hexadecimal.
    private static func digest(_ texts: [String]) -> String {
        var text = texts.joined(separator: "\0")
        let digest = text.withUTF8 { SHA256.hash(data: UnsafeRawBufferPointer($0)) }
        return digest.withUnsafeBytes { hexadecimal(UnsafeRawBufferPointer(rebasing: $0[0..<16])) }
    }
}
