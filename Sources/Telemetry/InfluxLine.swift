// SPDX-License-Identifier: Apache-2.0

/// Finds the parts of the lines of a payload in InfluxDB line protocol.
struct InfluxLine {
    let bytes: UnsafeBufferPointer<UInt8>
    /// Measurement and tags.
    private(set) var beginning = 0..<0
    /// The last field's name and value.
    private(set) var field = 0..<0
    private(set) var value = 0..<0
    /// Empty if there is none.
    private(set) var time = 0..<0
    /// False while no field was read, and after one that is none.
    private(set) var isWellFormed = true

    private var position = 0
    private var lineEnd = 0
    private var fieldsEnd = 0

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Moves to the next line that is neither empty nor a comment; false at the end.
    mutating func begin() -> Bool {
        position = lineEnd
        while position < bytes.count {
            while position < bytes.count, isBlank(bytes[position]) { position += 1 }
            guard position < bytes.count else { return false }
            if bytes[position] == UInt8(ascii: "#") {
                while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
                continue
            }
            // Until a field is read: a line has at least one.
            isWellFormed = false
            lineEnd = position
            return true
        }
        return false
    }

    /// Reads measurement and tags, up to the space before the fields.
    mutating func readBeginning() -> Bool {
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n") {
            switch bytes[position] {
            case UInt8(ascii: "\\"): position += min(2, bytes.count - position)
            case UInt8(ascii: " "):
                beginning = start..<position
                while position < bytes.count, bytes[position] == UInt8(ascii: " ") { position += 1 }
                return bytes[start] != UInt8(ascii: ",")
            default: position += 1
            }
        }
        lineEnd = position
        return false
    }

    /// Finds where the fields and the line end (within quotes neither does), and the time behind them.
    mutating func findTime() -> Bool {
        var index = position
        var isQuoted = false
        time = 0..<0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\\") {
                index += 1
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if !isQuoted, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                break
            }
            index += 1
        }
        // A quote that does not end spoils its own line only.
        if isQuoted {
            lineEnd = position
            return false
        }
        fieldsEnd = min(index, bytes.count)
        lineEnd = fieldsEnd
        while lineEnd < bytes.count, bytes[lineEnd] != UInt8(ascii: "\n") { lineEnd += 1 }
        var end = lineEnd
        while end > fieldsEnd, isBlank(bytes[end - 1]) { end -= 1 }
        var start = fieldsEnd
        while start < end, isBlank(bytes[start]) { start += 1 }
        time = start..<end
        return true
    }

    /// The next `name=value`; false at the end, and where none is (then `isWellFormed` is false).
    mutating func nextField() -> Bool {
        guard position < fieldsEnd else { return false }
        isWellFormed = false
        let start = position
        while position < fieldsEnd, bytes[position] != UInt8(ascii: "=") {
            position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard position < fieldsEnd, position > start, bytes[start] != UInt8(ascii: ",") else { return false }
        field = start..<position
        position += 1
        let valueStart = position
        var isQuoted = false
        while position < fieldsEnd, isQuoted || bytes[position] != UInt8(ascii: ",") {
            if bytes[position] == UInt8(ascii: "\"") { isQuoted.toggle() }
            position += isQuoted && bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        position = min(position, fieldsEnd)
        guard position > valueStart else { return false }
        value = valueStart..<position
        // A comma at the end promises a field that is not there.
        isWellFormed = position + 1 != fieldsEnd
        position += 1
        return true
    }

    /// Leaves the line.
    mutating func skip() {
        while lineEnd < bytes.count, bytes[lineEnd] != UInt8(ascii: "\n") { lineEnd += 1 }
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
