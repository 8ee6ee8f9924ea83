// SPDX-License-Identifier: Apache-2.0

import Telemetry

extension Configuration.SourceSection {
    /// What the wildcards of the source match in a topic; nil if none of its filters match.
    ///
    /// Of a source of Sparkplug: `<group>/<node>[/<device>]`, the same for all kinds of messages of a device.
    package func key(of topic: String) -> String? {
        for filter in topics {
            guard let key = filter.key(of: topic) else { continue }
            return reading.format == .sparkplug ? SparkplugTopic(topic)?.key ?? key : key
        }
        return nil
    }
}

extension Configuration {
    /// How the payloads of a source of telemetry are read.
    package struct ReadingSection: Sendable, Equatable {
        package struct TimestampSection: Sendable, Equatable {
            /// JSON Pointer to the time of measurement, or `/NAME` of a column; nil for formats that have their own.
            package var pointer: String?
            package var reading = TimeReading()

            package init(pointer: String?) { self.pointer = pointer }
        }

        package var format = PayloadFormat.json
        package var timestamp: TimestampSection?
        /// JSON Pointer to an array of which each element is a sample.
        package var samples: String?
        /// Whether strings that read as numbers or states count.
        package var readsStrings = false
        /// Sparkplug: whether edge nodes are asked for births that were missed.
        package var asksForBirths = true

        package init() {}

        /// What the parser wants to know.
        func settings(
            series: [AnomalySection.Series]?, expected: [String], maximumBytes: Int
        ) throws -> TelemetryParser.Settings {
            var settings = TelemetryParser.Settings(
                format,
                series: try series?.map { SeriesDeclaration(name: $0.name, pointer: try JSONPointer($0.pointer)) })
            settings.expected = expected
            settings.samples = try samples.map { try JSONPointer($0) }
            settings.timestamp = try timestamp.map {
                TelemetryParser.TimeField(try JSONPointer($0.pointer ?? ""), $0.reading)
            }
            settings.readsStrings = readsStrings
            settings.asksForBirths = asksForBirths
            settings.limits = TelemetryParser.Limits(payloadBytes: maximumBytes)
            return settings
        }
    }
}
