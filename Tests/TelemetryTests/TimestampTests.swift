// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Telemetry

@Suite struct TimestampTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2014-04-10T00:04:00Z", 1_397_088_240_000_000_000),
            ("2014-04-10T02:04:00+02:00", 1_397_088_240_000_000_000),
            ("2014-04-09t19:34:00-04:30", 1_397_088_240_000_000_000),
            ("2024-02-29 12:00:00.250z", 1_709_208_000_250_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
            ("2000-03-01T00:00:00.123456789123Z", 951_868_800_123_456_789),
            ("2014-04-10 02:04:00 +0200", 1_397_088_240_000_000_000),
            ("2014-04-10T02:04:00+02", 1_397_088_240_000_000_000),
            ("2014-04-10T00:04:00,5Z", 1_397_088_240_500_000_000), ("1969-12-31T23:59:59Z", -1_000_000_000),
        ] as [(String, Int64)])
    func readsDates(text: String, nanoseconds: Int64) {
        #expect(Timestamp.parse(text, zoneRequired: true) == nanoseconds)
    }

    @Test(arguments: [
        "2014-04-10T00:04:00", "2014-13-10T00:04:00Z", "2014-02-29T00:00:00Z", "2014-04-31T00:00:00Z", "2014-04-10",
        "2014-04-10T24:00:00Z", "2014-04-10T00:60:00Z", "2014-04-10T00:00:61Z", "2014-04-10T00:00:00.Z",
        "0000-01-01T00:00:00Z",
        "2014-04-10T00:04:00+2:00", "2014-04-10T00:04:00+24:00", "2014-04-10T00:04:00Zx", "14-04-10T00:04:00Z", "",
        "9999-01-01T00:00:00Z",
    ])
    func refusesOtherDates(text: String) { #expect(Timestamp.parse(text, zoneRequired: true) == nil) }

    @Test func takesMissingZoneAsUTCWhereAllowed() {
        #expect(Timestamp.parse("2014-04-10 00:04:00", zoneRequired: false) == 1_397_088_240_000_000_000)
        #expect(Timestamp.parse("2014-04-10 00:04", zoneRequired: false) == 1_397_088_240_000_000_000)
    }

    @Test(
        arguments: [
            ("1700000000", 1_700_000_000_000_000_000), ("1700000000.5", 1_700_000_000_500_000_000),
            ("1700000000123", 1_700_000_000_123_000_000), ("1700000000123456", 1_700_000_000_123_456_000),
            ("1700000000123456789", 1_700_000_000_123_456_789), ("1700000000123.25", 1_700_000_000_123_250_000),
        ] as [(String, Int64)])
    func recognizesUnitsOfEpochs(text: String, nanoseconds: Int64) {
        #expect(Timestamp.parse(text, zoneRequired: true) == nanoseconds)
    }

    @Test(arguments: [
        "0", "12345", "-1700000000", "1.7e9", "99999999999999999999", "1700000000.", "9223372036854775808",
    ])
    func refusesOtherNumbers(text: String) { #expect(Timestamp.parse(text, zoneRequired: true) == nil) }

    @Test func aConfiguredZoneIsThatOfDatesWithoutOne() {
        func read(_ text: String, _ reading: TimeReading) -> Timestamp.Reading {
            Array(text.utf8).withUnsafeBytes { Timestamp.read($0, reading) }
        }
        let zone = TimeReading(zoneSeconds: 7200)
        #expect(read("2014-04-10T02:04:00", zone) == .unixNanoseconds(1_397_088_240_000_000_000))
        #expect(read("2014-04-10T00:04:00Z", zone) == .unixNanoseconds(1_397_088_240_000_000_000))
        #expect(read("2014-04-10T02:04:00", TimeReading()) == .refused(.noTimeZone))
        #expect(read("2014-04-31T02:04:00", TimeReading()) == .refused(.badTimestamp))
        #expect(read("soon", zone) == .refused(.badTimestamp))
    }

    @Test(arguments: [("Z", 0), ("UTC", 0), ("+02:00", 7200), ("-0530", -19800), ("+01", 3600)])
    func zones(text: String, seconds: Int) { #expect(Timestamp.zoneSeconds(text) == seconds) }

    @Test(arguments: ["", "CET", "+2", "+25:00", "+01:60", "+01:00x", "01:00"])
    func textsThatAreNoZones(text: String) { #expect(Timestamp.zoneSeconds(text) == nil) }

    @Test func aDeclaredUnitNeedsNoRange() {
        func epoch(_ text: String, _ unit: TimeReading.Unit) -> Int64? {
            Array(text.utf8).withUnsafeBytes { Timestamp.epoch($0, unit) }
        }
        #expect(epoch("12345", .seconds) == 12_345_000_000_000)
        #expect(epoch("12345.5", .milliseconds) == 12_345_500_000)
        #expect(epoch("1700000000", .microseconds) == 1_700_000_000_000)
        #expect(epoch("1700000000", .nanoseconds) == 1_700_000_000)
        #expect(epoch("99999999999", .seconds) == nil)
    }
}
