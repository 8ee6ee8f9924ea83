// SPDX-License-Identifier: Apache-2.0

import Telemetry

/// Reads how the payloads of a source of telemetry are written.
struct ReadingSections {
    typealias Place = ConfigurationReader.Place

    var reader: ConfigurationReader

    /// Keys of a source that belong here.
    static let keys = ["format", "timestamp", "samples", "strings", "rebirth"]

    /// The keys of a source.
    mutating func section(
        _ fields: ConfigurationReader.Fields, _ kind: Configuration.SourceSection.Kind
    ) -> Configuration.ReadingSection {
        var section = Configuration.ReadingSection()
        if kind == .frames {
            for key in ReadingSections.keys {
                if let place = fields[key] { reader.fault(place, "only telemetry has '\(key)'") }
            }
            return section
        }
        section.format = reader.choice(fields["format"], PayloadFormat.self) ?? .json
        section.timestamp = fields["timestamp"].flatMap { timestamp($0, section.format) }
        if let place = belongs("samples", fields, to: [.json], section.format) { section.samples = pointer(place) }
        if let place = belongs("strings", fields, to: [.json, .sparkplug], section.format) {
            section.readsStrings = reader.boolean(place) ?? false
        }
        if let place = belongs("rebirth", fields, to: [.sparkplug], section.format) {
            section.asksForBirths = reader.boolean(place) ?? true
        }
        return section
    }

    /// Where the value of a series stands, as the format writes it.
    mutating func series(_ place: Place, _ format: PayloadFormat) -> String? {
        guard let text = pointer(place), let pointer = try? JSONPointer(text) else { return nil }
        let wanted: String
        switch format {
        case .csv where pointer.levelCount != 1: wanted = "a column: /NAME, or /0 for the first"
        case .influx where pointer.levelCount != 2:
            wanted = "a field: /MEASUREMENT/FIELD or /MEASUREMENT,TAG=VALUE/FIELD"
        case .sparkplug where pointer.levelCount == 0: wanted = "a metric: /METRIC"
        case .number where pointer.levelCount != 0: wanted = "\"\": the payload is the value"
        default: return text
        }
        reader.fault(place, "expected \(wanted), found '\(text)'")
        return nil
    }

    /// A pointer, or `{ at: /ts, unit: ms, zone: "+02:00" }`.
    private mutating func timestamp(
        _ place: Place, _ format: PayloadFormat
    ) -> Configuration.ReadingSection.TimestampSection? {
        if format == .number {
            reader.fault(place, "format number has no time")
            return nil
        }
        if case .scalar = place.node {
            if format.hasOwnTime {
                reader.fault(
                    place, "format \(format.rawValue) has its own time; write { unit: ... } to say how it is written")
            }
            return time(place, format).map { .init(pointer: $0) }
        }
        guard let fields = reader.fields(place, known: ["at", "unit", "zone"]) else { return nil }
        var section = Configuration.ReadingSection.TimestampSection(pointer: nil)
        if format.hasOwnTime {
            if let at = fields["at"] { reader.fault(at, "format \(format.rawValue) has its own time") }
            if let zone = fields["zone"] { reader.fault(zone, "times of format \(format.rawValue) are numbers") }
        } else {
            section.pointer = reader.required(fields, "at").flatMap { time($0, format) }
        }
        section.reading.unit = reader.choice(fields["unit"], TimeReading.Unit.self) ?? .automatic
        if let place = fields["zone"], let text = reader.string(place) {
            section.reading.zoneSeconds = Timestamp.zoneSeconds(text)
            if section.reading.zoneSeconds == nil {
                reader.fault(place, "expected utc or an offset such as \"+02:00\", found '\(text)'")
            }
        }
        return section
    }

    private mutating func time(_ place: Place, _ format: PayloadFormat) -> String? {
        guard let text = pointer(place) else { return nil }
        if format == .csv, (try? JSONPointer(text))?.levelCount != 1 {
            reader.fault(place, "expected a column: /NAME, or /0 for the first, found '\(text)'")
        }
        return text
    }

    private mutating func belongs(
        _ key: String, _ fields: ConfigurationReader.Fields, to formats: [PayloadFormat], _ format: PayloadFormat
    ) -> Place? {
        guard let place = fields[key] else { return nil }
        if formats.contains(format) { return place }
        let names = formats.map(\.rawValue).joined(separator: " or ")
        reader.fault(place, "'\(key)' belongs to format \(names), not \(format.rawValue)")
        return nil
    }

    private mutating func pointer(_ place: Place) -> String? {
        guard case .scalar = place.node, let text = reader.string(place) else {
            reader.fault(place, "expected a JSON Pointer such as /temp")
            return nil
        }
        do {
            _ = try JSONPointer(text)
            return text
        } catch {
            reader.fault(place, "\(error) (RFC 6901)")
            return nil
        }
    }
}
