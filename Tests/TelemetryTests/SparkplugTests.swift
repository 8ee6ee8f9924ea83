// SPDX-License-Identifier: Apache-2.0

import Streaming
import SwiftProtobuf
import TestSupport
import Testing

@testable import Telemetry

/// Messages of the edge node `n` of group `g`.
struct SparkplugBench {
    var parser: TelemetryParser
    /// Seconds of the monotonic clock.
    var seconds = 100

    init(_ pointers: [String]? = nil, readsStrings: Bool = false) throws {
        parser = try .make(.sparkplug, pointers, readsStrings: readsStrings)
    }

    mutating func send(
        _ kind: String, device: String? = nil, node: String = "n", _ sequence: Int? = nil,
        _ metrics: [SparkplugMetric] = []
    ) throws -> Reading {
        var payload = SparkplugPayload()
        payload.timestamp = 1_700_000_000_000
        payload.metrics = metrics
        if let sequence { payload.seq = UInt64(sequence) }
        let topic = "spBv1.0/g/\(kind)/\(node)" + (device.map { "/\($0)" } ?? "")
        return read(try payload.serializedBytes(), topic: topic)
    }

    mutating func read(_ bytes: [UInt8], topic: String) -> Reading {
        let now = Instant(monotonicNanoseconds: Int64(seconds) * 1_000_000_000, unixNanoseconds: 42)
        return parser.read(bytes, topic: topic, receivedAt: now)
    }

    var asks: [String] { parser.rebirths.map(\.commandTopic) }

    static func birth(_ number: UInt64 = 7) -> [SparkplugMetric] {
        [
            metric("bdSeq", type: 8) { $0.longValue = number },
            metric("Node Control/Rebirth", alias: 2, type: 11) { $0.booleanValue = false },
            metric("Inputs/Level", alias: 100, type: 10) { $0.doubleValue = 21.5 },
        ]
    }

    static func level(_ value: Double) -> SparkplugMetric { metric(alias: 100) { $0.doubleValue = value } }
}

func metric(
    _ name: String? = nil, alias: UInt64? = nil, type: UInt32? = nil, _ set: (inout SparkplugMetric) -> Void
) -> SparkplugMetric {
    var metric = SparkplugMetric()
    if let name { metric.name = name }
    if let alias { metric.alias = alias }
    if let type { metric.datatype = type }
    set(&metric)
    return metric
}

struct SparkplugTests {
    @Test func birthsNameWhatDataMean() throws {
        var bench = try SparkplugBench()
        #expect(try bench.send("NBIRTH", 0, SparkplugBench.birth()).values == ["Inputs.Level": 21.5])
        let reading = try bench.send("NDATA", 1, [SparkplugBench.level(22.5)])
        #expect(reading.values == ["Inputs.Level": 22.5] && reading.faults.isEmpty)
        #expect(reading.times == [1_700_000_000_000_000_000])
        #expect(bench.asks.isEmpty)
    }

    /// Bytes written by hand from the specification: timestamp 1700000000000, a metric "t" of type Int8 with -5 and its own
    /// time, `seq` 0, and a field that nobody knows.
    @Test func readsTheWireFormat() throws {
        var bench = try SparkplugBench()
        let bytes: [UInt8] =
            [0x08, 0x80, 0xD0, 0x95, 0xFF, 0xBC, 0x31]
            + [0x12, 0x0F, 0x0A, 0x01, 0x74, 0x18, 0x81, 0xD0, 0x95, 0xFF, 0xBC, 0x31, 0x20, 0x01, 0x50, 0xFB, 0x01]
            + [0x18, 0x00] + [0xF2, 0x3E, 0x02, 0xAB, 0xCD]
        let reading = bench.read(bytes, topic: "spBv1.0/g/NBIRTH/n")
        #expect(reading.values == ["t": -5])
        #expect(reading.times == [1_700_000_000_001_000_000])
    }

