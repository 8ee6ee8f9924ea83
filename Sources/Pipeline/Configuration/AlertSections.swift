// SPDX-License-Identifier: Apache-2.0

import Alerts

/// Reads the rules of a pipeline.
struct AlertSections {
    typealias Place = ConfigurationReader.Place
    typealias Condition = Configuration.AlertSection.Condition

    var reader: ConfigurationReader
    /// What the pipeline does; nil when that is not readable.
    let work: Configuration.PipelineSection.Work?

    /// Keys of which a condition has exactly one.
    private static let kinds = [
        "class", "anomaly", "above", "below", "outside", "rises", "falls", "changes", "silence", "all", "any", "not",
    ]
    /// Keys that go with some of them.
    private static let details = ["at_least", "at_most", "series", "clear", "margin", "within"]
    private static let rule = ["for", "clear_after", "cool_down", "severity", "escalate", "flapping"]
    private static let deepest = 8
    private static let mostLeaves = 32

    mutating func section(_ name: String, _ place: Place) -> Configuration.AlertSection? {
        let known = AlertSections.kinds + AlertSections.details + AlertSections.rule
        guard let fields = reader.fields(place, known: known), let condition = condition(fields, place, depth: 1) else {
            return nil
        }
        // Events of an alert have a topic of that name.
        if name == "events" { reader.fault(place, "a rule cannot be called 'events'") }
        if condition.leaves.count > AlertSections.mostLeaves {
            reader.fault(place, "a rule has at most \(AlertSections.mostLeaves) conditions")
        }
        var alert = Configuration.AlertSection(rule: name, condition: condition)
        if let value = reader.duration(fields["for"]) { alert.minimumDuration = value }
        if let value = reader.duration(fields["clear_after"]) { alert.clearAfter = value }
        if let value = reader.duration(fields["cool_down"]) { alert.coolDown = value }
        if let value = reader.choice(fields["severity"], Severity.self) { alert.severity = value }
        if let place = fields["escalate"] { alert.escalation = escalation(place, above: alert.severity) }
        if let place = fields["flapping"] { alert.flapping = flapping(place) }
        return alert
    }

    private mutating func condition(_ fields: ConfigurationReader.Fields, _ place: Place, depth: Int) -> Condition? {
        let given = AlertSections.kinds.filter { fields[$0] != nil }
        guard given.count == 1, let kind = given.first, let value = fields[kind] else {
            let names = AlertSections.kinds.map { "'\($0)'" }
            reader.fault(
                place, "exactly one of \(names.dropLast().joined(separator: ", ")) and \(names.last ?? "") is needed")
            return nil
        }
        let isFitting = check(fields, fits: kind)
        switch kind {
        case "all", "any", "not": return combination(kind, value, depth: depth)
        case "class": return classCount(value, fields, place)
        case "silence":
            let series = fields["series"].flatMap { self.series($0) }
            guard isFitting, let duration = reader.duration(value) else { return nil }
            if duration == .zero { reader.fault(value, "must be longer than 0") }
            return .silence(series: series, duration)
        case "anomaly": return belongsToTelemetry(kind, place) ? series(value).map { .anomaly(series: $0) } : nil
        default: break
        }
        guard belongsToTelemetry(kind, place), let seriesPlace = reader.required(fields, "series"),
            let series = series(seriesPlace)
        else { return nil }
        switch kind {
        case "outside": return outside(value, series, fields)
        case "rises", "falls", "changes":
            guard let amount = reader.number(value), let direction = ChangeDirection(rawValue: kind),
                let withinPlace = reader.required(fields, "within"), let within = reader.duration(withinPlace)
            else { return nil }
            if amount <= 0 { reader.fault(value, "must be greater than 0") }
            if within < .milliseconds(8) { reader.fault(withinPlace, "must be at least 8ms") }
            return .change(series: series, direction: direction, amount: amount, within: within)
        default:
            guard let limit = reader.number(value) else { return nil }
            let clear = reader.number(fields["clear"]) ?? limit
            if let place = fields["clear"], kind == "above" ? clear > limit : clear < limit {
                reader.fault(place, "must be \(kind == "above" ? "at most" : "at least") the limit \(limit)")
            }
            return kind == "above"
                ? .above(series: series, limit: limit, clear: clear)
                : .below(series: series, limit: limit, clear: clear)
        }
    }

