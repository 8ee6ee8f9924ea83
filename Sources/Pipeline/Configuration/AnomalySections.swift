// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
import Telemetry

/// Reads what a pipeline of telemetry looks for.
struct AnomalySections {
    typealias Place = ConfigurationReader.Place

    var reader: ConfigurationReader
    let models: [Configuration.ModelSection]
    /// Of the source.
    let format: PayloadFormat

    private static let keys = [
        "series", "method", "model", "normalize", "series_limit", "false_alarms", "publish", "severity",
    ]

    mutating func section(_ place: Place) -> Configuration.AnomalySection? {
        guard let fields = reader.fields(place, known: AnomalySections.keys) else { return nil }
        var section = Configuration.AnomalySection(series: fields["series"].flatMap { series($0) })
        if format == .number, section.series == nil { section.series = [.init(name: "value", pointer: "")] }
        if let place = fields["method"] { section.methods = methods(place) }
        network(fields, &section)
        if let limit = reader.integer(fields["series_limit"], in: 1...10_000_000) { section.seriesLimit = limit }
        if let place = fields["false_alarms"], let text = reader.string(place) {
            do { section.falseAlarms = try FalseAlarmBudget(text) } catch { reader.fault(place, "\(error)") }
        }
        if let publish = reader.choice(fields["publish"], Configuration.AnomalySection.Publish.self) {
            section.publish = publish
        }
        if let severity = reader.choice(fields["severity"], Severity.self) { section.severity = severity }
        if let place = fields["series"] { checkNames(section, place) }
        return section
    }

    private mutating func series(_ place: Place) -> [Configuration.AnomalySection.Series]? {
        if case .scalar(let scalar) = place.node {
            if scalar.string != "auto" {
                reader.fault(place, "expected 'auto' or a mapping of names to JSON Pointers")
            }
            return nil
        }
        var series: [Configuration.AnomalySection.Series] = []
        for (name, place) in reader.namedEntries(place) {
            var reading = ReadingSections(reader: reader)
            if let pointer = reading.series(place, format) { series.append(.init(name: name, pointer: pointer)) }
            reader = reading.reader
        }
        if format == .number, series.count > 1 { reader.fault(place, "format number has one series") }
        if series.isEmpty, !reader.hasFault(in: place.path) { reader.fault(place, "at least one series is needed") }
        return series
    }

    /// One method, or a list.
    private mutating func methods(_ place: Place) -> [DetectionMethod] {
        var places = [place]
        if case .sequence = place.node { places = reader.elements(place) ?? [] }
        if places.isEmpty { reader.fault(place, "at least one method is needed") }
        let named = places.compactMap { reader.choice($0, DetectionMethod.self) }
        let methods = DetectionMethod.allCases.filter(named.contains)
        if methods.contains(.auto), let other = methods.first(where: { [.level, .seasonal, .flatLine].contains($0) }) {
            reader.fault(place, "'auto' looks for what '\(other.rawValue)' does; leave one of them out")
        }
        if methods.contains(.network), let other = methods.first(where: \.isOfOneSeries) {
            reader.fault(
                place, "'network' takes the place of '\(other.rawValue)'; a second pipeline can have the same source")
        }
        if methods.contains(.multivariate), format == .number {
            reader.fault(place, "'multivariate' needs several series, format number has one")
        }
        return methods.isEmpty ? [.auto] : methods
    }

    private mutating func network(
        _ fields: ConfigurationReader.Fields, _ section: inout Configuration.AnomalySection
    ) {
        guard section.methods.contains(.network) else {
            for key in ["model", "normalize"] {
                if let place = fields[key] { reader.fault(place, "'\(key)' belongs to method network") }
            }
            return
        }
        if let place = reader.required(fields, "model"), let name = reader.string(place) {
            if !models.contains(where: { $0.name == name }), !reader.hasFault(in: "models.\(name)") {
                reader.fault(place, reader.unknown(name, known: models.map(\.name), what: "model"))
            }
            section.model = name
        }
        if let choice = reader.choice(fields["normalize"], WindowForm.Normalization.self) {
            section.normalization = choice
        }
        if section.series == nil, format != .number {
            reader.fault(fields.place, "'network' needs 'series': their order is that of its input")
        }
    }

    /// The alerts of some methods have topics of their own beside those of the series.
    private mutating func checkNames(_ section: Configuration.AnomalySection, _ place: Place) {
        for series in section.series ?? [] where SeriesNames.reserved.contains(series.name) {
            reader.fault(place, "a series cannot be called '\(series.name)': that is the topic of other alerts")
        }
    }
}
