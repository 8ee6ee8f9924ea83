// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Pipeline

struct JSONWriterTests {
    private func text(_ body: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter()
        json.object(body)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test func keepsTheOrderOfTheCalls() {
        let json = text { json in
            json.field("b", 1)
            json.key("a")
            json.array { json in
                json.value("x")
                json.object { $0.field("n", 2) }
                json.null()
            }
            json.field("c", 0.5)
        }
        #expect(json == #"{"b":1,"a":["x",{"n":2},null],"c":0.5}"#)
    }

    @Test func escapesWhatMustBeEscaped() throws {
        let hostile = "a\"b\\c\n\t\u{0}\u{7f}é🎈"
        let json = text { $0.field("k", hostile) }
        let parsed = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: String]
        #expect(parsed?["k"] == hostile)
    }

    @Test(
        arguments: [
            (0.5, "0.5"), (-1.25, "-1.25"), (0.0004, "0"), (-0.0004, "0"), (1.0006, "1.001"), (123.1, "123.1"),
            (.nan, "null"), (.infinity, "null"), (0.05, "0.05"), (-0.05, "-0.05"),
        ] as [(Float, String)])
    func roundsToPlaces(value: Float, expected: String) {
        #expect(
            text {
                $0.key("v"); $0.value(value, places: 3)
            } == "{\"v\":\(expected)}")
    }

    @Test(arguments: [0.1, 1e300, -2.5e-308, 1e15, 3, 0.30000000000000004])
    func numbersReadBackAsTheSame(value: Double) {
        let json = text { $0.field("v", value) }
        #expect(Double(json.dropFirst(5).dropLast()) == value)
    }
}

struct TimestampTests {
    @Test func isTheSameAsFoundationWrites() {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        var seconds: Int64 = -62_135_596_800
        while seconds < 253_402_300_799 {
            let date = Date(timeIntervalSince1970: Double(seconds))
            let text = TimeText.text(unixNanoseconds: max(min(seconds, 9_000_000_000), -9_000_000_000) * 1_000_000_000)
            if abs(seconds) <= 9_000_000_000 { #expect(text == formatter.string(from: date)) }
            seconds += 98_765_432
        }
    }

    @Test func leapDaysAndMilliseconds() {
        #expect(TimeText.text(unixNanoseconds: 1_709_164_800_123_456_789) == "2024-02-29T00:00:00.123Z")
        #expect(TimeText.text(unixNanoseconds: -1) == "1969-12-31T23:59:59.999Z")
    }
}