    @Test func everyTruncationIsReadOrRefused() throws {
        var payload = SparkplugPayload()
        payload.metrics = SparkplugBench.birth()
        let bytes: [UInt8] = try payload.serializedBytes()
        for count in 1..<bytes.count {
            var bench = try SparkplugBench()
            let reading = bench.read(Array(bytes[..<count]), topic: "spBv1.0/g/NBIRTH/n")
            #expect(reading.samples.isEmpty)
        }
    }

    @Test func damagedPayloadsNeverTrap() throws {
        var generator = SeededGenerator(state: 9)
        var payload = SparkplugPayload()
        payload.timestamp = 1_700_000_000_000
        payload.metrics = SparkplugBench.birth()
        payload.seq = 1
        let whole: [UInt8] = try payload.serializedBytes()
        var bench = try SparkplugBench()
        for round in 0..<3000 {
            var bytes = whole
            for _ in 0...round % 3 {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            let kind = SparkplugTopic.Kind.allCases[round % SparkplugTopic.Kind.allCases.count].rawValue
            let reading = bench.read(bytes, topic: "spBv1.0/g/\(kind)/n" + (kind.hasPrefix("D") ? "/d" : ""))
            #expect(reading.samples.allSatisfy { $0.value.isFinite && reading.names.indices.contains($0.series) })
        }
    }

    @Test(arguments: [
        "g/NBIRTH/n", "spBv1.0/g/NBIRTH", "spBv1.0/g/NBIRTH/n/d", "spBv1.0/g/DDATA/n", "spBv1.0/g/XDATA/n",
        "spAv1.0/g/NDATA/n",
        "spBv1.0//NDATA/n", "spBv1.0/g/NDATA/n/d/e",
    ])
    func refusesOtherTopics(topic: String) throws {
        var bench = try SparkplugBench()
        #expect(bench.read([], topic: topic).outcome == .failed(.invalidSparkplug))
    }

    @Test func commandsAndHostStatesHaveNoSamples() throws {
        var bench = try SparkplugBench()
        for topic in ["spBv1.0/STATE/host", "spBv1.0/g/NCMD/n", "spBv1.0/g/DCMD/n/d"] {
            #expect(bench.read(Array("{\"online\":true}".utf8), topic: topic).outcome == .processed)
        }
        #expect(bench.asks.isEmpty)
    }

    // MARK: Sequence

    @Test func theSequenceWrapsAt256() throws {
        var bench = try SparkplugBench()
        _ = try bench.send("NBIRTH", 0, SparkplugBench.birth())
        for number in 1...600 {
            #expect(try bench.send("NDATA", number % 256, [SparkplugBench.level(1)]).faults.isEmpty)
        }
        #expect(bench.asks.isEmpty)
    }

    @Test func aGapAsksForBirthsOnce() throws {
        var bench = try SparkplugBench()
        _ = try bench.send("NBIRTH", 0, SparkplugBench.birth())
        let reading = try bench.send("NDATA", 5, [SparkplugBench.level(27)])
        #expect(reading.values == ["Inputs.Level": 27] && reading.reasons == [.sequenceGap])
        #expect(bench.asks == ["spBv1.0/g/NCMD/n"])
        #expect(try bench.send("NDATA", 6, [SparkplugBench.level(28)]).faults.isEmpty)
        #expect(bench.asks.isEmpty)
        _ = try bench.send("NDATA", 9, [SparkplugBench.level(28)])
        #expect(bench.asks.isEmpty, "asked again too soon")
        bench.seconds += 11
        _ = try bench.send("NDATA", 20, [SparkplugBench.level(28)])
        #expect(bench.asks == ["spBv1.0/g/NCMD/n"])
    }

    @Test func devicesShareTheSequenceOfTheirNode() throws {
        var bench = try SparkplugBench()
        _ = try bench.send("NBIRTH", 0, SparkplugBench.birth())
        _ = try bench.send("DBIRTH", device: "d", 1, [metric("t", alias: 200, type: 9) { $0.floatValue = 1.5 }])
        let reading = try bench.send("DDATA", device: "d", 2, [metric(alias: 200) { $0.floatValue = 2.5 }])
        #expect(reading.values == ["t": 2.5] && reading.faults.isEmpty)
        #expect(try bench.send("NDATA", 3, [SparkplugBench.level(1)]).faults.isEmpty)
    }

    // MARK: What was missed

    @Test func dataBeforeABirthAskForIt() throws {
        var bench = try SparkplugBench()
        let reading = try bench.send("NDATA", 3, [SparkplugBench.level(1)])
        #expect(reading.outcome == .failed(.unknownMetric))
        #expect(bench.asks == ["spBv1.0/g/NCMD/n"])
        let named = try bench.send("NDATA", 4, [metric("t", type: 3) { $0.intValue = UInt32(bitPattern: -7) }])
        #expect(named.values == ["t": -7])
    }

    @Test func aDeathEndsWhatWasBorn() throws {
        var bench = try SparkplugBench()
        _ = try bench.send("NBIRTH", 0, SparkplugBench.birth(7))
        let stale = try bench.send("NDEATH", nil, [metric("bdSeq", type: 8) { $0.longValue = 6 }])
        #expect(stale.outcome == .processed && stale.reasons == [.staleDeath])
        #expect(try bench.send("NDATA", 1, [SparkplugBench.level(1)]).values.count == 1)
        let death = try bench.send("NDEATH", nil, [metric("bdSeq", type: 8) { $0.longValue = 7 }])
        #expect(death.outcome == .processed && death.faults.isEmpty)
        #expect(try bench.send("NDATA", 2, [SparkplugBench.level(1)]).outcome == .failed(.unknownMetric))
        #expect(bench.asks == ["spBv1.0/g/NCMD/n"])
    }

    @Test func aDeviceThatDiedMustBeBornAgain() throws {
        var bench = try SparkplugBench()
        let birth = [metric("t", alias: 200, type: 9) { $0.floatValue = 1.5 }]
        _ = try bench.send("NBIRTH", 0, SparkplugBench.birth())
        _ = try bench.send("DBIRTH", device: "d", 1, birth)
        #expect(try bench.send("DDEATH", device: "d", 2).outcome == .processed)
        let lost = try bench.send("DDATA", device: "d", 3, [metric(alias: 200) { $0.floatValue = 2 }])
        #expect(lost.outcome == .failed(.unknownMetric) && bench.asks.count == 1)
        #expect(try bench.send("DBIRTH", device: "d", 4, birth).values == ["t": 1.5])
        #expect(try bench.send("NDATA", 5, [SparkplugBench.level(1)]).faults.isEmpty)
    }

    @Test func theCommandIsAsTheSpecificationSays() throws {
        let bytes = SparkplugNode(group: "g", node: "n").rebirthCommand(unixNanoseconds: 1_700_000_000_000_999_999)
        let payload = try SparkplugPayload(serializedBytes: bytes)
        let metric = try #require(payload.metrics.first)
        #expect(payload.metrics.count == 1 && payload.timestamp == 1_700_000_000_000 && !payload.hasSeq)
        #expect(metric.name == "Node Control/Rebirth" && metric.datatype == 11 && metric.booleanValue)
    }

    // MARK: Values

    @Test(
        arguments: [
            (1, 0xFB, -5), (1, 0xFFFF_FFFB, -5), (2, 0xFFFF, -1), (3, 0x8000_0000, -2_147_483_648),
            (4, UInt64(bitPattern: -9), -9), (5, 0xFB, 251), (6, 0xFFFF, 65535), (7, 0xFFFF_FFFF, 4_294_967_295),
            (8, 1 << 52, 4_503_599_627_370_496), (11, 1, 1),
        ] as [(UInt32, UInt64, Double)])
    func integersHaveTheirSigns(type: UInt32, bits: UInt64, value: Double) throws {
        var bench = try SparkplugBench()
        #expect(try bench.send("NBIRTH", 0, [metric("v", type: type) { $0.longValue = bits }]).values == ["v": value])
        if bits <= UInt32.max {
            #expect(
                try bench.send("NBIRTH", 0, [metric("v", type: type) { $0.intValue = UInt32(bits) }]).values == [
                    "v": value
                ])
        }
    }

