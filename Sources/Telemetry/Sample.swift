// SPDX-License-Identifier: Apache-2.0

/// A value of a series at a moment.
package struct Sample: Sendable, Equatable {
    /// Which series, by its position in the parser's names.
    package var series: Int
    /// Finite. Integers beyond 2^53 are rounded to the nearest `Double`.
    package var value: Double
    /// Since 1970-01-01T00:00:00Z: the time in the payload, or else the time received.
    package var unixNanoseconds: Int64

    package init(series: Int, value: Double, unixNanoseconds: Int64) {
        self.series = series
        self.value = value
        self.unixNanoseconds = unixNanoseconds
    }
}

/// A series that a telemetry source gives, and where its value stands:
/// - `json`: the place in the document.
/// - `number`: not read.
/// - `csv`: `/temp`, the column of that name, or `/0`, the first column.
/// - `influx`: `/measurement/field`, or `/measurement,host=a/field` for lines with that tag.
/// - `sparkplug`: the metric's name behind a slash, `/Inputs/Temperature`.
package struct SeriesDeclaration: Sendable, Equatable {
    package var name: String
    package var pointer: JSONPointer

    package init(name: String, pointer: JSONPointer) {
        self.name = name
        self.pointer = pointer
    }
}

/// What became of a telemetry message.
package enum ParseOutcome: Sendable, Equatable {
    /// At least one sample, or a message that has none by its nature (Sparkplug's deaths and commands). What else was wrong
    /// stands in `TelemetryParser.faults`.
    case processed
    /// No sample. The reason of the whole message; if each series failed by the same fault, that one, else `noSamples`.
    case failed(TelemetryFault)
}

/// What was wrong with a part of a message.
package struct SampleFault: Sendable, Equatable {
    /// Position of the series; nil for the time, or something that is no series.
    package var series: Int?
    package var reason: TelemetryFault

    package init(series: Int?, reason: TelemetryFault) {
        self.series = series
        self.reason = reason
    }
}
