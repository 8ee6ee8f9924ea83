// SPDX-License-Identifier: Apache-2.0

/// Reads moments as devices write them, to nanoseconds since 1970-01-01T00:00:00Z. Finer digits are cut off. Range:
/// 1678 to 2262 for dates, 1973 to 2262 for epochs.
package enum Timestamp {
    package static func parse(_ text: some StringProtocol, zoneRequired: Bool) -> Int64? {
        var copy = Array(text.utf8)
        return copy.withUnsafeMutableBytes { parse(UnsafeRawBufferPointer($0), zoneRequired: zoneRequired) }
    }

    /// A date and time, or an epoch. Without a zone it is taken as UTC, unless `zoneRequired`: a device's local time
    /// would be wrong by hours. Nil if it is neither.
    package static func parse(_ text: UnsafeRawBufferPointer, zoneRequired: Bool) -> Int64? {
        dateAndTime(text, zoneRequired: zoneRequired) ?? epoch(text)
    }

    /// RFC 3339 section 5.6, `2014-04-10T00:04:00.250+02:00`; a space may stand for the T (as there), seconds may be
    /// missing and the zone too. A leap second counts as the first second of the next minute.
    package static func dateAndTime(_ text: UnsafeRawBufferPointer, zoneRequired: Bool) -> Int64? {
        var cursor = Cursor(text: text)
        guard let year = cursor.number(digits: 4), cursor.take("-"), let month = cursor.number(digits: 2),
            cursor.take("-"), let day = cursor.number(digits: 2),
            cursor.take("T") || cursor.take("t") || cursor.take(" "), let hour = cursor.number(digits: 2),
            cursor.take(":"), let minute = cursor.number(digits: 2)
        else { return nil }
        var second = 0
        var nanoseconds = 0
        if cursor.take(":") {
            guard let number = cursor.number(digits: 2) else { return nil }
            second = number
            if cursor.take(".") {
                guard let fraction = cursor.fraction() else { return nil }
                nanoseconds = fraction
            }
        }
        var offset = 0
        if cursor.take("Z") || cursor.take("z") {
        } else if cursor.isAtEnd {
            if zoneRequired { return nil }
        } else {
            let negative = cursor.take("-")
            guard negative || cursor.take("+"), let hours = cursor.number(digits: 2), cursor.take(":"),
                let minutes = cursor.number(digits: 2), hours <= 23, minutes <= 59
            else { return nil }
            offset = (hours * 60 + minutes) * (negative ? -60 : 60)
        }
        guard cursor.isAtEnd, (1...12).contains(month), (1...days(in: month, of: year)).contains(day), hour <= 23,
            minute <= 59, second <= 60
        else { return nil }
        let seconds = daysSince1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
        let (scaled, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowed) = scaled.addingReportingOverflow(Int64(nanoseconds))
        return overflow || overflowed ? nil : sum
    }

    /// A number of seconds, milliseconds, microseconds or nanoseconds, with a fraction if need be. The ranges of the
    /// units do not overlap: seconds from 10^8 (1973) to 10^11 (5138), and so on in steps of a thousand. Smaller
    /// numbers are no time (most likely the device's uptime).
    package static func epoch(_ text: UnsafeRawBufferPointer) -> Int64? {
        var cursor = Cursor(text: text)
        guard let whole = cursor.integer() else { return nil }
        var fraction = 0
        if cursor.take(".") {
            guard let nanoseconds = cursor.fraction() else { return nil }
            fraction = nanoseconds
        }
        guard cursor.isAtEnd else { return nil }
        let unit: Int64
        switch whole {
        case ..<100_000_000: return nil
        case ..<100_000_000_000: unit = 1_000_000_000
        case ..<100_000_000_000_000: unit = 1_000_000
        case ..<100_000_000_000_000_000: unit = 1000
        default: unit = 1
        }
        let (scaled, overflow) = whole.multipliedReportingOverflow(by: unit)
        let (sum, overflowed) = scaled.addingReportingOverflow(Int64(fraction) * unit / 1_000_000_000)
        return overflow || overflowed ? nil : sum
    }

    private static func days(in month: Int, of year: Int) -> Int {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return month == 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Of the proleptic Gregorian calendar. Counts the year from March, so that the leap day is its last.
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let marchYear = month <= 2 ? year - 1 : year
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let leapDays = marchYear / 4 - marchYear / 100 + marchYear / 400
        return marchYear * 365 + leapDays + dayOfYear - 719_468
    }
}

private struct Cursor {
    let text: UnsafeRawBufferPointer
    var position = 0

    init(text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { position == text.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func digit() -> Int? {
        guard position < text.count, (0x30...0x39).contains(text[position]) else { return nil }
        position += 1
        return Int(text[position - 1]) - 0x30
    }

    mutating func number(digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// At least one digit; nil beyond 64 bits.
    mutating func integer() -> Int64? {
        guard var value = digit().map(Int64.init) else { return nil }
        while let digit = digit() {
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowed) = scaled.addingReportingOverflow(Int64(digit))
            if overflow || overflowed { return nil }
            value = sum
        }
        return value
    }

    /// The digits behind a decimal point, at least one, as billionths.
    mutating func fraction() -> Int? {
        guard var value = digit() else { return nil }
        var count = 1
        while let digit = digit() {
            if count < 9 {
                value = value * 10 + digit
                count += 1
            }
        }
        while count < 9 {
            value *= 10
            count += 1
        }
        return value
    }
}