    @Test func valuesThatAreNone() throws {
        var bench = try SparkplugBench()
        func property(_ quality: UInt32) -> SparkplugPropertySet {
            var value = SparkplugPropertyValue()
            value.intValue = quality
            var set = SparkplugPropertySet()
            set.keys = ["Quality"]
            set.values = [value]
            return set
        }
        let reading = try bench.send(
            "NBIRTH", 0,
            [
                metric("a", type: 10) { $0.isNull = true }, metric("b", type: 10) { $0.doubleValue = .nan },
                metric("c", type: 9) { $0.floatValue = -.infinity },
                metric("d", type: 8) { $0.longValue = .max }, metric("e", type: 12) { $0.stringValue = "21.5" },
                metric("f", type: 10) {
                    $0.doubleValue = 1
                    $0.isHistorical = true
                },
                metric("g", type: 10) {
                    $0.doubleValue = 1
                    $0.properties = property(500)
                },
                metric("h", type: 10) {
                    $0.doubleValue = 1
                    $0.properties = property(192)
                },
                metric("i", type: 10) { _ in }, metric("k", type: 13) { $0.longValue = 1_700_000_000_000 },
            ])
        #expect(reading.values == ["d": 0x1p64, "h": 1])
        #expect(
            reading.reasons == [.nullValue, .notFinite, .notFinite, .rounded, .historical, .badQuality, .nullValue])
    }

    @Test func stringsCountWhenAskedFor() throws {
        var bench = try SparkplugBench(readsStrings: true)
        let birth = [
            metric("e", type: 12) { $0.stringValue = "21.5" }, metric("f", type: 12) { $0.stringValue = "idle" },
        ]
        let reading = try bench.send("NBIRTH", 0, birth)
        #expect(reading.values == ["e": 21.5] && reading.reasons == [.wrongType])
    }

    @Test func declaredMetricsAreReadAlone() throws {
        var bench = try SparkplugBench(["/Inputs/Level", "/Node Control/Rebirth"])
        let reading = try bench.send("NBIRTH", 0, SparkplugBench.birth())
        #expect(reading.values == ["/Inputs/Level": 21.5, "/Node Control/Rebirth": 0])
        #expect(throws: TelemetryParser.ConfigurationFault.notAMetric("")) { try SparkplugBench([""]) }
    }

    @Test func devicesAndLongNamesNeedBoundedMemory() throws {
        var session = SparkplugSession()
        session.beginBirth(sequence: 0, birthDeathSequence: nil)
        for number in 0..<10_000 { session.beginBirth(ofDevice: "d\(number)") }
        #expect(session.entryCount == 4096)
        var bench = try SparkplugBench()
        let long = String(repeating: "x", count: 600)
        #expect(try bench.send("DBIRTH", device: long, 0).outcome == .failed(.invalidSparkplug))
        let reading = try bench.send("NBIRTH", 0, [metric(long, alias: 1, type: 10) { $0.doubleValue = 1 }])
        #expect(reading.outcome == .failed(.tooManySeries))
    }

    @Test func whatIsKnownOfNodesIsBounded() throws {
        var bench = try SparkplugBench(["/m0"])
        let birth = (0..<1000).map { number in
            metric("m\(number)", alias: UInt64(number), type: 10) { $0.doubleValue = 1 }
        }
        for node in 0..<40 { _ = try bench.send("NBIRTH", node: "n\(node)", 0, birth) }
        // Forty nodes of two thousand entries are more than there is room for.
        let data = [metric(alias: 0) { $0.doubleValue = 2 }]
        #expect(try bench.send("NDATA", node: "n39", 1, data).values == ["/m0": 2])
        #expect(try bench.send("NDATA", node: "n0", 1, data).outcome == .failed(.unknownMetric))
        #expect(bench.asks == ["spBv1.0/g/NCMD/n0"])
        #expect(try bench.send("NBIRTH", node: "n0", 0, birth).values == ["/m0": 1])
    }
}
