// SPDX-License-Identifier: Apache-2.0

import Alerts
import Foundation
import Streaming
import Telemetry

/// What a retained alert says that another run has published: enough to go on with it.
struct RetainedAlert {
    var pipeline: String
    var rule: String
    var topic: String
    var key: String
    var condition: String
    var isOpen: Bool
    var alert: Alert

    /// Nil for what is no such document.
    init?(_ message: Message, at now: Instant) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(message.payload.array)) as? [String: Any],
            object["schema"] as? String == "brokerside.alert/1", let pipeline = object["pipeline"] as? String,
            let rule = object["rule"] as? String, let source = object["source"] as? [String: Any],
            let topic = source["topic"] as? String, let state = object["state"] as? String,
            let severity = (object["severity"] as? String).flatMap(Severity.init(rawValue:)),
            let since = (object["since"] as? String).flatMap({ Timestamp.parse($0, zoneRequired: true) })
        else { return nil }
        self.pipeline = pipeline
        self.rule = rule
        self.topic = topic
        key = source["key"] as? String ?? ""
        condition = object["condition"] as? String ?? ""
        isOpen = state == Alert.State.open.rawValue || state == Alert.State.acknowledged.rawValue
        let explanation = object["explanation"] as? [String: Any] ?? [:]
        func number(_ name: String) -> Double? { (explanation[name] as? NSNumber)?.doubleValue }
        let value = number("change") ?? number("value") ?? number("count") ?? number("silent_s") ?? 0
        func moment(_ field: String, in object: [String: Any]) -> Moment? {
            (object[field] as? String).flatMap { Timestamp.parse($0, zoneRequired: true) }
                .map { Moment(steady: $0, unix: $0) }
        }
        alert = Alert(since: Moment(steady: since, unix: since), severity: severity, value: value)
        alert.openedAt = moment("opened_at", in: object) ?? alert.since
        alert.peak = number("peak") ?? value
        alert.score = number("score")
        alert.series = explanation["series"] as? String
        alert.evidence = object["result"] as? String
        if let acknowledged = object["acknowledged"] as? [String: Any], let at = moment("at", in: acknowledged) {
            alert.acknowledgement = Alert.Acknowledgement(
                at: at, by: acknowledged["by"] as? String, note: acknowledged["note"] as? String)
        }
    }
}
