// SPDX-License-Identifier: Apache-2.0

import Anomaly
import Streaming
import Tensors

extension Configuration {
    /// The configuration as YAML that reads back as the same, with every value that has a default written out. Passwords
    /// are left out.
    package var yaml: String {
        var text = YAMLText()
        text.line("node", node)
        text.section("broker") { $0.broker(broker) }
        text.section("sources") { text in for source in sources { text.source(source) } }
        if !models.isEmpty { text.section("models") { text in for model in models { text.model(model) } } }
        text.section("pipelines") { text in for pipeline in pipelines { text.pipeline(pipeline) } }
        text.section("results") { text in
            text.line("prefix", results.prefix)
            if let qos = results.qos { text.line("qos", raw: "\(qos.rawValue)") }
            text.line("report_every", raw: Quantities.text(results.reportEvery))
            text.line("queue", raw: "\(results.queue)")
        }
        if let stateDirectory { text.line("state_dir", stateDirectory) }
        text.section("log") { $0.line("level", raw: log.level.rawValue) }
        return text.text
    }
}

extension FalseAlarmBudget {
    /// As the configuration writes it, in the largest unit that fits.
    fileprivate var text: String {
        let units = [("week", 604_800.0), ("day", 86400.0), ("hour", 3600.0), ("min", 60.0), ("s", 1.0)]
        let (name, size) = units.first { seconds.truncatingRemainder(dividingBy: $0.1) == 0 } ?? ("s", 1)
        let multiple = Int(seconds / size)
        return "\(count)/\(multiple == 1 ? "" : String(multiple))\(name)"
    }
}

/// Block style YAML, two spaces a level.
private struct YAMLText {
    private(set) var text = ""
    private var indentation = ""

    mutating func section(_ key: String, _ body: (inout YAMLText) -> Void) {
        text += "\(indentation)\(key):\n"
        indentation += "  "
        body(&self)
        indentation.removeLast(2)
    }

    mutating func line(_ key: String, _ value: String) { line(key, raw: YAMLText.quoted(value)) }

    mutating func line(_ key: String, raw: String) { text += "\(indentation)\(key): \(raw)\n" }

    mutating func list(_ key: String, _ values: [String]) {
        line(key, raw: "[\(values.map(YAMLText.quoted).joined(separator: ", "))]")
    }

    mutating func broker(_ broker: Configuration.BrokerSection) {
        line("url", broker.url)
        if let username = broker.username { line("username", username) }
        if let file = broker.passwordFile { line("password_file", file) }
        line("protocol", broker.version.rawValue)
        line("keep_alive", raw: Quantities.text(broker.keepAlive))
        if let tls = broker.tls {
            section("tls") { text in
                if let file = tls.caFile { text.line("ca_file", file) }
                if let file = tls.certificateFile { text.line("cert_file", file) }
                if let file = tls.keyFile { text.line("key_file", file) }
                if tls.insecure { text.line("insecure", raw: "true") }
            }
        }
    }

    mutating func source(_ source: Configuration.SourceSection) {
        section(source.name) { text in
            text.list("topics", source.topics.map(\.text))
            text.line("kind", raw: source.kind.rawValue)
            if source.kind == .telemetry { text.reading(source.reading) }
            text.line("qos", raw: "\(source.qos.rawValue)")
            if let share = source.share { text.line("share", share) }
            text.line("overload", raw: source.overload.rawValue)
            text.line("queue", raw: "\(source.queue)")
            text.line("max_age", raw: Quantities.text(source.maxAge ?? .zero))
            if source.qos == .atLeastOnce { text.line("window", raw: "\(source.window)") }
            text.line("max_bytes", raw: "\(source.maximumBytes)")
        }
    }

