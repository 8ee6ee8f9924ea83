// SPDX-License-Identifier: Apache-2.0

/// What can be wrong with a telemetry message, a series in it or its time. The raw values are published as reason codes
/// and never change.
package enum TelemetryFault: String, Sendable, CaseIterable, Codable, Error {
    // The message as a whole
    /// More bytes than `TelemetryParser.Limits.payloadBytes`.
    case tooLarge = "too_large"
    /// More nested objects and arrays than `JSONScanner.maximumDepth`.
    case tooDeep = "too_deep"
    /// Not a JSON text by RFC 8259: syntax, truncation, bytes after the end, half of a surrogate pair.
    case invalidJSON = "invalid_json"
    /// A string with bytes that are not UTF-8 by RFC 3629.
    case invalidUTF8 = "invalid_utf8"
    /// Format `number`: the payload is not one decimal number.
    case notANumber = "not_a_number"
    /// None of the series gave a sample, for differing reasons.
    case noSamples = "no_samples"

    // One series of the message
    /// The pointer leads to nothing.
    case missingSeries = "missing_series"
    /// The pointer leads to a string, null, an object or an array.
    case wrongType = "wrong_type"
    /// A number too large for a 64-bit floating point number.
    case outOfRange = "out_of_range"

    // The time of the message; its samples count, with the time it was received
    /// Missing, or neither RFC 3339 nor an epoch in s, ms, us or ns.
    case badTimestamp = "bad_timestamp"
}
