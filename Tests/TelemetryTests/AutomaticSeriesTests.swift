// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Telemetry

struct AutomaticSeriesTests {
    @Test func everyNumberAndBooleanIsASeries() throws {
        var parser = try TelemetryParser.make(.json)
        let text =
            #"{"Time":"2026-01-01T00:00:00","ENERGY":{"Power":[5,6.5],"a/b":1,"a.b":2,"ok":true},"s":"12","n":null}"#
        #expect(
            parser.read(text).values == [
                "ENERGY.Power.0": 5, "ENERGY.Power.1": 6.5, "ENERGY.a~1b": 1, "ENERGY.a~2b": 2, "ENERGY.ok": 1,
            ])
        #expect(parser.faults.isEmpty)
    }

    @Test func seriesKeepTheirNumbers() throws {
        var parser = try TelemetryParser.make(.json)
        #expect(parser.read(#"{"t":1}"#).names == ["t"])
        #expect(parser.read(#"{"u":3,"t":2}"#).names == ["t", "u"])
        #expect(parser.read(#"{"u":3,"t":2}"#).values == ["t": 2, "u": 3])
    }

    @Test func whatASeriesLacksIsCountedOnceItIsKnown() throws {
        var parser = try TelemetryParser.make(.json)
        #expect(parser.read(#"{"t":null,"u":1}"#).reasons == [])
        _ = parser.read(#"{"t":1}"#)
        #expect(parser.read(#"{"t":null,"u":1}"#).reasons == [.nullValue])
        #expect(parser.read(#"{"t":"unavailable"}"#).outcome == .failed(.unavailable))
        #expect(parser.read(#"{"u":1}"#).reasons == [])
    }

    @Test func stringsCountWhenAskedFor() throws {
        var parser = try TelemetryParser.make(.json, readsStrings: true)
        #expect(parser.read(#"{"POWER":"ON","t":"21.5","name":"kitchen"}"#).values == ["POWER": 1, "t": 21.5])
    }

    @Test func aPlainNumberIsOneSeries() throws {
        var parser = try TelemetryParser.make(.json)
        #expect(parser.read("\"x\"").outcome == .failed(.noSamples))
        #expect(parser.read("21.5").values == ["value": 21.5])
        #expect(parser.read("\"x\"").outcome == .failed(.wrongType))
    }

    @Test(
        arguments: [
            ("on", 1, .processed), ("OFF\n", 0, .processed), ("+21.5", 21.5, .processed),
            ("unavailable", nil, .failed(.unavailable)), ("nan", nil, .failed(.notFinite)),
            ("hot", nil, .failed(.invalidJSON)),
            ("", nil, .failed(.invalidJSON)), (" ", nil, .failed(.invalidJSON)), ("1 2", nil, .failed(.invalidJSON)),
        ] as [(String, Double?, ParseOutcome)])
    func aStateThatIsNoJSONIsOneSeries(text: String, value: Double?, outcome: ParseOutcome) throws {
        var parser = try TelemetryParser.make(.json)
        let reading = parser.read(text)
        #expect(reading.outcome == outcome && reading.values["value"] == value)
        var declared = try TelemetryParser.make(.json, [""])
        #expect(declared.read(text).outcome == .failed(.invalidJSON))
    }

    @Test func anArrayOfObjectsIsASampleAnObject() throws {
        var parser = try TelemetryParser.make(.json, timestamp: "/ts")
        let reading = parser.read(#"[{"ts":1700000000,"t":1},{"ts":1700000001,"t":2,"u":[3]}]"#)
        #expect(reading.values(of: "t") == [1, 2] && reading.values(of: "u.0") == [3])
        #expect(reading.times == [1_700_000_000, 1_700_000_001, 1_700_000_001].map { $0 * 1_000_000_000 })
        #expect(reading.names == ["t", "u.0"])
    }

    @Test func lastOfRepeatedNamesCounts() throws {
        var parser = try TelemetryParser.make(.json)
        #expect(parser.read(#"{"a":1,"b":{"c":1,"d":2},"a":2,"b":{"d":3}}"#).values == ["a": 2, "b.d": 3])
        #expect(parser.read(#"{"a":1,"a":{"x":1},"a":{}}"#).samples.isEmpty)
        #expect(parser.read(#"{"b":{"c":1},"b":null}"#).samples.isEmpty)
    }

    @Test func namesAreSingleLevelsOfTopics() throws {
        var parser = try TelemetryParser.make(.json)
        let names = parser.read(#"{"a+b":{"c#":1},"x\u0001":2,"a_b":{"c_":3},"":4,"~":5}"#).names
        #expect(Set(names) == ["a~3b.c~4", "x~501", "a_b.c_", "~6", "~0"])
    }

    /// Brokers refuse control characters and code points that are no characters; some levels mean something else.
    @Test func namesAreTopicsThatBrokersTake() throws {
        var parser = try TelemetryParser.make(.json)
        let text =
            #"{"nul\u0000":1,"c\u0085":2,"n\uFDD0\uD83F\uDFFE":3,"events":4,"silence":{"":5},"silence.x":6}"#
        #expect(
            parser.read(text).names == [
                "nul~500", "c~585", "n~800fdd0~801fffe", "~7events", "silence.~6", "silence~2x",
            ])
        #expect(parser.read(#"{"events":4,"network":1}"#).values == ["~7events": 4, "~7network": 1])
    }

    @Test func nothingIsRememberedOfWhatIsNoSeries() throws {
        var scanner = JSONScanner([], grows: true)
        for number in 0..<1000 {
            let text = Array("{\"k\(number)\":{\"\\u0061\(number)\":\"x\"},\"t\":1}".utf8)
            try text.withUnsafeBytes { try scanner.scan($0) }
        }
        #expect(scanner.tree.nodeCount == 2)
    }

    @Test func waysToSeriesNeedBoundedMemory() throws {
        var scanner = JSONScanner([], grows: true, slotLimit: 100)
        for number in 0..<200 {
            let way = (0..<20).map { "{\"level\($0)-\(number)\":" }.joined()
            let text = Array((way + "1" + String(repeating: "}", count: 20)).utf8)
            try text.withUnsafeBytes { try scanner.scan($0) }
        }
        #expect(scanner.tree.nodeCount <= 400 && scanner.overflowCount > 0)
        try Array("{\"level0-0\":1}".utf8).withUnsafeBytes { try scanner.scan($0) }
        #expect(scanner.leaves.count == 1)
    }

    @Test func theNumberOfSeriesIsBounded() throws {
        var parser = try TelemetryParser.make(.json, limits: .init(samples: 100_000))
        let members = (0...SeriesNames.capacity).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        let reading = parser.read("{\(members)}")
        #expect(reading.samples.count == SeriesNames.capacity && reading.reasons == [.tooManySeries])
        #expect(parser.read(#"{"other":1}"#).outcome == .failed(.tooManySeries))
        #expect(parser.read(#"{"k0":1}"#).outcome == .processed)
    }

    @Test func curvesAreNoSeries() throws {
        var parser = try TelemetryParser.make(.json)
        let curve = "[" + Array(repeating: "1", count: 1000).joined(separator: ",") + "]"
        let reading = parser.read("{\"t\":1,\"curve\":\(curve)}")
        #expect(reading.samples.count == 1 + PathTree.elementLimit && reading.reasons == [.tooManySeries])
    }

    @Test func theSamplesOfAMessageAreBounded() throws {
        var parser = try TelemetryParser.make(.json, limits: .init(samples: 10))
        let rows = "[" + Array(repeating: #"{"t":1}"#, count: 15).joined(separator: ",") + "]"
        let reading = parser.read(rows)
        #expect(reading.samples.count == 10)
        #expect(reading.reasons == Array(repeating: .tooManySamples, count: 5))
    }
}

struct SampleArrayTests {
    @Test func eachElementIsASample() throws {
        var parser = try TelemetryParser.make(
            .json, ["/temp", "/vib/rms"], timestamp: "/ts", samples: "/data/readings")
        let reading = parser.read(
            """
            {"ts":1,"temp":9,"data":{"readings":[{"ts":"2014-04-10T00:04:00Z","temp":1,"vib":{"rms":2}},
            {"temp":3,"ts":1397088241}]}}
            """)
        #expect(reading.samples.map(\.value) == [1, 2, 3])
        #expect(reading.times == [1_397_088_240, 1_397_088_240, 1_397_088_241].map { $0 * 1_000_000_000 })
        #expect(reading.faults == [SampleFault(series: 1, reason: .missingSeries)])
    }

    @Test func elementsMayBeArrays() throws {
        var parser = try TelemetryParser.make(.json, ["/1"], timestamp: "/0", samples: "")
        let reading = parser.read("[[1700000000000,1.5],[1700000001000,2.5],[]]")
        #expect(reading.samples.map(\.value) == [1.5, 2.5])
        #expect(reading.reasons == [.badTimestamp, .missingSeries])
    }

    @Test(arguments: [#"{"r":[]}"#, #"{"s":[{"t":1}]}"#, "{}", "[]", "5"])
    func noElementsNoSamples(text: String) throws {
        var parser = try TelemetryParser.make(.json, ["/t"], samples: "/r")
        #expect(parser.read(text).outcome == .failed(.noSamples))
    }

    @Test func oneObjectInPlaceOfAnArrayIsOneSample() throws {
        var parser = try TelemetryParser.make(.json, ["/t"], samples: "/r")
        #expect(parser.read(#"{"\u0072":{"t":1}}"#).samples.map(\.value) == [1])
        #expect(parser.read(#"{"r":[{"t":1},{"t":2}],"r":[{"t":3}]}"#).samples.map(\.value) == [3])
    }

    @Test func automaticSeriesStartAtTheElement() throws {
        var parser = try TelemetryParser.make(.json, samples: "/r")
        let reading = parser.read(#"{"x":1,"r":[{"a":{"t":1}},{"a":{"t":2}}],"y":2}"#)
        #expect(reading.names == ["a.t"] && reading.samples.map(\.value) == [1, 2])
    }
}