    /// Whether the details that are given mean something beside this kind.
    private mutating func check(_ fields: ConfigurationReader.Fields, fits kind: String) -> Bool {
        let allowed: [String]
        switch kind {
        case "class": allowed = ["at_least", "at_most"]
        case "above", "below": allowed = ["series", "clear"]
        case "outside": allowed = ["series", "margin"]
        case "rises", "falls", "changes": allowed = ["series", "within"]
        case "silence": allowed = ["series"]
        default: allowed = []
        }
        var isFitting = true
        for key in AlertSections.details where !allowed.contains(key) {
            guard let place = fields[key] else { continue }
            reader.fault(place, "'\(key)' means nothing beside '\(kind)'")
            isFitting = false
        }
        return isFitting
    }

    private mutating func combination(_ kind: String, _ place: Place, depth: Int) -> Condition? {
        guard depth < AlertSections.deepest else {
            reader.fault(place, "conditions are nested more than \(AlertSections.deepest) deep")
            return nil
        }
        let known = AlertSections.kinds + AlertSections.details
        func part(_ sections: inout AlertSections, _ place: Place) -> Condition? {
            guard let fields = sections.reader.fields(place, known: known) else { return nil }
            return sections.condition(fields, place, depth: depth + 1)
        }
        if kind == "not" { return part(&self, place).map { .not($0) } }
        guard case .sequence = place.node, let elements = reader.elements(place), !elements.isEmpty else {
            reader.fault(place, "expected a list of conditions")
            return nil
        }
        let parts = elements.compactMap { part(&self, $0) }
        guard parts.count == elements.count else { return nil }
        return kind == "all" ? .all(parts) : .any(parts)
    }

    private mutating func classCount(
        _ place: Place, _ fields: ConfigurationReader.Fields, _ whole: Place
    ) -> Condition? {
        if case .anomaly? = work { reader.fault(whole, "'class' belongs to a pipeline that detects") }
        let most = Configuration.AlertSection.mostDetections
        let highest = reader.integer(fields["at_most"], in: 0...most)
        let lowest = reader.integer(fields["at_least"], in: (highest == nil ? 1 : 0)...most)
        // Without a word on the number: somebody is there. With an upper end alone: so few, or nobody.
        let range = (lowest ?? (highest == nil ? 1 : 0), highest ?? most)
        guard range.0 <= range.1 else {
            reader.fault(fields["at_most"] ?? place, "must be at least 'at_least', \(range.0)")
            return nil
        }
        return reader.string(place).map { .classCount($0, count: range.0...range.1) }
    }

    private mutating func outside(
        _ place: Place, _ series: String, _ fields: ConfigurationReader.Fields
    ) -> Condition? {
        guard let elements = reader.elements(place) else { return nil }
        let limits = elements.compactMap { reader.number($0) }
        guard limits.count == 2, limits[0] < limits[1] else {
            reader.fault(place, "expected [low, high] with low < high")
            return nil
        }
        let margin = reader.number(fields["margin"], in: 0...1e300) ?? 0
        return .outside(series: series, low: limits[0], high: limits[1], margin: margin)
    }

    private mutating func belongsToTelemetry(_ kind: String, _ place: Place) -> Bool {
        guard case .detect? = work else { return true }
        reader.fault(place, "'\(kind)' belongs to a pipeline of telemetry")
        return false
    }

    private mutating func series(_ place: Place) -> String? {
        guard let name = reader.string(place) else { return nil }
        if case .anomaly(let section)? = work, let known = section.series?.map(\.name), !known.contains(name) {
            reader.fault(place, reader.unknown(name, known: known, what: "series"))
        }
        return name
    }

    /// `{ critical: 10min }`
    private mutating func escalation(_ place: Place, above severity: Severity) -> [AlertRule.Escalation] {
        guard let fields = reader.fields(place, known: Severity.allCases.map(\.rawValue)) else { return [] }
        var steps: [AlertRule.Escalation] = []
        for next in Severity.allCases {
            guard let place = fields[next.rawValue], let after = reader.duration(place) else { continue }
            if next <= severity {
                reader.fault(place, "must be a higher severity than the rule's, \(severity.rawValue)")
            } else if let last = steps.last, after <= last.after {
                reader.fault(place, "must be later than \(last.severity.rawValue), \(Quantities.text(last.after))")
            } else {
                steps.append(AlertRule.Escalation(severity: next, after: after))
            }
        }
        return steps
    }

    /// `off`, or `{ openings: 5, within: 5min }`
    private mutating func flapping(_ place: Place) -> AlertRule.Flapping? {
        if case .scalar = place.node { return reader.boolean(place) == true ? AlertRule.Flapping() : nil }
        var flapping = AlertRule.Flapping()
        guard let fields = reader.fields(place, known: ["openings", "within"]) else { return nil }
        if let openings = reader.integer(fields["openings"], in: 2...100) { flapping.openings = openings }
        if let within = reader.duration(fields["within"]) { flapping.within = within }
        return flapping
    }
}
