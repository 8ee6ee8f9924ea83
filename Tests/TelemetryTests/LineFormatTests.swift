// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Telemetry

struct CSVSamplesTests {
    @Test func columnsByNumber() throws {
        var parser = try TelemetryParser.make(.csv, ["/1", "/2"], timestamp: "/0")
        let reading = parser.read("1700000000, 21.5 ,\"3\"\r\n1700000001,22,ON\n")
        #expect(reading.samples.map(\.value) == [21.5, 3, 22, 1])
        #expect(
            reading.times.map { $0 / 1_000_000_000 } == [1_700_000_000, 1_700_000_000, 1_700_000_001, 1_700_000_001])
        #expect(reading.faults.isEmpty)
    }

    @Test func columnsByName() throws {
        var parser = try TelemetryParser.make(.csv, ["/temp"], timestamp: "/time")
        let reading = parser.read("time;room;temp\n2014-04-10T00:04:00Z;kitchen;21.5")
        #expect(reading.samples.map(\.value) == [21.5])
        #expect(reading.times == [1_397_088_240_000_000_000])
        #expect(parser.read("time\troom\n1700000000\tx").outcome == .failed(.missingSeries))
    }

    @Test func findsColumnsByThemselves() throws {
        var parser = try TelemetryParser.make(.csv)
        #expect(parser.read("21.5,kitchen,3\n22,hall,unavailable").values == ["0": 22, "2": 3])
        #expect(parser.faults == [SampleFault(series: 1, reason: .unavailable)])
        #expect(parser.read("a,b.c\n1,x\n2,3").values == ["a": 2, "b~2c": 3])
    }

    @Test(
        arguments: [
            ("", .noSamples), ("\n\r\n", .noSamples), ("a,b\n", .noSamples), ("1,\"2", .invalidCSV),
            ("1,\"2\"3", .invalidCSV), ("1,2\"", .invalidCSV), ("7", .missingSeries), ("1,x", .notANumber),
            ("1,", .unavailable), ("1,nan", .notFinite), ("1,1e999", .outOfRange),
        ] as [(String, TelemetryFault)])
    func refusesWithTheReason(text: String, reason: TelemetryFault) throws {
        var parser = try TelemetryParser.make(.csv, ["/1"])
        #expect(parser.read(text).outcome == .failed(reason))
        #expect(parser.read(text).samples.isEmpty)
    }

    @Test func aShortLineLacksItsColumns() throws {
        var parser = try TelemetryParser.make(.csv, ["/0", "/2"])
        let reading = parser.read("1,2,3\n4\n5,6,7,8")
        #expect(reading.samples.map(\.value) == [1, 3, 4, 5, 7])
        #expect(reading.faults == [SampleFault(series: 1, reason: .missingSeries)])
    }

    @Test func refusesPointersThatAreNoColumns() throws {
        #expect(throws: TelemetryParser.ConfigurationFault.notAColumn("/a/b")) {
            try TelemetryParser.make(.csv, ["/a/b"])
        }
    }
}

