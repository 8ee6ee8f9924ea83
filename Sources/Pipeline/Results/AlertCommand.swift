// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming

/// Which alerts a command means: all that agree with what is given.
struct AlertTarget: Sendable, Equatable {
    var id: String?
    var pipeline: String?
    var key: String?
    var rule: String?

    var isEmpty: Bool { id == nil && pipeline == nil && key == nil && rule == nil }
}

/// What people ask of alerts, on `<prefix>/<node>/command/alerts/<verb>`:
///
///     acknowledge  { "id": "7d86..." }  or any of  { "pipeline": "...", "key": "...", "rule": "..." }
///     silence      the same and "duration": "2h"; "0s" ends the silence of exactly this target
///
/// and with each, if wanted, `by`, `note` and `correlation` (text).
struct AlertCommand: Sendable, Equatable {
    enum Action: Sendable, Equatable {
        case acknowledge
        case silence(Duration)
    }

    var action: Action
    var target: AlertTarget
    var by: String?
    var note: String?

    /// Why a command is refused. Raw values are published and counted.
    enum Refusal: String, Error, CaseIterable, Sendable {
        case retained, tooLarge = "too_large", unknownCommand = "unknown_command", invalidJSON = "invalid_json"
        case unknownField = "unknown_field", invalidField = "invalid_field", missingField = "missing_field"
        case notFound = "not_found", tooMany = "too_many", busy
    }

    struct Fault: Error, Equatable {
        var refusal: Refusal
        /// For the one who sent it.
        var message: String
    }

    static let verbs = ["acknowledge", "silence"]
    static let mostBytes = 4096
    private static let mostCharacters = 512
    private static let longestSilence = Duration.seconds(366 * 86400)

    /// - Parameter verb: last level of the topic.
    init(verb: String, _ message: Message) throws(Fault) {
        // A retained command would be done again after every restart.
        if message.retained { throw Fault(refusal: .retained, message: "a command must not be retained") }
        guard message.payload.count <= AlertCommand.mostBytes, message.discardedPayloadBytes == 0 else {
            throw Fault(refusal: .tooLarge, message: "a command has at most \(AlertCommand.mostBytes) bytes")
        }
        guard AlertCommand.verbs.contains(verb) else {
            throw Fault(
                refusal: .unknownCommand,
                message: "unknown command '\(verb)', expected one of: \(AlertCommand.verbs.joined(separator: ", "))")
        }
        let fields = try AlertCommand.fields(
            message.payload,
            known: ["id", "pipeline", "key", "rule", "by", "note", "correlation"]
                + (verb == "silence" ? ["duration"] : []))
        target = AlertTarget(
            id: fields["id"], pipeline: fields["pipeline"], key: fields["key"], rule: fields["rule"])
        by = fields["by"]
        note = fields["note"]
        if target.isEmpty {
            throw Fault(refusal: .missingField, message: "one of 'id', 'pipeline', 'key' and 'rule' is needed")
        }
        guard verb == "silence" else {
            action = .acknowledge
            return
        }
        guard let text = fields["duration"] else {
            throw Fault(refusal: .missingField, message: "'duration' is needed, such as \"30min\" or \"2h\"")
        }
        guard let duration = Quantities.duration(text), duration <= AlertCommand.longestSilence else {
            throw Fault(
                refusal: .invalidField, message: "'duration' must be a duration such as \"30min\", \"2h\", at most 366d"
            )
        }
        action = .silence(duration)
    }

    private static func fields(_ payload: Payload, known: [String]) throws(Fault) -> [String: String] {
        guard let object = try? JSONSerialization.jsonObject(with: Data(payload.array)) as? [String: Any] else {
            throw Fault(refusal: .invalidJSON, message: "the payload must be a JSON object")
        }
        var fields: [String: String] = [:]
        for (name, value) in object.sorted(by: { $0.key < $1.key }) {
            guard known.contains(name) else {
                throw Fault(
                    refusal: .unknownField,
                    message: "unknown field '\(name.prefix(64))', expected: \(known.joined(separator: ", "))")
            }
            if value is NSNull { continue }
            guard let text = value as? String, text.count <= mostCharacters else {
                throw Fault(
                    refusal: .invalidField, message: "'\(name)' must be a text of at most \(mostCharacters) characters")
            }
            fields[name] = text
        }
        return fields
    }
}

/// The answer to a command. Described by `Config/schemas/alert-reply.v1.json`.
struct AlertReply: Sendable {
    var node: String
    var command: String
    var correlation: String?
    var result: Result<Success, AlertCommand.Fault>

    struct Success: Sendable {
        var alerts: [AlertDesk.Reference]
        var silencedUntil: Int64?
    }

    /// Alerts that are listed; the rest is counted.
    private static let mostListed = 100

    func document(topic: String) -> ResultDocument {
        var json = JSONWriter()
        var offset = 0
        json.object { json in
            json.field("schema", "brokerside.alert-reply/1")
            json.field("node", node)
            json.field("command", command)
            if let correlation { json.field("correlation", correlation) }
            offset = json.publishedAt()
            switch result {
            case .failure(let fault):
                json.key("ok")
                json.value(false)
                json.key("error")
                json.object { json in
                    json.field("code", fault.refusal.rawValue)
                    json.field("message", fault.message)
                }
            case .success(let success):
                json.key("ok")
                json.value(true)
                if let until = success.silencedUntil { json.field("silenced_until", time: until) }
                json.field("count", success.alerts.count)
                json.key("alerts")
                json.array { json in
                    for alert in success.alerts.prefix(AlertReply.mostListed) {
                        json.object { json in
                            json.field("id", alert.id)
                            json.field("pipeline", alert.pipeline)
                            json.field("key", alert.key)
                            json.field("rule", alert.ruleName)
                            json.field("state", alert.state.rawValue)
                        }
                    }
                }
            }
        }
        return ResultDocument(topic: topic, bytes: json.bytes, publishedAtOffset: offset)
    }

    /// What the sender wants to find in the reply, also of a command that is refused otherwise. Clients of MQTT 3.1.1
    /// have no correlation data.
    static func correlation(in message: Message) -> String? {
        guard message.payload.count <= AlertCommand.mostBytes,
            let object = try? JSONSerialization.jsonObject(with: Data(message.payload.array)) as? [String: Any],
            let text = object["correlation"] as? String
        else { return nil }
        return String(text.prefix(512))
    }
}
