// SPDX-License-Identifier: Apache-2.0

/// How the payload of a telemetry message is written. The raw values stand in the configuration.
package enum PayloadFormat: String, Sendable, CaseIterable, Codable {
    /// One JSON text (RFC 8259, UTF-8); a byte order mark before it is skipped. Booleans count as 0 and 1. If an object
    /// has a name twice, the last one counts.
    case json
    /// One decimal number as text, `-12.5e3`, with white space around it allowed; a plus sign and missing or leading
    /// zeros (`+5.`, `.5`, `007`) are taken as devices write them. Not `nan`, `inf`, hexadecimal.
    case number
}
