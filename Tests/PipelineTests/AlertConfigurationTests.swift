// SPDX-License-Identifier: Apache-2.0

import Alerts
import Foundation
import TestSupport
import Testing

@testable import Pipeline

/// Rules and the folder of the state, as the configuration writes them.
struct AlertConfigurationTests {
    private func yaml(_ rules: String) -> String {
        """
        broker: { url: "mqtt://localhost" }
        sources: { press: { topics: [t], kind: telemetry } }
        pipelines:
          p:
            from: press
            anomaly: { series: { temp: /t, flow: /f } }
            alerts:
              r: \(rules)
        """
    }

    private func parse(_ yaml: String, folder: String = "/nowhere") throws -> Configuration {
        try Configuration(yaml: yaml, folder: folder, environment: [:])
    }

    private func faults(_ yaml: String) -> [ConfigurationFault] { faultsOf { try parse(yaml) } }

    private func rule(_ text: String) throws -> Configuration.AlertSection {
        try #require(try parse(yaml(text)).pipelines[0].alerts.first)
    }

    @Test(
        arguments: [
            ("{ anomaly: temp }", .anomaly(series: "temp")),
            ("{ series: temp, above: 90 }", .above(series: "temp", limit: 90, clear: 90)),
            ("{ series: temp, below: 5, clear: 7.5 }", .below(series: "temp", limit: 5, clear: 7.5)),
            ("{ series: temp, outside: [1, 9], margin: 0.5 }", .outside(series: "temp", low: 1, high: 9, margin: 0.5)),
            (
                "{ series: temp, rises: 5, within: 10min }",
                .change(series: "temp", direction: .rises, amount: 5, within: .seconds(600))
            ),
            (
                "{ series: temp, falls: 5, within: 1h }",
                .change(series: "temp", direction: .falls, amount: 5, within: .seconds(3600))
            ),
            ("{ silence: 5min }", .silence(series: nil, .seconds(300))),
            ("{ silence: 5min, series: flow }", .silence(series: "flow", .seconds(300))),
            ("{ not: { anomaly: temp } }", .not(.anomaly(series: "temp"))),
            (
                "{ all: [ { series: temp, above: 90 }, { any: [ { anomaly: flow }, { not: { silence: 1s } } ] } ] }",
                .all([
                    .above(series: "temp", limit: 90, clear: 90),
                    .any([.anomaly(series: "flow"), .not(.silence(series: nil, .seconds(1)))]),
                ])
            ),
        ] as [(String, Configuration.AlertSection.Condition)])
    func conditions(text: String, condition: Configuration.AlertSection.Condition) throws {
        #expect(try rule(text).condition == condition)
        let configuration = try parse(yaml(text))
        #expect(try parse(configuration.yaml) == configuration)
    }

    @Test func lifeOfAnAlert() throws {
        let text = """
            { anomaly: temp, for: 5s, clear_after: 10s, cool_down: 1min, severity: info,
              escalate: { warning: 5min, critical: 1h }, flapping: { openings: 3, within: 2min } }
            """
        let rule = try rule(text)
        #expect(rule.minimumDuration == .seconds(5) && rule.clearAfter == .seconds(10) && rule.coolDown == .seconds(60))
        #expect(
            rule.escalation == [
                .init(severity: .warning, after: .seconds(300)), .init(severity: .critical, after: .seconds(3600)),
            ])
        #expect(rule.flapping == .init(openings: 3, within: .seconds(120)))
        #expect(try self.rule("{ anomaly: temp, flapping: off }").flapping == nil)
        let configuration = try parse(yaml(text))
        #expect(try parse(configuration.yaml) == configuration)
    }

    /// Line 8, columns from the rule on: the text begins at column 10.
    @Test(arguments: [
        ("{ anomaly: temp, silence: 1s }", 10, "exactly one of"),
        ("{ all: [] }", 17, "a list of conditions"),
        ("{ all: [ { anomaly: tmep } ] }", 30, "unknown series 'tmep'"),
        ("{ not: { above: 3 } }", 17, "'series' is missing"),
        ("{ any: [ { class: person } ] }", 19, "belongs to a pipeline that detects"),
        ("{ all: [ { anomaly: temp, for: 1s } ] }", 36, "unknown key 'for'"),
        ("{ series: temp, rises: 5 }", 10, "'within' is missing"),
        ("{ series: temp, rises: -1, within: 1s }", 33, "greater than 0"),
        ("{ series: temp, above: 5, margin: 1 }", 44, "'margin' means nothing beside 'above'"),
        ("{ series: temp, above: 5, clear: 6 }", 43, "at most the limit"),
        ("{ anomaly: temp, escalate: { info: 1s } }", 45, "a higher severity than the rule's"),
        ("{ anomaly: temp, severity: info, escalate: { critical: 1s, warning: 2s } }", 65, "must be later"),
        ("{ anomaly: temp, flapping: { openings: 1 } }", 49, "must be 2 to 100"),
        ("{ silence: 0s }", 21, "longer than 0"),
    ])
    func faultsHaveTheirPlaces(text: String, column: Int, message: String) throws {
        let found = faults(yaml(text))
        let fault = try #require(found.first { $0.message.contains(message) }, "found: \(found)")
        #expect(fault.line == 8 && fault.column == column)
    }

    @Test func nestingHasABound() {
        let deep = String(repeating: "{ not: ", count: 100) + "{ anomaly: temp }" + String(repeating: " }", count: 100)
        #expect(faults(yaml(deep)).contains { $0.message.contains("nested") })
        let many = "{ any: [" + Array(repeating: "{ anomaly: temp }", count: 33).joined(separator: ", ") + "] }"
        #expect(faults(yaml(many)).contains { $0.message.contains("at most 32") })
    }

    @Test(arguments: [
        ("{ class: red }", 1...1000), ("{ class: red, at_least: 3 }", 3...1000), ("{ class: red, at_most: 0 }", 0...0),
        ("{ class: red, at_least: 1, at_most: 2 }", 1...2),
    ])
    func countsOfAClass(text: String, range: ClosedRange<Int>) throws {
        let folder = try TemporaryFolder()
        _ = try folder.write("colors.bsm", "")
        let camera = """
            broker: { url: "mqtt://localhost" }
            sources: { yard: { topics: [t], kind: frames } }
            models: { colors: { file: colors.bsm } }
            pipelines: { p: { from: yard, detect: { model: colors }, alerts: { r: \(text) } } }
            """
        let configuration = try parse(camera, folder: folder.path)
        #expect(configuration.pipelines[0].alerts[0].condition == .classCount("red", count: range))
        #expect(try parse(configuration.yaml, folder: folder.path) == configuration)
    }

    @Test func stateGoesIntoAFolder() throws {
        let base = yaml("{ anomaly: temp }")
        #expect(try parse(base).stateDirectory == nil)
        let configuration = try parse(base + "\nstate_dir: state")
        #expect(configuration.stateDirectory == "/nowhere/state")
        #expect(try parse(configuration.yaml) == configuration)
        let found = faults(base + "\nstate_dir: /proc/self/status")
        #expect(found.count == 1 && found[0].message.contains("is not a folder") && found[0].line == 9)
    }
}
