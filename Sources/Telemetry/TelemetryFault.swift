// SPDX-License-Identifier: Apache-2.0

/// What can be wrong with a telemetry message, a value in it or its time. The raw values are published as reason codes
/// and never change.
package enum TelemetryFault: String, Sendable, CaseIterable, Codable, Error {
    // The message as a whole
    /// More bytes than `TelemetryParser.Limits.payloadBytes`.
    case tooLarge = "too_large"
    /// More nested objects and arrays than `JSONScanner.maximumDepth`.
    case tooDeep = "too_deep"
    /// Not a JSON text by RFC 8259: syntax, truncation, bytes after the end, half of a surrogate pair.
    case invalidJSON = "invalid_json"
    /// Text with bytes that are not UTF-8 by RFC 3629.
    case invalidUTF8 = "invalid_utf8"
    /// Format `number`: the payload is neither a decimal number nor a state. Format `csv`: a field is neither.
    case notANumber = "not_a_number"
    /// Format `csv`: quotes where none can be, or one that does not end.
    case invalidCSV = "invalid_csv"
    /// Format `influx`: a line that is none. The other lines count.
    case invalidLine = "invalid_line"
    /// Format `sparkplug`: not a payload of this format, or a topic that is none of its.
    case invalidSparkplug = "invalid_sparkplug"
    /// None of the series gave a sample, for differing reasons.
    case noSamples = "no_samples"

    // One value of the message: it gives no sample
    /// The pointer leads to nothing; a declared column, field or metric is not there.
    case missingSeries = "missing_series"
    /// A text that is no number, an object or an array; in Sparkplug a text, a data set, a template, an array.
    case wrongType = "wrong_type"
    /// A number too large for a 64-bit floating point number.
    case outOfRange = "out_of_range"
    /// `null`; in Sparkplug a metric that is null.
    case nullValue = "null"
    /// `NaN`, `Infinity` and other spellings of them, as literals and in strings.
    case notFinite = "not_finite"
    /// `unavailable`, `unknown`, `none`, `n/a`, `-` or nothing, in a string: the device has no value.
    case unavailable
    /// A series beyond those that a pipeline can tell apart (`SeriesNames.capacity`), or beyond 64 elements of one list.
    case tooManySeries = "too_many_series"
    /// A sample beyond `TelemetryParser.Limits.samples` of one message.
    case tooManySamples = "too_many_samples"
    /// The same value at the same time as the series' last: a message that came twice.
    case repeated
    /// Older than the series' last sample.
    case late
    /// Sparkplug: a value that the device had stored, and sends later.
    case historical
    /// Sparkplug: the device says that the value is not good.
    case badQuality = "bad_quality"
    /// Sparkplug: data of a metric that no birth has named.
    case unknownMetric = "unknown_metric"

    // Notes: the sample counts
    /// An integer beyond 2^53 that a 64-bit floating point number does not hold exactly; the nearest one counts.
    case rounded
    /// The time is missing, or neither RFC 3339 nor an epoch in s, ms, us or ns; the time received counts.
    case badTimestamp = "bad_timestamp"
    /// The time has no zone and none is configured; the time received counts.
    case noTimeZone = "no_time_zone"
    /// The device's clock was set: forward by more than an hour, or back.
    case clockJump = "clock_jump"
    /// Sparkplug: messages of an edge node are missing before this one.
    case sequenceGap = "sequence_gap"
    /// Sparkplug: a death certificate of a session that is not the node's current one. It changes nothing.
    case staleDeath = "stale_death"

    /// Whether the value counts all the same.
    package var isNote: Bool {
        switch self {
        case .rounded, .badTimestamp, .noTimeZone, .clockJump, .sequenceGap, .staleDeath: true
        default: false
        }
    }
}
