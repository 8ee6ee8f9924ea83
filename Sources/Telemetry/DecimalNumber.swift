// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Reads decimal numbers, correctly rounded to the nearest `Double`.
///
/// Up to 2^53 and powers of ten up to 10^22 both operands of one multiplication or division are exact, so its result is
/// correctly rounded (W. Clinger, "How to read floating point numbers accurately", 1990). All else goes to `strtod`,
/// which is exact too; the program never leaves the "C" locale.
package enum DecimalNumber {
    /// How lenient the syntax is.
    enum Syntax {
        /// RFC 8259 section 6.
        case json
        /// As devices write it: also `+5`, `.5`, `5.`, `007`.
        case plain
    }

    /// The text as one number, in the lenient syntax, with nothing before or behind; infinite if it is too large. Nil
    /// if it is none.
    package static func parse(_ text: UnsafeRawBufferPointer) -> Double? {
        guard let base = text.baseAddress else { return nil }
        var position = 0
        let value = read(base.assumingMemoryBound(to: UInt8.self), at: &position, end: text.count, syntax: .plain)
        return position == text.count ? value : nil
    }

    /// Whether the text of a number is an integer that `value` does not hold exactly.
    static func isRounded(_ text: UnsafeRawBufferPointer, _ value: Double) -> Bool {
        var integer: UInt64 = 0
        for (index, byte) in text.enumerated() {
            if index == 0, byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") { continue }
            guard let digit = digit(byte) else { return false }
            let (scaled, overflow) = integer.multipliedReportingOverflow(by: 10)
            let (sum, overflowed) = scaled.addingReportingOverflow(digit)
            // Beyond 64 bits few integers are exact, and nobody means those.
            if overflow || overflowed { return true }
            integer = sum
        }
        return UInt64(exactly: value.magnitude) != integer
    }

    /// Reads the number that begins at `position` and moves `position` behind it. Nil if there is none, with `position`
    /// somewhere behind its beginning. Too large a number gives an infinity, too small a one zero.
    @inline(__always)
    static func read(
        _ bytes: UnsafePointer<UInt8>, at position: inout Int, end: Int, syntax: Syntax, convert: Bool = true
    ) -> Double? {
        let start = position
        let negative = position < end && bytes[position] == UInt8(ascii: "-")
        if negative || syntax == .plain && position < end && bytes[position] == UInt8(ascii: "+") { position += 1 }
        var significand: UInt64 = 0
        var digitCount = 0
        let integerStart = position
        while position < end, let digit = digit(bytes[position]) {
            significand = significand &* 10 &+ digit
            position += 1
        }
        let integerCount = position - integerStart
        if syntax == .json {
            guard integerCount > 0, integerCount == 1 || bytes[integerStart] != UInt8(ascii: "0") else { return nil }
        }
        digitCount = integerCount
        var exponent = 0
        if position < end, bytes[position] == UInt8(ascii: ".") {
            position += 1
            let fractionStart = position
            while position < end, let digit = digit(bytes[position]) {
                significand = significand &* 10 &+ digit
                position += 1
            }
            let fractionCount = position - fractionStart
            if syntax == .json && fractionCount == 0 { return nil }
            digitCount += fractionCount
            exponent = -fractionCount
        }
        guard digitCount > 0 else { return nil }
        if position < end, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            let negativeExponent = position < end && bytes[position] == UInt8(ascii: "-")
            if negativeExponent || position < end && bytes[position] == UInt8(ascii: "+") { position += 1 }
            let exponentStart = position
            var written = 0
            while position < end, let digit = digit(bytes[position]) {
                // Beyond this it is an infinity or zero in any case; only the syntax still matters.
                if written < 1_000_000 { written = written * 10 + Int(digit) }
                position += 1
            }
            guard position > exponentStart else { return nil }
            exponent += negativeExponent ? -written : written
        }
        guard convert else { return 0 }
        // 19 digits always fit into 64 bits.
        if digitCount <= 19, significand <= 1 << 53, exponent.magnitude <= 22 {
            let magnitude = Double(significand)
            let value = exponent < 0 ? magnitude / powersOfTen(-exponent) : magnitude * powersOfTen(exponent)
            return negative ? -value : value
        }
        return slow(bytes + start, count: position - start)
    }

    @inline(__always)
    private static func digit(_ byte: UInt8) -> UInt64? {
        let value = byte &- UInt8(ascii: "0")
        return value < 10 ? UInt64(value) : nil
    }

    @inline(never)
    private static func slow(_ text: UnsafePointer<UInt8>, count: Int) -> Double {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: count + 1) { copy in
            for index in 0..<count { copy[index] = CChar(bitPattern: text[index]) }
            copy[count] = 0
            return copy.baseAddress.map { strtod($0, nil) } ?? .nan
        }
    }

    /// 10^0 ... 10^22, the powers of ten that a `Double` holds exactly.
    private static let table: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]

    private static func powersOfTen(_ exponent: Int) -> Double { table[exponent] }
}
