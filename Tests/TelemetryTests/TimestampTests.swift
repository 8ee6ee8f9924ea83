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
            ("2000-03-01T00:00:00.123456789123Z", 951_868_800_123_456_789), ("1969-12-31T23:59:59Z", -1_000_000_000),
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
}
