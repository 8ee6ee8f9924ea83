// SPDX-License-Identifier: Apache-2.0

import Foundation
import Telemetry

/// What is wrong with an input file.
struct InputFault: Error, CustomStringConvertible {
    let description: String

    init(_ text: String, line: Int? = nil) { description = (line.map { "line \($0): " } ?? "") + text }
}

/// A CSV file with a header line and columns of numbers, read row by row.
struct SeriesTable {
    /// As many as a device may have in one go.
    static let maximumColumnCount = 64
    private static let missing: Set<String> = ["", "nan", "inf", "-inf", "+inf", "null", "na", "n/a", "none", "-"]

    private(set) var header: [String] = []
    private var reader: CSVReader
    private let separator: UInt8

    var line: Int { reader.line }

    /// `file`: a path, or `-` for standard input. Reads the header.
    init(file: String) throws {
        let source = file == "-" ? STDIN_FILENO : open(file, O_RDONLY)
        guard source >= 0 else { throw InputFault("cannot be opened: \(String(cString: strerror(errno)))") }
        let input = Input(source)
        separator = try input.separator()
        reader = CSVReader(separator: separator) { try input.read(into: $0) }
        guard try readRecord() else { throw InputFault("is empty; a header line is needed") }
        header = (0..<reader.fieldCount).map { text($0).trimmingCharacters(in: .whitespaces) }
    }

    /// The next row; false at the end.
    mutating func advance() throws -> Bool {
        guard try readRecord() else { return false }
        guard reader.fieldCount == header.count else {
            throw InputFault("has \(reader.fieldCount) fields where the header has \(header.count)", line: line)
        }
        return true
    }

    private mutating func readRecord() throws -> Bool {
        do {
            return try reader.next()
        } catch let fault as CSVReader.Fault {
            switch fault {
            case .recordTooLong(let line):
                throw InputFault("the record is longer than \(CSVReader.maximumRecordBytes) bytes", line: line)
            case .openQuote(let line): throw InputFault("a quote is not closed", line: line)
            case .misplacedQuote(let line):
                throw InputFault("a quote stands where none may; quote the field and double the quote", line: line)
            }
        }
    }

    func column(_ name: String) throws -> Int {
        guard let index = header.firstIndex(of: name) else {
            throw InputFault("has no column \"\(name)\"; it has \(header.joined(separator: ", "))", line: 1)
        }
        return index
    }

    /// Column names from a list with commas; a name that has a comma itself is found too.
    func columns(listed list: String) throws -> [String] {
        if header.contains(list) { return [list] }
        let names = list.split(separator: ",", omittingEmptySubsequences: false).map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        for (index, name) in names.enumerated() where names[..<index].contains(name) {
            throw InputFault("column \"\(name)\" is named twice")
        }
        guard names.count <= SeriesTable.maximumColumnCount else {
            throw InputFault(
                "\(names.count) columns are too many; \(SeriesTable.maximumColumnCount) can be scored together")
        }
        return names
    }

    /// A field of the row, as it is written.
    func text(_ column: Int) -> String { String(decoding: reader.field(column), as: UTF8.self) }

    /// NaN for a missing value.
    func number(_ column: Int) throws -> Double {
        var text = self.text(column).trimmingCharacters(in: .whitespaces)
        if SeriesTable.missing.contains(text.lowercased()) { return .nan }
        if separator != UInt8(ascii: ","), !text.contains("."), text.count(where: { $0 == "," }) == 1 {
            text = text.replacing(",", with: ".")
        }
        if text.hasPrefix("+") { text.removeFirst() }
        guard let number = text.withUTF8({ DecimalNumber.parse(UnsafeRawBufferPointer($0)) }) else {
            throw InputFault("\"\(text.prefix(60))\" is no number", line: line)
        }
        return number
    }
}

/// The bytes of a file, with the first ones looked at before they are read.
private final class Input {
    private let source: Int32
    private var start: [UInt8] = []

    init(_ source: Int32) { self.source = source }

    deinit { if source != STDIN_FILENO { close(source) } }

    /// The one of comma, semicolon and tab that the first line has most of outside of quotes; a comma if it has none.
    func separator() throws -> UInt8 {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while start.count < CSVReader.maximumRecordBytes, !start.contains(UInt8(ascii: "\n")) {
            let count = try chunk.withUnsafeMutableBytes { try readMore(into: $0) }
            if count == 0 { break }
            start += chunk[..<count]
        }
        var counts: [UInt8: Int] = [:]
        var isQuoted = false
        for byte in start.prefix(while: { $0 != UInt8(ascii: "\n") }) {
            if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
            if !isQuoted { counts[byte, default: 0] += 1 }
        }
        let candidates = [UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\t")]
        return candidates.reduce(candidates[0]) { counts[$1, default: 0] > counts[$0, default: 0] ? $1 : $0 }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard !start.isEmpty else { return try readMore(into: buffer) }
        let count = min(start.count, buffer.count)
        buffer.copyBytes(from: start[..<count])
        start.removeFirst(count)
        return count
    }

    private func readMore(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        // Whoever reads along sees the scores of all rows that came, before more are waited for.
        fflush(nil)
        while true {
            #if canImport(Glibc)
                let count = Glibc.read(source, buffer.baseAddress, buffer.count)
            #else
                let count = Darwin.read(source, buffer.baseAddress, buffer.count)
            #endif
            if count >= 0 { return count }
            guard errno == EINTR else { throw InputFault("cannot be read: \(String(cString: strerror(errno)))") }
        }
    }
}

/// Moments as tables have them.
enum TableTime {
    /// What `Timestamp` reads, without a zone as UTC; also a date alone, slashes or dots for hyphens, the day first where
    /// dots or hyphens stand between day, month and year, a comma before the fraction, and numbers like `1.5e9`; small
    /// ones are seconds from wherever they were counted.
    static func parse(_ written: String) -> Int64? {
        let text = written.trimmingCharacters(in: .whitespaces)
        if let time = Timestamp.parse(text, zoneRequired: false) { return time }
        if let seconds = Double(text), seconds.isFinite, abs(seconds) < 9e9 {
            return Int64(seconds * 1e9)
        }
        let dateEnd = text.firstIndex { $0 == " " || $0 == "T" } ?? text.endIndex
        let parts = text[..<dateEnd].split(omittingEmptySubsequences: false) { $0 == "-" || $0 == "/" || $0 == "." }
        guard parts.count == 3, let year = parts.firstIndex(where: { $0.count == 4 }), year != 1 else { return nil }
        // 10/04/2014 may be April or October: only dots and hyphens say that the day comes first.
        if year == 2, text[..<dateEnd].contains("/") { return nil }
        let ordered = year == 0 ? parts : parts.reversed()
        let date = ordered.map { $0.count == 1 ? "0\($0)" : String($0) }.joined(separator: "-")
        var time = dateEnd == text.endIndex ? "00:00" : String(text[text.index(after: dateEnd)...])
        if time.dropFirst().first == ":" { time = "0" + time }
        return Timestamp.parse("\(date)T\(time.replacing(",", with: "."))", zoneRequired: false)
    }
}
