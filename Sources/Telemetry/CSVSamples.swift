// SPDX-License-Identifier: Apache-2.0

import Streaming

/// Lines of separated values to samples, a row a line.
struct CSVSamples: Sendable {
    private var lines = CSVLines()
    private let isAutomatic: Bool
    /// The column of each declared series, and that of the time, by name or number.
    private let declared: [[UInt8]]
    private let timeColumn: [UInt8]?
    private let time: TimeReading
    private let rowLimit: Int
    /// Series of columns that were found by themselves, by the bytes of their names.
    private var found = ByteTable()
    private var seriesOfFound: [Int] = []
    /// Of the payload that is being read: per column its series, or one of the two below.
    private var columns: [Int] = []

    private static let unread = -1
    private static let timeMark = -2
    /// An automatic column in which no value was seen yet.
    private static let open = -3

    init(_ settings: TelemetryParser.Settings) {
        isAutomatic = settings.series == nil
        declared = settings.series?.map { $0.pointer.tokens.first ?? [] } ?? []
        timeColumn = settings.timestamp.map { $0.pointer.tokens.first ?? [] }
        time = settings.timestamp?.reading ?? TimeReading()
        rowLimit = settings.limits.samples
    }

    mutating func read(
        _ text: UnsafeRawBufferPointer, _ receivedAt: Instant, _ names: inout SeriesNames, _ sink: inout SampleSink
    ) throws(TelemetryFault) {
        lines.begin(text)
        columns.removeAll(keepingCapacity: true)
        guard try lines.next(text) else { throw .noSamples }
        let hasHeader = isHeader(text)
        assignColumns(text, hasHeader: hasHeader)
        var header: [CSVLines.Field] = []
        if hasHeader {
            header = lines.fields
            guard try lines.next(text) else { throw .noSamples }
        }
        var rowCount = 0
        repeat {
            guard rowCount < rowLimit else {
                sink.refuse(.tooManySamples, series: nil)
                break
            }
            rowCount += 1
            addRow(text, header, receivedAt, &names, &sink)
        } while try lines.next(text)
    }

    /// Neither a value nor a time, but a text.
    private func isHeader(_ text: UnsafeRawBufferPointer) -> Bool {
        var hasText = false
        for field in lines.fields {
            let bytes = UnsafeRawBufferPointer(rebasing: text[field.range])
            if bytes.isEmpty { continue }
            guard case .refused(.wrongType) = TextValue.read(bytes, other: .wrongType) else { return false }
            if case .unixNanoseconds = Timestamp.read(bytes, TimeReading(zoneSeconds: 0)) { return false }
            hasText = true
        }
        return hasText
    }

    private mutating func assignColumns(_ text: UnsafeRawBufferPointer, hasHeader: Bool) {
        for column in lines.fields.indices {
            let name = text[lines.fields[column].range]
            func isNamed(_ wanted: [UInt8]) -> Bool {
                hasHeader && name.elementsEqual(wanted) || wanted.elementsEqual(String(column).utf8)
            }
            if let timeColumn, isNamed(timeColumn) {
                columns.append(CSVSamples.timeMark)
            } else if isAutomatic {
                columns.append(CSVSamples.open)
            } else {
                columns.append(declared.firstIndex(where: isNamed) ?? CSVSamples.unread)
            }
        }
    }

    private mutating func addRow(
        _ text: UnsafeRawBufferPointer, _ header: [CSVLines.Field], _ receivedAt: Instant, _ names: inout SeriesNames,
        _ sink: inout SampleSink
    ) {
        let moment = moment(text, receivedAt, &sink)
        for (column, series) in columns.enumerated() where series >= 0 || series == CSVSamples.open {
            guard column < lines.fields.count else {
                if !isAutomatic { sink.refuse(.missingSeries, series: series) }
                continue
            }
            let value = TextValue.read(
                UnsafeRawBufferPointer(rebasing: text[lines.fields[column].range]), other: .notANumber)
            if series >= 0 {
                sink.add(value, series: series, at: moment)
            } else if case .number = value {
                let name = header.isEmpty ? nil : UnsafeRawBufferPointer(rebasing: text[header[column].range])
                if let series = self.series(ofColumn: column, name, &names) {
                    columns[column] = series
                    sink.add(value, series: series, at: moment)
                } else {
                    columns[column] = CSVSamples.unread
                    sink.refuse(.tooManySeries, series: nil)
                }
            }
        }
        // Declared columns that the payload does not have at all.
        for series in declared.indices where !columns.contains(series) { sink.refuse(.missingSeries, series: series) }
    }

    private mutating func series(
        ofColumn column: Int, _ name: UnsafeRawBufferPointer?, _ names: inout SeriesNames
    ) -> Int? {
        let bytes = name.map { Array($0) } ?? Array(String(column).utf8)
        if let place = bytes.withUnsafeBufferPointer({ found.find($0, scope: 0) }) { return seriesOfFound[place] }
        guard let series = names.number(of: SeriesNames.distinct(SeriesNames.escaped(bytes))) else { return nil }
        _ = bytes.withUnsafeBufferPointer { found.add($0, scope: 0) }
        seriesOfFound.append(series)
        return series
    }

    private func moment(
        _ text: UnsafeRawBufferPointer, _ receivedAt: Instant, _ sink: inout SampleSink
    ) -> Int64 {
        guard timeColumn != nil else { return receivedAt.unixNanoseconds }
        var reading = Timestamp.Reading.refused(.badTimestamp)
        if let column = columns.firstIndex(of: CSVSamples.timeMark), column < lines.fields.count {
            reading = Timestamp.read(UnsafeRawBufferPointer(rebasing: text[lines.fields[column].range]), time)
        }
        switch reading {
        case .unixNanoseconds(let time): return time
        case .refused(let reason):
            sink.note(reason, series: nil)
            return receivedAt.unixNanoseconds
        }
    }
}