struct InfluxSamplesTests {
    @Test func readsFieldsTagsAndTime() throws {
        var parser = try TelemetryParser.make(.influx)
        let reading = parser.read(
            """
            # comment
            cpu,host=b,core=0 usage=1.5,count=7i,up=t,name="a, b=c \\"x\\"",big=18446744073709551615u 1700000000000000000
            weather temp=-3e1

            """)
        #expect(
            reading.values == [
                "cpu,core=0,host=b.usage": 1.5, "cpu,core=0,host=b.count": 7, "cpu,core=0,host=b.up": 1,
                "cpu,core=0,host=b.big": 0x1p64, "weather.temp": -30,
            ])
        #expect(reading.times == [1, 1, 1, 1].map { $0 * 1_700_000_000_000_000_000 } + [42])
        #expect(reading.reasons == [.wrongType, .rounded])
    }

    @Test func namesDoNotDependOnTheOrderOfTags() throws {
        var parser = try TelemetryParser.make(.influx)
        #expect(parser.read("m,b=2,a=1 v=1").names == ["m,a=1,b=2.v"])
        #expect(parser.read("m,a=1,b=2 v=2").names == ["m,a=1,b=2.v"])
    }

    @Test func declaredSeriesAskForTags() throws {
        var parser = try TelemetryParser.make(.influx, ["/cpu,host=a/usage", "/cpu/usage", "/my m/a~1b"])
        let reading = parser.read("cpu,core=1,host=a usage=1,other=9\ncpu,host=b usage=2\nmy\\ m a/b=3\nnet x=1")
        #expect(reading.samples.map(\.series) == [0, 1, 2])
        #expect(reading.samples.map(\.value) == [1, 2, 3])
        #expect(reading.faults.isEmpty)
    }

    @Test(arguments: [
        "m", "m ", ",a=1 v=1", "m v", "m v=", "m =1", "m v=1,", "m v=1 12x", "m v=1 1 2", "m v=\"1", "m ,v=1",
    ])
    func aLineThatIsNoneSpoilsNoOther(line: String) throws {
        var parser = try TelemetryParser.make(.influx, ["/ok/v"])
        let reading = parser.read("ok v=1\n\(line)\nok v=2\n")
        #expect(reading.samples.map(\.value) == [1, 2], "\(line)")
        #expect(reading.reasons == [.invalidLine], "\(line)")
        #expect(parser.read(line).outcome == .failed(.invalidLine))
    }

    @Test func theTimeMayHaveAnotherUnit() throws {
        var parser = try TelemetryParser.make(.influx, timestamp: "", TimeReading(unit: .seconds))
        #expect(parser.read("m v=1 1700000000").times == [1_700_000_000_000_000_000])
        var automatic = try TelemetryParser.make(.influx)
        #expect(automatic.read("m v=1 1700000000123").times == [1_700_000_000_123_000_000])
        #expect(automatic.read("m v=1 17").reasons == [.badTimestamp])
    }

    @Test func manyBeginningsNeedBoundedMemory() throws {
        var parser = try TelemetryParser.make(.influx, ["/m,id=7/v"])
        for number in 0..<70_000 { _ = parser.read("m,id=\(number) v=1,w=2") }
        #expect(parser.read("m,id=7 v=5").samples.map(\.value) == [5])
    }

    @Test func refusesPointersThatAreNoFields() throws {
        #expect(throws: TelemetryParser.ConfigurationFault.notAField("/cpu")) {
            try TelemetryParser.make(.influx, ["/cpu"])
        }
    }
}

struct HostileLinesTests {
    /// Pieces that lines are made of, in any order, and any byte.
    @Test(arguments: [PayloadFormat.csv, .influx, .json, .number, .sparkplug], [1, 2])
    func nothingTraps(format: PayloadFormat, seed: Int) throws {
        var generator = SeededGenerator(state: UInt64(seed))
        var parsers = [
            try TelemetryParser.make(
                format, format == .influx ? ["/m/v"] : ["/a"], timestamp: format == .number ? nil : "/t")
        ]
        if format != .number { parsers.append(try TelemetryParser.make(format, readsStrings: true)) }
        let pieces = [
            "m", ",", " ", "=", "v", "\"", "\\", "\n", "\r", ";", "\t", "1", "-", "i", "u", "t", "#", "{", "}", "[",
            "]", ":",
            "\"a\"", "null", "NaN", "-Infinity", "1e9", "unavailable", "\u{FEFF}", "1700000000",
        ]
        for _ in 0..<3000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<24, using: &generator) {
                if Int.random(in: 0..<20, using: &generator) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &generator))
                } else {
                    bytes += pieces.randomElement(using: &generator).map { Array($0.utf8) } ?? []
                }
            }
            for index in parsers.indices {
                let reading = parsers[index].read(bytes, topic: "spBv1.0/g/NDATA/n")
                if case .failed = reading.outcome { #expect(reading.samples.isEmpty) }
                #expect(reading.samples.allSatisfy { $0.value.isFinite && reading.names.indices.contains($0.series) })
            }
        }
    }
}
