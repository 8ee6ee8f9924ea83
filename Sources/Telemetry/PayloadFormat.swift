// SPDX-License-Identifier: Apache-2.0

/// How the payload of a telemetry message is written. The raw values stand in the configuration.
package enum PayloadFormat: String, Sendable, CaseIterable, Codable {
    /// One JSON text (RFC 8259, UTF-8); a byte order mark before it is skipped. Booleans count as 0 and 1. If an object
    /// has a name twice, the last one counts. Beyond the RFC, the literals `NaN`, `Infinity` and `-Infinity` that some
    /// libraries write are read, as values that are not finite. Where series are found by themselves, a bare state is read
    /// as with `number`.
    case json
    /// One value as text, with white space around it allowed: a decimal number (`-12.5e3`; as devices write them also
    /// `+5.`, `.5`, `007`), or a state (`ON`, `off`, `true`, `open`) as 1 or 0.
    case number
    /// Lines of separated values (RFC 4180). The separator is the first of tab, semicolon and comma that the first line
    /// has. A first line with neither a number, a state nor a time in it names the columns.
    case csv
    /// InfluxDB line protocol, version 2: `measurement,tag=a field=1.5,other=2i 1700000000000000000`, a sample a field.
    case influx
    /// Sparkplug B, version 3.0: protocol buffers on `spBv1.0/<group>/<type>/<node>[/<device>]`.
    case sparkplug

    /// Whether the format itself says when a value was measured.
    package var hasOwnTime: Bool { self == .influx || self == .sparkplug }
}
