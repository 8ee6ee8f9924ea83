// SPDX-License-Identifier: Apache-2.0

/// RFC 3339 in UTC with milliseconds, `2026-01-31T23:59:59.999Z`: always 24 bytes.
enum TimeText {
    static let byteCount = 24

    /// Writes `byteCount` bytes. Years 0...9999; anything else is clamped to them.
    static func write(unixNanoseconds: Int64, to bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= byteCount)
        // 0001-01-01 ... 9999-12-31 in milliseconds
        let milliseconds = min(max(floorDivide(unixNanoseconds, 1_000_000), -62_135_596_800_000), 253_402_300_799_999)
        let days = floorDivide(milliseconds, 86_400_000)
        let time = milliseconds - days * 86_400_000
        let (year, month, day) = civil(days)
        var position = 0
        func put(_ value: Int64, digits: Int, then separator: Unicode.Scalar) {
            var rest = value
            for index in stride(from: position + digits - 1, through: position, by: -1) {
                bytes[index] = UInt8(48 + rest % 10)
                rest /= 10
            }
            bytes[position + digits] = UInt8(ascii: separator)
            position += digits + 1
        }
        put(year, digits: 4, then: "-")
        put(month, digits: 2, then: "-")
        put(day, digits: 2, then: "T")
        put(time / 3_600_000, digits: 2, then: ":")
        put(time / 60_000 % 60, digits: 2, then: ":")
        put(time / 1000 % 60, digits: 2, then: ".")
        put(time % 1000, digits: 3, then: "Z")
    }

    static func text(unixNanoseconds: Int64) -> String {
        String(unsafeUninitializedCapacity: byteCount) { buffer in
            write(unixNanoseconds: unixNanoseconds, to: UnsafeMutableRawBufferPointer(buffer))
            return byteCount
        }
    }

    /// Days since 1970-01-01 to year, month, day of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
    /// algorithms", `civil_from_days`): eras of 400 years, years that begin in March.
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1
        )
    }

    private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 { a >= 0 ? a / b : -((-a + b - 1) / b) }
}
