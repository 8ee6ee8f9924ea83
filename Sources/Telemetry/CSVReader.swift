// SPDX-License-Identifier: Apache-2.0

/// Reads comma separated values (RFC 4180), or those with another separator, record by record from a source of bytes of any length.
///
/// Fields may be quoted, quotes within doubled; lines end with LF or CRLF, also within quoted fields. Empty lines and a
/// byte order mark at the beginning are skipped. Bytes need not be UTF-8. Memory: one record, at most
/// `maximumRecordBytes`.
package struct CSVReader {
    package enum Fault: Error, Equatable {
        /// The line on which the record begins.
        case recordTooLong(line: Int)
        case openQuote(line: Int)
        /// A quote within a field that did not begin with one, or text behind the closing quote.
        case misplacedQuote(line: Int)
    }

    package static let maximumRecordBytes = 1 << 20

    /// Line on which the last record begins, from 1.
    package private(set) var line = 0
    package private(set) var fieldCount = 0

    /// Fields of the last record, one after another, and where each ends.
    private var bytes: [UInt8] = []
    private var ends: [Int] = []
    private var nextLine = 1
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var bufferedCount = 0
    private var position = 0
    private var isAtStart = true
    private let separator: UInt8
    private let read: (UnsafeMutableRawBufferPointer) throws -> Int

    /// `read` fills the buffer it is lent and returns how many bytes it wrote, 0 at the end.
    package init(
        separator: UInt8 = UInt8(ascii: ","), read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int
    ) {
        self.separator = separator
        self.read = read
    }

    /// The bytes of a field of the last record, without quotes.
    package func field(_ index: Int) -> ArraySlice<UInt8> { bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]] }

    /// Reads the next record; false at the end.
    package mutating func next() throws -> Bool {
        repeat { guard try readRecord() else { return false } } while ends.count == 1 && bytes.isEmpty && !sawQuote
        fieldCount = ends.count
        return true
    }

    private enum State { case fieldStart, plain, quoted, quoteInQuoted }
    private var sawQuote = false

    private mutating func readRecord() throws -> Bool {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        sawQuote = false
        line = nextLine
        var state = State.fieldStart
        var isEmpty = true
        while let byte = try nextByte() {
            isEmpty = false
            guard bytes.count < CSVReader.maximumRecordBytes else { throw Fault.recordTooLong(line: line) }
            if byte == UInt8(ascii: "\n") { nextLine += 1 }
            switch (state, byte) {
            case (.fieldStart, UInt8(ascii: "\"")):
                sawQuote = true
                state = .quoted
            case (.quoted, UInt8(ascii: "\"")): state = .quoteInQuoted
            case (.quoted, _): bytes.append(byte)
            case (.quoteInQuoted, UInt8(ascii: "\"")):
                bytes.append(byte)
                state = .quoted
            case (_, separator):
                ends.append(bytes.count)
                state = .fieldStart
            case (_, UInt8(ascii: "\n")):
                // The carriage return of CRLF, unless it belongs to a quoted field (then the quote came in between).
                if state == .plain, bytes.last == UInt8(ascii: "\r"), bytes.count > (ends.last ?? 0) {
                    bytes.removeLast()
                }
                ends.append(bytes.count)
                return true
            case (.quoteInQuoted, UInt8(ascii: "\r")): break
            case (.quoteInQuoted, _), (_, UInt8(ascii: "\"")): throw Fault.misplacedQuote(line: line)
            default:
                bytes.append(byte)
                state = .plain
            }
        }
        if state == .quoted { throw Fault.openQuote(line: line) }
        if isEmpty { return false }
        ends.append(bytes.count)
        return true
    }

    private mutating func nextByte() throws -> UInt8? {
        if position == bufferedCount {
            let read = self.read
            bufferedCount = try buffer.withUnsafeMutableBytes { try read($0) }
            position = 0
            if isAtStart {
                isAtStart = false
                if buffer.prefix(bufferedCount).starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
            }
            if bufferedCount == 0 { return nil }
            if position == bufferedCount { return try nextByte() }
        }
        position += 1
        return buffer[position - 1]
    }

    /// The field as it is written in a record: quoted if it must be.
    package static func quoted(_ field: String) -> String {
        guard field.utf8.contains(where: { [0x22, 0x2C, 0x0A, 0x0D].contains($0) }) else { return field }
        return "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