    mutating func reading(_ reading: Configuration.ReadingSection) {
        line("format", raw: reading.format.rawValue)
        if let timestamp = reading.timestamp {
            section("timestamp") { text in
                if let pointer = timestamp.pointer { text.line("at", pointer) }
                text.line("unit", raw: timestamp.reading.unit.rawValue)
                if let zone = timestamp.reading.zoneSeconds { text.line("zone", YAMLText.zone(zone)) }
            }
        }
        if let samples = reading.samples { line("samples", samples) }
        if reading.readsStrings { line("strings", raw: "true") }
        if !reading.asksForBirths { line("rebirth", raw: "false") }
    }

    private static func zone(_ seconds: Int) -> String {
        func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(seconds < 0 ? "-" : "+")\(digits(abs(seconds) / 3600)):\(digits(abs(seconds) / 60 % 60))"
    }

    mutating func model(_ model: Configuration.ModelSection) {
        section(model.name) { text in
            text.line("file", model.file)
            text.section("batch") { text in
                text.line("size", raw: "\(model.batchSize)")
                text.line("wait", raw: Quantities.text(model.batchWait))
            }
            if let labels = model.labels { text.list("labels", labels) }
            if let input = model.input { text.preprocessing(input) }
            if let output = model.output { text.interpretation(output) }
            if !model.shapes.isEmpty {
                text.section("shapes") { text in
                    for (name, shape) in model.shapes.sorted(by: { $0.key < $1.key }) {
                        text.line(name, shape.description)
                    }
                }
            }
        }
    }

    mutating func preprocessing(_ input: ImagePreprocessing) {
        section("input") { text in
            text.line("order", raw: input.channelOrder.rawValue)
            text.line("fit", raw: input.fit.rawValue)
            text.line("padding", raw: "\(input.padding)")
            text.line("mean", raw: "[\(input.mean.map(\.description).joined(separator: ", "))]")
            text.line("scale", raw: "[\(input.scale.map(\.description).joined(separator: ", "))]")
        }
    }

    mutating func interpretation(_ output: OutputInterpretation) {
        section("output") { text in
            switch output {
            case .grid(let head):
                text.section("grid") { text in
                    text.line("output", head.output)
                    text.line("strides", raw: "\(head.strides)")
                    text.line("logits", raw: "\(head.scoresAreLogits)")
                }
            case .boxesAndScores(let head):
                text.section("boxes_and_scores") { text in
                    text.line("boxes", head.boxes)
                    text.line("scores", head.scores)
                    if let classes = head.classes { text.line("classes", classes) }
                    text.line("form", raw: head.form.rawValue)
                    text.line("normalized", raw: "\(head.normalized)")
                    if let background = head.backgroundClass { text.line("background", raw: "\(background)") }
                    text.line("logits", raw: "\(head.scoresAreLogits)")
                }
            case .anchorFree(let head):
                text.section("anchor_free") { text in
                    let levels = head.levels.map { level in
                        let objectness = level.objectness.map { ", objectness: \(YAMLText.quoted($0))" } ?? ""
                        return
                            "{ stride: \(level.stride), scores: \(YAMLText.quoted(level.scores))\(objectness), boxes: \(YAMLText.quoted(level.boxes)) }"
                    }
                    text.line("levels", raw: "[\(levels.joined(separator: ", "))]")
                    text.line("form", raw: head.form.rawValue)
                    text.line("logits", raw: "\(head.scoresAreLogits)")
                    text.line("geometric_mean", raw: "\(head.geometricMean)")
                }
            case .cellMap(let head): text.section("cell_map") { $0.line("output", head.output) }
            case .classification(let head):
                text.section("classification") { text in
                    text.line("output", head.output)
                    text.line("logits", raw: "\(head.scoresAreLogits)")
                }
            }
        }
    }

    mutating func pipeline(_ pipeline: Configuration.PipelineSection) {
        section(pipeline.name) { text in
            text.line("from", pipeline.from)
            switch pipeline.work {
            case .detect(let detect):
                text.section("detect") { text in
                    text.line("model", detect.model)
                    text.line("threshold", raw: "\(detect.threshold)")
                    text.line("overlap", raw: "\(detect.overlap)")
                    if !detect.classes.isEmpty { text.list("classes", detect.classes) }
                    text.line("maximum", raw: "\(detect.maximum)")
                }
            case .anomaly(let anomaly): text.anomaly(anomaly)
            }
            if !pipeline.alerts.isEmpty {
                text.section("alerts") { text in for alert in pipeline.alerts { text.alert(alert) } }
            }
        }
    }

