// SPDX-License-Identifier: Apache-2.0

import Streaming

/// InfluxDB line protocol to samples, a sample a field.
///
/// `measurement[,tag=value...] field=value[,field=value...] [time]`, version 2: https://docs.influxdata.com/influxdb/v2/
/// reference/syntax/line-protocol. Values: `1.5`, `-3e2`, `7i`, `7u`, `t`, `True`, `FALSE`; strings give no sample. Lines
/// that begin with `#` are comments. Series that are found by themselves are named `measurement,tag=value.field`, tags in
/// alphabetical order.
struct InfluxSamples: Sendable {
    /// A declared series: measurement, tags that a line must have, field.
    private struct Wanted: Sendable {
        var measurement: [UInt8]
        var tags: [[UInt8]]
        var field: [UInt8]
    }

    /// What is known of lines' beginnings and fields, as they are written: at most so many, then it is begun anew.
    private static let cacheLimit = 32768

    private let wanted: [Wanted]?
    private let time: TimeReading
    /// Scope 0: measurement and tags; scope `entry + 1`: fields of such a beginning.
    private var known = ByteTable()
    /// Per entry of a field its series, or one of the two below.
    private var seriesOfEntry: [Int] = []

    private static let unread = -1
    private static let nameless = -2

    init(_ settings: TelemetryParser.Settings) {
        time = settings.timestamp?.reading ?? TimeReading()
        wanted = settings.series?.map { declaration in
            let tokens = declaration.pointer.tokens
            let parts = InfluxSamples.parts(tokens.first ?? [])
            return Wanted(
                measurement: parts.first ?? [], tags: Array(parts.dropFirst()), field: tokens.count > 1 ? tokens[1] : []
            )
        }
    }

    mutating func read(
        _ text: UnsafeRawBufferPointer, _ receivedAt: Instant, _ names: inout SeriesNames, _ sink: inout SampleSink
    ) throws(TelemetryFault) {
        guard let base = text.baseAddress else { throw .noSamples }
        let bytes = UnsafeBufferPointer(start: base.assumingMemoryBound(to: UInt8.self), count: text.count)
        var line = InfluxLine(bytes: bytes)
        while line.begin() {
            guard line.readBeginning(), line.findTime() else {
                sink.refuse(.invalidLine, series: nil)
                line.skip()
                continue
            }
            let moment = moment(line, text, receivedAt, &sink)
            guard let moment else {
                line.skip()
                continue
            }
            let beginning = entry(of: line.beginning, bytes, scope: 0)
            while line.nextField() {
                let series = series(line, beginning, &names)
                if series == InfluxSamples.nameless {
                    sink.refuse(.tooManySeries, series: nil)
                } else if series >= 0 {
                    sink.add(InfluxSamples.value(text[line.value]), series: series, at: moment)
                }
            }
            if !line.isWellFormed { sink.refuse(.invalidLine, series: nil) }
            line.skip()
        }
    }

    private func moment(
        _ line: InfluxLine, _ text: UnsafeRawBufferPointer, _ receivedAt: Instant, _ sink: inout SampleSink
    ) -> Int64? {
        guard !line.time.isEmpty else { return receivedAt.unixNanoseconds }
        let digits = UnsafeRawBufferPointer(rebasing: text[line.time])
        guard digits.enumerated().allSatisfy({ (48...57).contains($1) || $0 == 0 && $1 == UInt8(ascii: "-") }) else {
            sink.refuse(.invalidLine, series: nil)
            return nil
        }
        if let time = Timestamp.epoch(digits, time.unit) { return time }
        sink.note(.badTimestamp, series: nil)
        return receivedAt.unixNanoseconds
    }

    /// A field's value; strings and what is none of the forms is of the wrong type.
    private static func value(_ slice: Slice<UnsafeRawBufferPointer>) -> TextValue {
        let text = UnsafeRawBufferPointer(rebasing: slice)
        guard let last = text.last, text.first != UInt8(ascii: "\"") else { return .refused(.wrongType) }
        if last == UInt8(ascii: "i") || last == UInt8(ascii: "u") {
            let digits = UnsafeRawBufferPointer(rebasing: text.dropLast())
            guard digits.enumerated().allSatisfy({ (48...57).contains($1) || $0 == 0 && $1 == UInt8(ascii: "-") }),
                let value = DecimalNumber.parse(digits)
            else { return .refused(.wrongType) }
            return TextValue.number(value, digits)
        }
        if text.count == 1 {
            switch last | 0x20 {
            case UInt8(ascii: "t"): return .number(1, isRounded: false)
            case UInt8(ascii: "f"): return .number(0, isRounded: false)
            default: break
            }
        }
        return TextValue.read(text, other: .wrongType)
    }

    // MARK: Series

    /// The number of what is written, given to it now if need be.
    private mutating func entry(of range: Range<Int>, _ bytes: UnsafeBufferPointer<UInt8>, scope: Int) -> Int {
        let text = UnsafeBufferPointer(rebasing: bytes[range])
        if let entry = known.find(text, scope: scope) { return entry }
        if scope == 0, known.count >= InfluxSamples.cacheLimit || known.byteCount >= 64 * InfluxSamples.cacheLimit {
            known.removeAll()
            seriesOfEntry.removeAll(keepingCapacity: true)
        }
        seriesOfEntry.append(InfluxSamples.unread)
        return known.add(text, scope: scope)
    }

    private mutating func series(_ line: InfluxLine, _ beginning: Int, _ names: inout SeriesNames) -> Int {
        let name = UnsafeBufferPointer(rebasing: line.bytes[line.field])
        if let entry = known.find(name, scope: beginning + 1) { return seriesOfEntry[entry] }
        var parts = InfluxSamples.parts(Array(line.bytes[line.beginning]))
        let field = InfluxSamples.unescaped(Array(name))
        let measurement = parts.removeFirst()
        parts.sort { $0.lexicographicallyPrecedes($1) }
        var series = InfluxSamples.unread
        if let wanted {
            series =
                wanted.firstIndex { wanted in
                    wanted.measurement == measurement && wanted.field == field
                        && wanted.tags.allSatisfy { parts.contains($0) }
                } ?? InfluxSamples.unread
        } else {
            let first = ([measurement] + parts).map { SeriesNames.escaped($0) }.joined(separator: ",")
            series = names.number(of: "\(first).\(SeriesNames.escaped(field))") ?? InfluxSamples.nameless
        }
        // A line of very many fields is read without being remembered.
        if known.count < 2 * InfluxSamples.cacheLimit {
            _ = known.add(name, scope: beginning + 1)
            seriesOfEntry.append(series)
        }
        return series
    }

    /// Measurement and tags, without escapes.
    private static func parts(_ beginning: [UInt8]) -> [[UInt8]] {
        var parts: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in beginning {
            if byte == UInt8(ascii: ","), !isEscaped {
                parts.append([])
                continue
            }
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
            parts[parts.count - 1].append(byte)
        }
        return parts.map { unescaped($0) }
    }

    /// A backslash before comma, space, equals sign or backslash is none.
    private static func unescaped(_ text: [UInt8]) -> [UInt8] {
        guard text.contains(UInt8(ascii: "\\")) else { return text }
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            if text[index] == UInt8(ascii: "\\"), index + 1 < text.count, ", =\\".utf8.contains(text[index + 1]) {
                index += 1
            }
            result.append(text[index])
            index += 1
        }
        return result
    }
}
