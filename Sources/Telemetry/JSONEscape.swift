// SPDX-License-Identifier: Apache-2.0

/// An escape within a JSON string, RFC 8259 section 7.
enum JSONEscape {
    /// Reads the escape that begins (with its backslash) at `position` and moves behind it; nil if it is none, or half
    /// of a surrogate pair.
    static func read(_ bytes: UnsafePointer<UInt8>, at position: inout Int, end: Int) -> Unicode.Scalar? {
        guard end - position >= 2 else { return nil }
        let kind = bytes[position + 1]
        position += 2
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: return nil
        }
        guard let unit = hexadecimal(bytes, at: &position, end: end) else { return nil }
        guard (0xD800...0xDBFF).contains(unit) else { return Unicode.Scalar(unit) }
        guard end - position >= 2, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
        else { return nil }
        position += 2
        guard let low = hexadecimal(bytes, at: &position, end: end), (0xDC00...0xDFFF).contains(low) else { return nil }
        return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
    }

    /// Whether the content of a JSON string, as it is written, means `other`.
    static func isEqual(_ text: UnsafeBufferPointer<UInt8>, to other: [UInt8]) -> Bool {
        guard let bytes = text.baseAddress else { return other.isEmpty }
        var compared = 0
        var position = 0
        func matches(_ byte: UInt8) -> Bool {
            guard compared < other.count, other[compared] == byte else { return false }
            compared += 1
            return true
        }
        while position < text.count {
            if bytes[position] == UInt8(ascii: "\\") {
                guard let scalar = read(bytes, at: &position, end: text.count) else { return false }
                for byte in String(scalar).utf8 where !matches(byte) { return false }
            } else {
                guard matches(bytes[position]) else { return false }
                position += 1
            }
        }
        return compared == other.count
    }

    private static func hexadecimal(_ bytes: UnsafePointer<UInt8>, at position: inout Int, end: Int) -> UInt32? {
        guard end - position >= 4 else { return nil }
        var value: UInt32 = 0
        for index in 0..<4 {
            let byte = bytes[position + index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        position += 4
        return value
    }
}