    mutating func anomaly(_ anomaly: Configuration.AnomalySection) {
        section("anomaly") { text in
            if let series = anomaly.series {
                text.section("series") { text in for series in series { text.line(series.name, series.pointer) } }
            } else {
                text.line("series", raw: "auto")
            }
            text.line("method", raw: "[\(anomaly.methods.map(\.rawValue).joined(separator: ", "))]")
            if let model = anomaly.model {
                text.line("model", model)
                text.line("normalize", raw: anomaly.normalization.rawValue)
            }
            text.line("series_limit", raw: "\(anomaly.seriesLimit)")
            text.line("false_alarms", anomaly.falseAlarms.text)
            text.line("publish", raw: anomaly.publish.rawValue)
            text.line("severity", raw: anomaly.severity.rawValue)
        }
    }

    mutating func alert(_ alert: Configuration.AlertSection) {
        section(alert.rule) { text in
            for (key, value) in YAMLText.fields(alert.condition) { text.line(key, raw: value) }
            text.line("for", raw: Quantities.text(alert.minimumDuration))
            text.line("clear_after", raw: Quantities.text(alert.clearAfter))
            text.line("cool_down", raw: Quantities.text(alert.coolDown))
            text.line("severity", raw: alert.severity.rawValue)
            if !alert.escalation.isEmpty {
                let steps = alert.escalation.map { "\($0.severity.rawValue): \(Quantities.text($0.after))" }
                text.line("escalate", raw: "{ \(steps.joined(separator: ", ")) }")
            }
            if let flapping = alert.flapping {
                text.line(
                    "flapping", raw: "{ openings: \(flapping.openings), within: \(Quantities.text(flapping.within)) }")
            } else {
                text.line("flapping", raw: "off")
            }
        }
    }

    /// The keys of a condition with their values in flow style.
    private static func fields(_ condition: Configuration.AlertSection.Condition) -> [(key: String, value: String)] {
        func part(_ condition: Configuration.AlertSection.Condition) -> String {
            "{ \(fields(condition).map { "\($0.key): \($0.value)" }.joined(separator: ", ")) }"
        }
        func list(_ parts: [Configuration.AlertSection.Condition]) -> String {
            "[\(parts.map(part).joined(separator: ", "))]"
        }
        switch condition {
        case .classCount(let name, let count):
            return [
                ("class", quoted(name)), ("at_least", "\(count.lowerBound)"), ("at_most", "\(count.upperBound)"),
            ]
        case .anomaly(let series): return [("anomaly", quoted(series))]
        case .above(let series, let limit, let clear):
            return [("series", quoted(series)), ("above", plain(limit)), ("clear", plain(clear))]
        case .below(let series, let limit, let clear):
            return [("series", quoted(series)), ("below", plain(limit)), ("clear", plain(clear))]
        case .outside(let series, let low, let high, let margin):
            return [
                ("series", quoted(series)), ("outside", "[\(plain(low)), \(plain(high))]"), ("margin", plain(margin)),
            ]
        case .change(let series, let direction, let amount, let within):
            return [
                ("series", quoted(series)), (direction.rawValue, plain(amount)), ("within", Quantities.text(within)),
            ]
        case .silence(let series, let duration):
            return (series.map { [("series", quoted($0))] } ?? []) + [("silence", Quantities.text(duration))]
        case .all(let parts): return [("all", list(parts))]
        case .any(let parts): return [("any", list(parts))]
        case .not(let condition): return [("not", part(condition))]
        }
    }

    private static func plain(_ value: Double) -> String {
        value.description.hasSuffix(".0") ? String(value.description.dropLast(2)) : value.description
    }

    /// Always in double quotes, where nothing has a second meaning.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\x" + String(repeating: "0", count: 2 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
