// SPDX-License-Identifier: Apache-2.0

import Streaming

/// Payload to samples: reads the declared series of a message, or all that it finds.
///
/// Comes in: the bytes of one payload, from anyone. Goes out: samples, row by row; within a row of declared series in their
/// order. A value that gives no sample is left out and named in `faults`; the others count. A time that cannot be read is
/// named there too, and the time received counts instead. Everything is validated, also what is not wanted. Nothing is
/// allocated once the working memory has grown, but by `sparkplug`.
///
/// A value type with its own working memory: one per thread.
package struct TelemetryParser: Sendable {
    package typealias Fault = SampleFault

    package struct Limits: Sendable, Equatable {
        /// Larger payloads fail as `too_large` unread.
        package var payloadBytes: Int
        /// Of one message; what goes beyond is counted as `too_many_samples`.
        package var samples: Int

        package init(payloadBytes: Int = 1 << 20, samples: Int = 10_000) {
            self.payloadBytes = payloadBytes
            self.samples = samples
        }
    }

    /// Where the time of measurement stands, and how it is written.
    package struct TimeField: Sendable, Equatable {
        package var pointer: JSONPointer
        package var reading: TimeReading

        package init(_ pointer: JSONPointer, _ reading: TimeReading = TimeReading()) {
            self.pointer = pointer
            self.reading = reading
        }
    }

    package struct Settings: Sendable {
        package var format: PayloadFormat
        /// Nil: all that are found.
        package var series: [SeriesDeclaration]?
        /// Names that have their numbers before their series are found, from 0.
        package var expected: [String] = []
        /// JSON: an array of which each element is a row. The other pointers start at the row.
        package var samples: JSONPointer?
        package var timestamp: TimeField?
        /// JSON, Sparkplug: whether strings that read as numbers or states count.
        package var readsStrings = false
        /// Sparkplug: whether nodes are asked for births that were missed.
        package var asksForBirths = true
        package var limits = Limits()

        package init(_ format: PayloadFormat, series: [SeriesDeclaration]?) {
            self.format = format
            self.series = series
        }
    }

    package enum ConfigurationFault: Error, Equatable, CustomStringConvertible {
        case noSeries
        case repeatedName(String)
        case numberHasOneSeries
        case notAColumn(String)
        case notAField(String)
        case notAMetric(String)

        package var description: String {
            switch self {
            case .noSeries: "at least one series must be declared"
            case .repeatedName(let name): "the series \"\(name)\" is declared twice"
            case .numberHasOneSeries: "format number gives one series and no timestamp"
            case .notAColumn(let text): "\"\(text)\" names no column: write /NAME, or /0 for the first"
            case .notAField(let text):
                "\"\(text)\" names no field: write /MEASUREMENT/FIELD or /MEASUREMENT,TAG=VALUE/FIELD"
            case .notAMetric(let text): "\"\(text)\" names no metric: write /METRIC"
            }
        }
    }

    package let settings: Settings
    /// Names of the series, by `Sample.series`. Grows as series are found.
    package var names: [String] { seriesNames.names }
    /// The number of a name, which is given one if it has none yet; nil if there are too many.
    package mutating func number(of name: String) -> Int? { seriesNames.number(of: name) }

    /// Of the last message.
    package var faults: [SampleFault] { sink.faults }
    /// Edge nodes that are to send their births again, since the last message.
    package var rebirths: [SparkplugNode] {
        if case .sparkplug(let samples) = reader { samples.rebirths } else { [] }
    }

    private var seriesNames: SeriesNames
    private var sink: SampleSink
    private var reader: Reader

    private enum Reader: Sendable {
        case json(JSONSamples)
        case number
        case csv(CSVSamples)
        case influx(InfluxSamples)
        case sparkplug(SparkplugSamples)
    }

    package init(_ settings: Settings) throws(ConfigurationFault) {
        try TelemetryParser.check(settings)
        self.settings = settings
        seriesNames = SeriesNames(settings.series?.map(\.name) ?? settings.expected)
        sink = SampleSink(sampleLimit: settings.limits.samples)
        reader =
            switch settings.format {
            case .json: .json(JSONSamples(settings))
            case .number: .number
            case .csv: .csv(CSVSamples(settings))
            case .influx: .influx(InfluxSamples(settings))
            case .sparkplug: .sparkplug(SparkplugSamples(settings))
            }
    }

    /// Replaces the content of `samples` (empty after `failed`).
    package mutating func parse(
        _ payload: UnsafeRawBufferPointer, topic: String = "", receivedAt: Instant, into samples: inout [Sample]
    ) -> ParseOutcome {
        swap(&samples, &sink.samples)
        defer { swap(&samples, &sink.samples) }
        sink.begin()
        guard payload.count <= settings.limits.payloadBytes else { return .failed(.tooLarge) }
        do throws(TelemetryFault) {
            return try read(payload, topic, receivedAt) ? sink.outcome : .processed
        } catch {
            sink.samples.removeAll(keepingCapacity: true)
            return .failed(error)
        }
    }

    /// False for a message that has no samples by its nature.
    private mutating func read(
        _ payload: UnsafeRawBufferPointer, _ topic: String, _ receivedAt: Instant
    ) throws(TelemetryFault) -> Bool {
        // Taken out while it works, so that its memory is not copied.
        var reader = Reader.number
        swap(&reader, &self.reader)
        defer { swap(&reader, &self.reader) }
        switch reader {
        case .json(var samples):
            reader = .number
            defer { reader = .json(samples) }
            try samples.read(payload, receivedAt, &seriesNames, &sink)
        case .number:
            let value = TextValue.plain(payload, other: .notANumber) ?? .refused(.notANumber)
            sink.add(value, series: 0, at: receivedAt.unixNanoseconds)
        case .csv(var samples):
            reader = .number
            defer { reader = .csv(samples) }
            try samples.read(payload, receivedAt, &seriesNames, &sink)
        case .influx(var samples):
            reader = .number
            defer { reader = .influx(samples) }
            try samples.read(payload, receivedAt, &seriesNames, &sink)
        case .sparkplug(var samples):
            reader = .number
            defer { reader = .sparkplug(samples) }
            return try samples.read(payload, topic, receivedAt, &seriesNames, &sink)
        }
        return true
    }

    private static func check(_ settings: Settings) throws(ConfigurationFault) {
        if settings.format == .number, settings.series?.count != 1 || settings.timestamp != nil {
            throw .numberHasOneSeries
        }
        if settings.format == .csv, let pointer = settings.timestamp?.pointer, pointer.tokens.count != 1 {
            throw .notAColumn(pointer.description)
        }
        guard let series = settings.series else { return }
        guard !series.isEmpty else { throw .noSeries }
        for (index, declaration) in series.enumerated() {
            if series[..<index].contains(where: { $0.name == declaration.name }) {
                throw .repeatedName(declaration.name)
            }
            let pointer = declaration.pointer
            switch settings.format {
            case .json, .number: break
            case .csv: if pointer.tokens.count != 1 { throw .notAColumn(pointer.description) }
            case .influx: if pointer.tokens.count != 2 { throw .notAField(pointer.description) }
            case .sparkplug: if pointer.tokens.isEmpty { throw .notAMetric(pointer.description) }
            }
        }
    }
}
