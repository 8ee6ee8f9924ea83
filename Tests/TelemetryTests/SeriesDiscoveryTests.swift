// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Telemetry

struct SeriesDiscoveryTests {
    private func find(_ text: String, _ discovery: inout SeriesDiscovery) -> [String: String] {
        var copy = Array(text.utf8)
        let found = copy.withUnsafeMutableBytes { discovery.find(in: UnsafeRawBufferPointer($0)) }
        return Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.pointer.description) })
    }

    @Test func everyNumberAndBooleanIsASeries() {
        var discovery = SeriesDiscovery()
        let found = find(
            #"{"Time":"2026-01-01T00:00:00","ENERGY":{"Power":[5,6.5],"a/b":1,"ok":true},"s":"12","n":null}"#,
            &discovery)
        #expect(
            found == [
                "ENERGY.Power.0": "/ENERGY/Power/0", "ENERGY.Power.1": "/ENERGY/Power/1", "ENERGY.a~1b": "/ENERGY/a~1b",
                "ENERGY.ok": "/ENERGY/ok",
            ])
    }

    @Test func knownSeriesAreFoundOnce() {
        var discovery = SeriesDiscovery()
        #expect(find(#"{"t":1}"#, &discovery) == ["t": "/t"])
        #expect(find(#"{"t":2,"u":3}"#, &discovery) == ["u": "/u"])
        #expect(find(#"{"t":2,"u":3}"#, &discovery).isEmpty)
    }

    @Test func aPlainNumberIsOneSeries() {
        var discovery = SeriesDiscovery()
        #expect(find("21.5", &discovery) == ["value": ""])
    }

    @Test(arguments: ["", "{", "\u{1}", "[1,]", #"{"a":NaN}"#])
    func whatIsNotJSONHasNoSeries(text: String) {
        var discovery = SeriesDiscovery()
        #expect(find(text, &discovery).isEmpty)
    }

    @Test func theNumberOfSeriesIsBounded() {
        var discovery = SeriesDiscovery()
        let members = (0..<1000).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        #expect(find("{\(members)}", &discovery).count == SeriesDiscovery.capacity)
        #expect(find("{\"other\":1}", &discovery).isEmpty)
    }

    @Test func namesAreSingleLevelsOfTopics() {
        var discovery = SeriesDiscovery()
        let found = find(#"{"a+b":{"c#":1},"x\u0001":2}"#, &discovery)
        #expect(Set(found.keys) == ["a_b.c_", "x_"])
    }
}
