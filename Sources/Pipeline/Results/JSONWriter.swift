// SPDX-License-Identifier: Apache-2.0

/// Writes JSON (RFC 8259) in the order of the calls, without spaces. The caller keeps the nesting right.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    init(capacity: Int = 1024) { bytes.reserveCapacity(capacity) }

    var count: Int { bytes.count }

    mutating func object(_ body: (inout JSONWriter) -> Void) { nested("{", "}", body) }

    mutating func array(_ body: (inout JSONWriter) -> Void) { nested("[", "]", body) }

    mutating func key(_ name: String) {
        separate()
        quoted(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    mutating func value(_ text: String) {
        separate()
        quoted(text)
        needsComma = true
    }

    mutating func value(_ number: some BinaryInteger) { raw(String(number)) }

    mutating func value(_ flag: Bool) { raw(flag ? "true" : "false") }

    /// The shortest digits that read back as the same number; `null` for what JSON has no number for.
    mutating func value(_ number: Double) { raw(number.isFinite ? JSONWriter.shortest(number.description) : "null") }

    /// With `places` digits after the point at most, for pixels and scores. The magnitude is limited to 1e12.
    mutating func value(_ number: Float, places: Int) {
        guard number.isFinite else { return raw("null") }
        var factor: Int64 = 1
        for _ in 0..<places { factor *= 10 }
        let scaled = Int64((Double(min(max(number, -1e12), 1e12)) * Double(factor)).rounded())
        var text = scaled < 0 ? "-" : ""
        let (whole, fraction) = scaled.magnitude.quotientAndRemainder(dividingBy: UInt64(factor))
        text += String(whole)
        if fraction > 0 {
            var digits = String(fraction)
            digits = String(repeating: "0", count: places - digits.count) + digits
            while digits.hasSuffix("0") { digits.removeLast() }
            text += "." + digits
        }
        raw(text)
    }

    mutating func null() { raw("null") }

    /// `[low, high]`, or `null` for none or one with an end that is not finite.
    mutating func range(_ range: ClosedRange<Double>?) {
        guard let range, range.lowerBound.isFinite, range.upperBound.isFinite else { return null() }
        array { json in
            json.value(range.lowerBound)
            json.value(range.upperBound)
        }
    }

    mutating func field(_ name: String, _ text: String) {
        key(name)
        value(text)
    }

    mutating func field(_ name: String, _ number: some BinaryInteger) {
        key(name)
        value(number)
    }

    mutating func field(_ name: String, _ number: Double) {
        key(name)
        value(number)
    }

    mutating func field(_ name: String, time unixNanoseconds: Int64) {
        key(name)
        bytes.append(UInt8(ascii: "\""))
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: TimeText.byteCount))
        bytes.withUnsafeMutableBytes {
            TimeText.write(unixNanoseconds: unixNanoseconds, to: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
        }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    private mutating func nested(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: open))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: close))
        needsComma = true
    }

    private mutating func raw(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func quoted(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        let isDone = text.utf8.withContiguousStorageIfAvailable { buffer in
            if buffer.contains(where: JSONWriter.mustBeEscaped) { return false }
            bytes.append(contentsOf: buffer)
            return true
        }
        if isDone != true { escape(text) }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func mustBeEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func escape(_ text: String) {
        let hexadecimal: StaticString = "0123456789abcdef"
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0A: bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case 0..<0x20, 0x7F:
                bytes += [UInt8(ascii: "\\"), UInt8(ascii: "u"), 48, 48]
                bytes.append(hexadecimal.utf8Start[Int(byte >> 4)])
                bytes.append(hexadecimal.utf8Start[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
    }

    private static func shortest(_ text: String) -> String { text.hasSuffix(".0") ? String(text.dropLast(2)) : text }
}
