// SPDX-License-Identifier: Apache-2.0

import Streaming
import TestSupport
import Testing

@testable import Telemetry

@Suite struct TelemetryParserTests {
    private func parse(
        _ payload: String, _ pointers: [String] = ["/a", "/b"], format: PayloadFormat = .json, timestamp: String? = nil,
        readsStrings: Bool = false, limits: TelemetryParser.Limits = TelemetryParser.Limits()
    ) throws -> Reading {
        var parser = try TelemetryParser.make(
            format, pointers, timestamp: timestamp, readsStrings: readsStrings, limits: limits)
        return parser.read(payload)
    }

    @Test func givesASampleForEachSeries() throws {
        let result = try parse(#"{"a": 21.5, "b": true}"#)
        #expect(result.outcome == .processed)
        #expect(result.values == ["/a": 21.5, "/b": 1])
        #expect(Set(result.times) == [42])
        #expect(result.faults.isEmpty)
    }

    @Test func otherSeriesCountBesideAFault() throws {
        let result = try parse(#"{"a": "21.5", "b": 2}"#)
        #expect(result.outcome == .processed)
        #expect(result.values == ["/b": 2])
        #expect(result.faults == [TelemetryParser.Fault(series: 0, reason: .wrongType)])
    }

    @Test(
        arguments: [
            (#"{"a":[1],"b":"x"}"#, TelemetryFault.wrongType), (#"{"a":{},"b":[]}"#, .wrongType),
            (#"{"a":null,"b":null}"#, .nullValue), (#"{"a":NaN,"b":-Infinity}"#, .notFinite),
            (#"{"a":"unavailable","b":"Unknown"}"#, .unavailable), (#"{"a":"nan","b":"inf"}"#, .notFinite),
            ("{}", .missingSeries),
            (#"{"a":1e999,"b":-1e999}"#, .outOfRange), (#"{"a":null}"#, .noSamples), ("[1,2]", .missingSeries),
            ("3", .missingSeries),
            (#"{"a":nan}"#, .invalidJSON), (#"{"a":NaNN}"#, .invalidJSON), (#"{"a":+Infinity}"#, .invalidJSON),
            (#"{"a":-I}"#, .invalidJSON), ("", .invalidJSON), (#"{"a":1,"b":2"#, .invalidJSON),
            (#"{"a":1}x"#, .invalidJSON),
        ] as [(String, TelemetryFault)])
    func failsWithTheReason(payload: String, reason: TelemetryFault) throws {
        let result = try parse(payload)
        #expect(result.outcome == .failed(reason))
        #expect(result.values.isEmpty)
    }

    @Test func refusesLargePayloadsUnread() throws {
        let limits = TelemetryParser.Limits(payloadBytes: 10)
        #expect(try parse(#"{"a":1234}"#, limits: limits).outcome == .processed)
        #expect(try parse(#"{"a":12345}"#, limits: limits).outcome == .failed(.tooLarge))
    }

    @Test(
        arguments: [
            (#""2014-04-10T00:04:00Z""#, 1_397_088_240_000_000_000), ("1397088240", 1_397_088_240_000_000_000),
            ("1397088240123456789", 1_397_088_240_123_456_789), (#""1397088240123""#, 1_397_088_240_123_000_000),
        ] as [(String, Int64)])
    func readsTheTime(time: String, nanoseconds: Int64) throws {
        let result = try parse(#"{"a": 1, "t": \#(time)}"#, ["/a"], timestamp: "/t")
        #expect(result.times == [nanoseconds])
        #expect(result.faults.isEmpty)
    }

    @Test(
        arguments: [
            (#", "t": "yesterday""#, .badTimestamp), ("", .badTimestamp), (#", "t": 17"#, .badTimestamp),
            (#", "t": null"#, .badTimestamp), (#", "t": "2014-04-10T00:04:00""#, .noTimeZone),
        ] as [(String, TelemetryFault)])
    func usesTheTimeReceivedWhereNoneCanBeRead(member: String, reason: TelemetryFault) throws {
        let result = try parse(#"{"a": 1\#(member)}"#, ["/a"], timestamp: "/t")
        #expect(result.outcome == .processed)
        #expect(Set(result.times) == [42])
        #expect(result.faults == [TelemetryParser.Fault(series: nil, reason: reason)])
    }

    @Test(arguments: [
        ("21.5", 21.5), (" -3e2\r\n", -300), ("+.5", 0.5), ("007", 7), ("ON", 1), ("off\n", 0), ("True", 1),
        ("closed", 0),
    ])
    func readsPlainNumbers(payload: String, value: Double) throws {
        #expect(try parse(payload, [""], format: .number).values == ["": value])
    }

    @Test(
        arguments: [
            ("", .notANumber), (" ", .notANumber), ("1 2", .notANumber), ("21,5", .notANumber), ("0x1F", .notANumber),
            ("\"5\"", .notANumber), ("1e", .notANumber), ("one", .notANumber), ("nan", .notFinite),
            ("-INF", .notFinite),
            ("unavailable", .unavailable), ("unknown\n", .unavailable), ("-", .unavailable), ("1e999", .outOfRange),
        ] as [(String, TelemetryFault)])
    func refusesWhatIsNoPlainNumber(payload: String, reason: TelemetryFault) throws {
        #expect(try parse(payload, [""], format: .number).outcome == .failed(reason))
    }

    @Test(arguments: [
        ("9007199254740992", false), ("9007199254740993", true), ("-9007199254740993", true),
        ("18446744073709551615", true),
        ("18446744073709549568", false), ("123456789012345678901", true), ("1e300", false), ("0.1", false),
    ])
    func integersThatAreRoundedAreNoted(text: String, isRounded: Bool) throws {
        let result = try parse("{\"a\":\(text)}", ["/a"])
        #expect(result.values["/a"] == Double(text))
        #expect(result.reasons == (isRounded ? [.rounded] : []))
        #expect(try parse(text, [""], format: .number).reasons == (isRounded ? [.rounded] : []))
    }

    @Test func numbersInStringsCountWhenAskedFor() throws {
        let text = #"{"a":"21.5","b":"ON"}"#
        #expect(try parse(text).outcome == .failed(.wrongType))
        #expect(try parse(text, readsStrings: true).values == ["/a": 21.5, "/b": 1])
        #expect(try parse(#"{"a":"warm","b":"1e999"}"#, readsStrings: true).reasons == [.wrongType, .outOfRange])
    }

    @Test func refusesAmbiguousDeclarations() throws {
        #expect(throws: TelemetryParser.ConfigurationFault.noSeries) { try parse("1", []) }
        #expect(throws: TelemetryParser.ConfigurationFault.repeatedName("/a")) { try parse("1", ["/a", "/a"]) }
        #expect(throws: TelemetryParser.ConfigurationFault.numberHasOneSeries) {
            try parse("1", ["/a", "/b"], format: .number)
        }
    }

    @Test func randomBytesNeverTrap() throws {
        var generator = SeededGenerator(state: 5)
        for _ in 0..<20000 {
            let count = Int.random(in: 0..<40, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            _ = try parse(String(decoding: bytes, as: UTF8.self))
            _ = try? scan(bytes, ["/a", "", "/0"])
        }
    }
}
