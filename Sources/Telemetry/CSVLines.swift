// SPDX-License-Identifier: Apache-2.0

/// Takes a payload of separated values apart, record by record (RFC 4180), in place. The separator is the first of tab,
/// semicolon and comma that its first line has outside quotes. Lines end with LF or CRLF; empty ones are skipped.
struct CSVLines: Sendable {
    struct Field: Sendable {
        /// Without quotes and white space around.
        var range: Range<Int>
        /// Written with doubled quotes, which are still doubled.
        var hasQuotes = false
    }

    /// Of the last record; columns beyond `columnLimit` are left out.
    private(set) var fields: [Field] = []
    private var position = 0
    private var separator = UInt8(ascii: ",")

    static let columnLimit = 256

    mutating func begin(_ text: UnsafeRawBufferPointer) {
        position = text.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        separator = UInt8(ascii: ",")
        var isQuoted = false
        for byte in text {
            if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
            if isQuoted { continue }
            if byte == UInt8(ascii: "\n") { break }
            if byte == UInt8(ascii: ";") { separator = byte }
            if byte == UInt8(ascii: "\t") {
                separator = byte
                break
            }
        }
    }

    /// The next record; false at the end.
    mutating func next(_ text: UnsafeRawBufferPointer) throws(TelemetryFault) -> Bool {
        while position < text.count, text[position] == UInt8(ascii: "\n") || text[position] == UInt8(ascii: "\r") {
            position += 1
        }
        guard position < text.count else { return false }
        fields.removeAll(keepingCapacity: true)
        while true {
            let field = try field(text)
            if fields.count < CSVLines.columnLimit { fields.append(field) }
            guard position < text.count else { return true }
            position += 1
            if text[position - 1] == UInt8(ascii: "\n") { return true }
        }
    }

    /// A field, up to the separator, the line's end or the payload's.
    private mutating func field(_ text: UnsafeRawBufferPointer) throws(TelemetryFault) -> Field {
        while position < text.count, isBlank(text[position]) { position += 1 }
        guard position < text.count, text[position] == UInt8(ascii: "\"") else {
            let start = position
            while position < text.count, text[position] != separator, text[position] != UInt8(ascii: "\n") {
                guard text[position] != UInt8(ascii: "\"") else { throw .invalidCSV }
                position += 1
            }
            var end = position
            while end > start, isBlank(text[end - 1]) || text[end - 1] == UInt8(ascii: "\r") { end -= 1 }
            return Field(range: start..<end)
        }
        position += 1
        var field = Field(range: position..<position)
        while true {
            guard position < text.count else { throw .invalidCSV }
            position += 1
            guard text[position - 1] == UInt8(ascii: "\"") else { continue }
            guard position < text.count, text[position] == UInt8(ascii: "\"") else { break }
            field.hasQuotes = true
            position += 1
        }
        field.range = field.range.lowerBound..<position - 1
        while position < text.count, isBlank(text[position]) || text[position] == UInt8(ascii: "\r") { position += 1 }
        guard position == text.count || text[position] == separator || text[position] == UInt8(ascii: "\n") else {
            throw .invalidCSV
        }
        return field
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte != separator && (byte == 0x20 || byte == 0x09) }
}
