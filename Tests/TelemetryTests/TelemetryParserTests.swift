// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import Telemetry

@Suite struct TelemetryParserTests {
    private static let receivedAt = Instant(monotonicNanoseconds: 1, unixNanoseconds: 42)

    private struct Result {
        var outcome: ParseOutcome
        var values: [Int: Double]
        var faults: [TelemetryParser.Fault]
        var time: Int64?
    }

    private func parse(
        _ payload: String, _ pointers: [String] = ["/a", "/b"], format: PayloadFormat = .json, timestamp: String? = nil,
        limits: TelemetryParser.Limits = TelemetryParser.Limits()
    ) throws -> Result {
        var parser = try TelemetryParser(
            format: format, series: pointers.map { SeriesDeclaration(name: $0, pointer: try JSONPointer($0)) },
            timestamp: try timestamp.map { try JSONPointer($0) }, limits: limits)
        var samples = [Sample(series: 9, value: 9, unixNanoseconds: 9)]
        let bytes = Payload(payload)
        let outcome = parser.parse(
            UnsafeRawBufferPointer(bytes.bytes), receivedAt: TelemetryParserTests.receivedAt, into: &samples)
        return Result(
            outcome: outcome, values: Dictionary(uniqueKeysWithValues: samples.map { ($0.series, $0.value) }),
            faults: parser.faults, time: samples.first?.unixNanoseconds)
    }

    @Test func givesASampleForEachSeries() throws {
        let result = try parse(#"{"a": 21.5, "b": true}"#)
        #expect(result.outcome == .processed)
        #expect(result.values == [0: 21.5, 1: 1])
        #expect(result.time == 42)
        #expect(result.faults.isEmpty)
    }

    @Test func otherSeriesCountBesideAFault() throws {
        let result = try parse(#"{"a": "21.5", "b": 2}"#)
        #expect(result.outcome == .processed)
        #expect(result.values == [1: 2])
        #expect(result.faults == [TelemetryParser.Fault(series: 0, reason: .wrongType)])
    }

    @Test(
        arguments: [
            (#"{"a":null,"b":"x"}"#, TelemetryFault.wrongType), (#"{"a":{},"b":[]}"#, .wrongType),
            ("{}", .missingSeries),
            (#"{"a":1e999,"b":-1e999}"#, .outOfRange), (#"{"a":null}"#, .noSamples), ("[1,2]", .missingSeries),
            ("3", .missingSeries),
            (#"{"a":NaN}"#, .invalidJSON), ("", .invalidJSON), (#"{"a":1,"b":2"#, .invalidJSON),
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
        #expect(result.time == nanoseconds)
        #expect(result.faults.isEmpty)
    }

    @Test(arguments: [#", "t": "yesterday""#, "", #", "t": 17"#, #", "t": null"#, #", "t": "2014-04-10T00:04:00""#])
    func usesTheTimeReceivedWhereNoneCanBeRead(member: String) throws {
        let result = try parse(#"{"a": 1\#(member)}"#, ["/a"], timestamp: "/t")
        #expect(result.outcome == .processed)
        #expect(result.time == 42)
        #expect(result.faults == [TelemetryParser.Fault(series: nil, reason: .badTimestamp)])
    }

    @Test(arguments: [("21.5", 21.5), (" -3e2\r\n", -300), ("+.5", 0.5), ("007", 7)])
    func readsPlainNumbers(payload: String, value: Double) throws {
        #expect(try parse(payload, [""], format: .number).values == [0: value])
    }

    @Test(arguments: ["", " ", "nan", "inf", "ON", "1 2", "21,5", "0x1F", "\"5\"", "1e", "unavailable"])
    func refusesWhatIsNoPlainNumber(payload: String) throws {
        #expect(try parse(payload, [""], format: .number).outcome == .failed(.notANumber))
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
