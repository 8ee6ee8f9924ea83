// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import Testing

@testable import Pipeline

struct ConfigurationTests {
    private let minimal = """
        broker: { url: "mqtt://localhost" }
        sources:
          press: { topics: ["plant/+/telemetry"], kind: telemetry }
        pipelines:
          health: { from: press, anomaly: { series: { temperature: /temp } } }
        """

    private func parse(_ yaml: String, environment: [String: String] = [:]) throws -> Configuration {
        try Configuration(yaml: yaml, folder: "/nowhere", environment: environment)
    }

    private func faults(_ yaml: String) -> [ConfigurationFault] { faultsOf { try parse(yaml) } }

    @Test func aSmallFileIsEnough() throws {
        let configuration = try parse(minimal)
        #expect(configuration.sources.map(\.name) == ["press"])
        #expect(configuration.pipelines.map(\.name) == ["health"])
        #expect(configuration.results.prefix == "brokerside")
        #expect(!configuration.node.isEmpty)
    }

    @Test func fiveFaultsGiveFiveMessagesWithTheirPlaces() {
        let found = faults(
            """
            broker: { url: "http://localhost" }
            sources:
              yard: { topics: ["a/#/b"], kind: frames, qos: 2 }
              press: { topics: [t], kind: telemetry, max_age: 5 parsecs }
            pipelines:
              health: { from: pres, anomaly: { series: { temperature: /temp } } }
            """)
        #expect(found.count == 5)
        #expect(found.map(\.line) == [1, 3, 3, 4, 6])
        #expect(found.map(\.column) == [16, 20, 49, 51, 19])
        #expect(found.last?.message.contains("did you mean 'press'") == true)
    }

    @Test(arguments: [
        ("brokre: x", "unknown key 'brokre'; did you mean 'broker'?"), ("node: ''", "a name is"),
        ("http: {}", "no HTTP"), ("log: { level: loud }", "unknown value 'loud'"),
        ("results: { prefix: 'a/+' }", "a prefix is a topic"),
    ])
    func namesWhatIsWrong(line: String, message: String) {
        #expect(faults(minimal + "\n" + line).contains { $0.message.contains(message) })
    }

    @Test func brokenYAMLHasLineAndColumn() {
        let found = faults("broker: {\n  url: [\n")
        #expect(found.count == 1)
        #expect((found.first?.line ?? 0) >= 2)
    }

    @Test func aKeyGivenTwiceIsAFault() {
        #expect(faults(minimal + "\nbroker: { url: \"mqtt://other\" }").isEmpty == false)
    }

    @Test func environmentVariablesAreSubstituted() throws {
        let yaml = minimal.replacingOccurrences(
            of: "url: \"mqtt://localhost\"", with: "url: \"mqtt://${HOST}:1884\", password: \"${SECRET}\"")
        let configuration = try parse(yaml, environment: ["HOST": "example.org", "SECRET": "s3"])
        #expect(configuration.broker.url == "mqtt://example.org:1884")
        #expect(configuration.broker.password == "s3")
        #expect(throws: ConfigurationError.self) { try parse(yaml, environment: ["HOST": "x"]) }
    }

    @Test func aPasswordInTheFileIsRefused() {
        let yaml = minimal.replacingOccurrences(of: "localhost\"", with: "localhost\", password: hunter2")
        #expect(faults(yaml).contains { $0.message.contains("does not belong into this file") })
    }

    @Test func qualityOfServiceTwoIsRefusedWithTheReason() {
        let yaml = minimal.replacingOccurrences(of: "kind: telemetry", with: "kind: telemetry, qos: 2")
        #expect(faults(yaml).contains { $0.message.contains("handshake") })
    }

    @Test func defaultsFollowTheQualityOfService() throws {
        let lossless = try parse(minimal.replacingOccurrences(of: "kind: telemetry", with: "kind: telemetry, qos: 1"))
        #expect(lossless.sources[0].overload == .block)
        #expect(lossless.sources[0].maxAge == nil)
        let fresh = Configuration.SourceSection(name: "f", topics: [], kind: .frames)
        #expect(fresh.overload == .latest && fresh.maxAge == .seconds(5))
    }

    @Test func printedConfigurationReadsBackAsTheSame() throws {
        let configuration = try parse(
            minimal + """

                node: gate-1
                results: { prefix: "a \\"b\\"/c", qos: 1, report_every: 90s }
                log: { level: debug }
                """)
        #expect(try parse(configuration.yaml) == configuration)
    }

    @Test func printedAlertsReadBackAsTheSame() throws {
        let configuration = try parse(
            minimal.replacingOccurrences(
                of: "/temp } } }",
                with: """
                    /temp }, false_alarms: 2/week, publish: alarms }, alerts: {
                      hot: { series: temperature, above: 90, clear: 85.5, for: 1500ms, severity: critical },
                      cold: { series: temperature, below: 1 }, odd: { series: temperature, outside: [1, 9] },
                      gone: { silence: 1h, clear_after: 0s } } }
                    """))
        #expect(configuration.pipelines[0].alerts.count == 4)
        #expect(try parse(configuration.yaml) == configuration)
    }
}

struct QuantitiesTests {
    @Test(arguments: [
        ("5ms", 5_000_000), ("2s", 2_000_000_000), ("1.5h", 5_400_000_000_000), ("0", 0), ("3us", 3000),
        ("1min", 60_000_000_000), ("2m", 120_000_000_000),
    ])
    func durations(text: String, nanoseconds: Int64) {
        #expect(Quantities.duration(text) == .nanoseconds(nanoseconds))
    }

    @Test(arguments: ["", "s", "-1s", "5", "1 s", "nan s", "1e400s", "5sec", "99999999999d", "0x5s", "infs"])
    func textsThatAreNoDurations(text: String) { #expect(Quantities.duration(text) == nil) }

    @Test(arguments: [("512", 512), ("64KB", 65536), ("2MB", 2_097_152), ("1gb", 1_073_741_824), ("7B", 7)])
    func sizes(text: String, bytes: Int) { #expect(Quantities.size(text) == bytes) }

    @Test(arguments: ["", "MB", "-1", "1TB!", "9999999999GB"])
    func textsThatAreNoSizes(text: String) { #expect(Quantities.size(text) == nil) }
}
