// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import TestSupport
import Testing

@testable import Pipeline

/// Alerts beside a real broker, through crashes of the program.
@Suite(.serialized) struct ProgramAlertTests {
    private func sections(_ folder: TemporaryFolder, rules: String) -> String {
        """
        state_dir: \(folder.file("state"))
        sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry, qos: 1 } }
        pipelines:
          health:
            from: press
            anomaly: { series: { temperature: /temp } }
            alerts: { \(rules) }
        results: { report_every: 1s }
        """
    }

    private static let hot = "hot: { series: temperature, above: 90, clear: 80, clear_after: 100ms }"

    @Test func openAlertSurvivesAKillAndClosesOnceWithItsBeginning() async throws {
        let folder = try TemporaryFolder()
        let bench = try ProgramBench(sections(folder, rules: ProgramAlertTests.hot))
        let client = try bench.connect()
        defer { client.stop() }
        var program = try bench.startProgram()
        #expect(await client.waitForProgram())
        client.publishTelemetry(95)
        #expect(await eventually { client.events("health/a/hot").map(\.event) == ["opened"] })
        let opened = try #require(client.events("health/a/hot").first)

        program.kill()
        #expect(await program.wait() == .signal(9))
        program = try bench.startProgram()
        // Between the thresholds it neither opens again nor closes.
        #expect(await eventually { client.documents("status").last?.status == "online" })
        client.publishTelemetry(85)
        #expect(await eventually { client.scoredValues.contains(85) })
        program.kill()
        #expect(await program.wait() == .signal(9))
        program = try bench.startProgram()
        client.publishTelemetry(60)
        #expect(await eventually { client.events("health/a/hot").count >= 2 })
        program.terminate()
        #expect(await program.wait() == .exit(0))

        let events = client.events("health/a/hot")
        #expect(events.map(\.event) == ["opened", "closed"])
        #expect(
            events.map(\.since) == [opened.since, opened.since] && events.map(\.alert) == [opened.alert, opened.alert])
        let kept = try #require(client.states("health/a/hot").last)
        #expect(kept.state == "closed" && kept.since == opened.since && kept.closedAt == events[1].closedAt)
        // Nothing more comes from a start without anything to tell.
        program = try bench.startProgram()
        #expect(await client.waitForProgram())
        program.terminate()
        #expect(await program.wait() == .exit(0))
        #expect(client.events("health/a/hot").count == 2)
    }

    @Test func killsAtAnyMomentNeitherLoseNorInventAnAlert() async throws {
        let folder = try TemporaryFolder()
        let bench = try ProgramBench(
            sections(folder, rules: "hot: { series: temperature, above: 90, clear_after: 0s, flapping: off }"))
        let client = try bench.connect()
        defer { client.stop() }
        var program = try bench.startProgram()
        #expect(await client.waitForProgram())
        // What was published shortly before a kill may come twice, with the same id.
        @Sendable func events() -> [Document] {
            var ids: Set<String> = []
            return client.events("health/a/hot").filter { ids.insert($0.id ?? "").inserted }
        }
        for round in 0..<4 {
            client.publishTelemetry(round % 2 == 0 ? 95 : 60)
            // As soon as there is anything to see of it, or a little later.
            #expect(await eventually { events().count > round })
            let states = round / 2 + 1
            if round % 2 == 1 { #expect(await eventually { client.states("health/a/hot").count >= states }) }
            program.kill()
            #expect(await program.wait() == .signal(9))
            program = try bench.startProgram()
        }
        #expect(await client.waitForProgram())
        program.terminate()
        #expect(await program.wait() == .exit(0))
        let events = events()
        #expect(events.map(\.event) == ["opened", "closed", "opened", "closed"])
        for pair in 0..<2 {
            #expect(events[2 * pair].alert == events[2 * pair + 1].alert)
            #expect(events[2 * pair].since == events[2 * pair + 1].since)
        }
    }

    @Test func alertsOfRemovedRulesAreTakenFromTheBus() async throws {
        let folder = try TemporaryFolder()
        let bench = try ProgramBench(
            sections(folder, rules: ProgramAlertTests.hot + ", warm: { series: temperature, above: 50 }"))
        let client = try bench.connect()
        var program = try bench.startProgram()
        #expect(await client.waitForProgram())
        client.publishTelemetry(95)
        #expect(await eventually { !client.states("health/a/warm").isEmpty && !client.states("health/a/hot").isEmpty })
        program.terminate()
        #expect(await program.wait() == .exit(0))
        client.stop()

        let next = try ProgramBench(
            sections(folder, rules: ProgramAlertTests.hot), mosquitto: bench.mosquitto, folder: folder)
        program = try next.startProgram()
        let cleared = try bench.connect(id: "cleared")
        #expect(await eventually { cleared.messages.contains { $0.topic.hasSuffix("/warm") && $0.payload.count == 0 } })
        // Who waits for its closing hears of it, and why.
        #expect(await eventually { cleared.events("health/a/warm").contains { $0.event == "closed" } })
        let closed = try #require(cleared.events("health/a/warm").last)
        #expect(closed.reason == "rule_removed" && closed.state == "closed" && closed.closedAt != nil)
        cleared.stop()
        let later = try bench.connect(id: "later")
        #expect(await eventually { later.messages.contains { $0.topic == "brokerside/gate/alerts/health/a/hot" } })
        #expect(!later.messages.contains { $0.topic.hasSuffix("/warm") })
        later.stop()
        program.terminate()
        #expect(await program.wait() == .exit(0))
    }

    @Test func damagedStateIsSetAsideAndTheProgramGoesOn() async throws {
        let folder = try TemporaryFolder()
        let bench = try ProgramBench(sections(folder, rules: ProgramAlertTests.hot))
        let client = try bench.connect()
        defer { client.stop() }
        try FileManager.default.createDirectory(atPath: folder.file("state"), withIntermediateDirectories: true)
        try Data(repeating: 0x5A, count: 100_000).write(to: URL(fileURLWithPath: folder.file("state/state.sqlite")))
        let program = try bench.startProgram()
        #expect(await client.waitForProgram())
        #expect(program.errors.contains("state set aside"))
        client.publishTelemetry(95)
        #expect(await eventually { client.events("health/a/hot").count == 1 })
        program.terminate()
        #expect(await program.wait() == .exit(0))
    }

    @Test func acknowledgementComesBackToWhoAskedWithItsCorrelationData() async throws {
        let folder = try TemporaryFolder()
        let bench = try ProgramBench(sections(folder, rules: ProgramAlertTests.hot))
        let client = try bench.connect()
        defer { client.stop() }
        let program = try bench.startProgram()
        #expect(await client.waitForProgram())
        client.publishTelemetry(95)
        #expect(await eventually { client.events("health/a/hot").count == 1 })
        var properties = MessageProperties()
        properties.responseTopic = "brokerside/answers/anna"
        properties.correlationData = [0, 255, 7]
        client.publish(
            Message(
                topic: "brokerside/gate/command/alerts/acknowledge", payload: Payload(#"{"rule": "hot"}"#),
                qos: .atLeastOnce, properties: properties))
        #expect(await eventually { client.messages.contains { $0.topic == "brokerside/answers/anna" } })
        let reply = try #require(client.messages.first { $0.topic == "brokerside/answers/anna" })
        #expect(reply.properties.correlationData == [0, 255, 7])
        #expect(await eventually { client.events("health/a/hot").last?.event == "acknowledged" })
        program.terminate()
        #expect(await program.wait() == .exit(0))
    }
}
