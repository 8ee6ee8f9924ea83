// SPDX-License-Identifier: Apache-2.0

/// How a source writes its times.
package struct TimeReading: Sendable, Equatable {
    package enum Unit: String, Sendable, CaseIterable {
        /// Recognized by range, see `Timestamp.epoch`.
        case automatic = "auto"
        case seconds = "s"
        case milliseconds = "ms"
        case microseconds = "us"
        case nanoseconds = "ns"
    }

    /// Of numbers.
    package var unit = Unit.automatic
    /// East of Greenwich, for dates without a zone; nil: such dates are no times, as they might be wrong by hours.
    package var zoneSeconds: Int?

    package init(unit: Unit = .automatic, zoneSeconds: Int? = nil) {
        self.unit = unit
        self.zoneSeconds = zoneSeconds
    }
}

/// Reads moments as devices write them, to nanoseconds since 1970-01-01T00:00:00Z. Finer digits are cut off. Range:
/// 1678 to 2262 for dates, 1973 to 2262 for epochs.
package enum Timestamp {
    /// What a text says about time.
    package enum Reading: Sendable, Equatable {
        case unixNanoseconds(Int64)
        case refused(TelemetryFault)
    }

    /// A date and time, or an epoch.
    package static func read(_ text: UnsafeRawBufferPointer, _ reading: TimeReading) -> Reading {
        var lacksZone = false
        if let time = dateAndTime(text, defaultZone: reading.zoneSeconds, lacksZone: &lacksZone) {
            return .unixNanoseconds(time)
        }
        if lacksZone { return .refused(.noTimeZone) }
        return epoch(text, reading.unit).map { .unixNanoseconds($0) } ?? .refused(.badTimestamp)
    }

    package static func parse(_ text: some StringProtocol, zoneRequired: Bool) -> Int64? {
        var copy = Array(text.utf8)
        return copy.withUnsafeMutableBytes { parse(UnsafeRawBufferPointer($0), zoneRequired: zoneRequired) }
    }

    /// A date and time, or an epoch. Without a zone it is taken as UTC, unless `zoneRequired`: a device's local time
    /// would be wrong by hours. Nil if it is neither.
    package static func parse(_ text: UnsafeRawBufferPointer, zoneRequired: Bool) -> Int64? {
        dateAndTime(text, zoneRequired: zoneRequired) ?? epoch(text)
    }

    package static func dateAndTime(_ text: UnsafeRawBufferPointer, zoneRequired: Bool) -> Int64? {
        var lacksZone = false
        return dateAndTime(text, defaultZone: zoneRequired ? nil : 0, lacksZone: &lacksZone)
    }

    /// RFC 3339 section 5.6, `2014-04-10T00:04:00.250+02:00`; a space may stand for the T (as there), a comma for the
    /// point, seconds may be missing and the zone too, which may also be written `+0200`, `+02` and behind a space. A leap
    /// second counts as the first second of the next minute.
    private static func dateAndTime(
        _ text: UnsafeRawBufferPointer, defaultZone: Int?, lacksZone: inout Bool
    ) -> Int64? {
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
            if cursor.take(".") || cursor.take(",") {
                guard let fraction = cursor.fraction() else { return nil }
                nanoseconds = fraction
            }
        }
        var offset: Int?
        if cursor.isAtEnd {
            offset = defaultZone
        } else {
            _ = cursor.take(" ")
            guard let zone = cursor.zoneSeconds() else { return nil }
            offset = zone
        }
        guard cursor.isAtEnd, (1...12).contains(month), (1...days(in: month, of: year)).contains(day), hour <= 23,
            minute <= 59, second <= 60
        else { return nil }
        guard let offset else {
            lacksZone = true
            return nil
        }
        let seconds = daysSince1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
        let (scaled, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowed) = scaled.addingReportingOverflow(Int64(nanoseconds))
        return overflow || overflowed ? nil : sum
    }

    /// A number of seconds, milliseconds, microseconds or nanoseconds, with a fraction if need be. The ranges of the
    /// units do not overlap: seconds from 10^8 (1973) to 10^11 (5138), and so on in steps of a thousand. Smaller
    /// numbers are no time (most likely the device's uptime).
    package static func epoch(_ text: UnsafeRawBufferPointer, _ unit: TimeReading.Unit = .automatic) -> Int64? {
        var cursor = Cursor(text: text)
        guard let whole = cursor.integer() else { return nil }
        var fraction = 0
        if cursor.take(".") {
            guard let nanoseconds = cursor.fraction() else { return nil }
            fraction = nanoseconds
        }
        guard cursor.isAtEnd else { return nil }
        return epoch(whole, billionths: fraction, unit)
    }

    /// - Parameter billionths: the fraction of `whole`, in billionths.
    package static func epoch(_ whole: Int64, billionths: Int = 0, _ unit: TimeReading.Unit = .automatic) -> Int64? {
        let nanoseconds: Int64
        switch (unit, whole) {
        case (.seconds, _): nanoseconds = 1_000_000_000
        case (.milliseconds, _): nanoseconds = 1_000_000
        case (.microseconds, _): nanoseconds = 1000
        case (.nanoseconds, _): nanoseconds = 1
        case (.automatic, ..<100_000_000): return nil
        case (.automatic, ..<100_000_000_000): nanoseconds = 1_000_000_000
        case (.automatic, ..<100_000_000_000_000): nanoseconds = 1_000_000
        case (.automatic, ..<100_000_000_000_000_000): nanoseconds = 1000
        case (.automatic, _): nanoseconds = 1
        }
        let (scaled, overflow) = whole.multipliedReportingOverflow(by: nanoseconds)
        let (sum, overflowed) = scaled.addingReportingOverflow(Int64(billionths) * nanoseconds / 1_000_000_000)
        return overflow || overflowed ? nil : sum
    }

    /// The offset of a zone: `Z`, `UTC`, `+02:00`. Nil if it is none.
    package static func zoneSeconds(_ text: String) -> Int? {
        if text.lowercased() == "utc" { return 0 }
        var copy = Array(text.utf8)
        return copy.withUnsafeMutableBytes { bytes in
            var cursor = Cursor(text: UnsafeRawBufferPointer(bytes))
            guard let seconds = cursor.zoneSeconds(), cursor.isAtEnd else { return nil }
            return seconds
        }
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

    /// `Z`, `+02:00`, `+0200`, `+02`.
    mutating func zoneSeconds() -> Int? {
        if take("Z") || take("z") { return 0 }
        let negative = take("-")
        guard negative || take("+"), let hours = number(digits: 2), hours <= 23 else { return nil }
        var minutes = 0
        if take(":") || !isAtEnd {
            guard let number = number(digits: 2), number <= 59 else { return nil }
            minutes = number
        }
        return (hours * 60 + minutes) * (negative ? -60 : 60)
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
