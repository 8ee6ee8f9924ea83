// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import Synchronization
import TestSupport
import Testing

@testable import Pipeline

/// Events, explanations and commands, as other services see them.
struct AlertLifeFlowTests {
    private static let hot = """
        sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
        pipelines:
          health:
            from: press
            anomaly: { series: { temperature: /temp, flow: /flow } }
            alerts: { hot: { series: temperature, above: 90, clear: 80, clear_after: 0s } }
        """

    private func bench(_ sections: String = hot) throws -> FlowBench { try FlowBench(sections) }

    /// Sends a command and gives the reply.
    private func command(
        _ bench: FlowBench, _ verb: String, _ payload: String, retained: Bool = false,
        responseTopic: String? = nil, correlation: [UInt8]? = nil
    ) async -> (message: Message, reply: Reply)? {
        var properties = MessageProperties()
        properties.responseTopic = responseTopic
        properties.correlationData = correlation
        let topic = "brokerside/gate/command/alerts/\(verb)"
        let expected = responseTopic ?? topic + "/reply"
        let before = bench.observer.messages.count { $0.topic == expected }
        bench.broker.publish(
            Message(topic: topic, payload: Payload(payload), retained: retained, properties: properties))
        _ = await eventually { bench.observer.messages.count { $0.topic == expected } > before }
        guard let message = bench.observer.messages.last(where: { $0.topic == expected }) else { return nil }
        return Reply(message).map { (message, $0) }
    }

    struct Reply: Decodable {
        struct Alert: Decodable {
            var id: String
            var key: String
            var rule: String
            var state: String
        }

        struct Fault: Decodable {
            var code: String
            var message: String
        }

        var ok: Bool
        var command: String
        var correlation: String?
        var count: Int?
        var alerts: [Alert]?
        var error: Fault?

        init?(_ message: Message) {
            guard let reply = try? JSONDecoder().decode(Reply.self, from: Data(message.payload.array)) else {
                return nil
            }
            self = reply
        }
    }

    @Test func everyChangeIsAnEventAndAnAlertExplainsItself() async throws {
        let bench = try bench()
        for value in [70, 71, 95, 79] { bench.broker.publishTelemetry(value) }
        #expect(await eventually { bench.observer.events("health/a/hot").count == 2 })
        let events = bench.observer.events("health/a/hot")
        #expect(events.map(\.event) == ["opened", "closed"])
        #expect(Set(events.map(\.alert)).count == 1 && Set(events.map(\.id)).count == 2)
        #expect(events[0].since == events[1].since && events[1].closedAt != nil)
        let explanation = try #require(events[0].explanation)
        #expect(explanation.series == "temperature" && explanation.value == 95 && explanation.peak == 95)
        #expect(explanation.samples?.map(\.value) == [70, 71, 95])
        #expect(events[0].source?.topic == "plant/a/telemetry" && events[0].result?.count == 32)
        #expect(events[1].explanation?.value == 79)
        // Events are no state.
        bench.stop()
        #expect(!bench.broker.retained.keys.contains { $0.hasSuffix("/events") })
    }

    @Test func aKeyHasOneAlertWhicheverTopicItsFactsComeBy() async throws {
        let bench = try bench(
            AlertLifeFlowTests.hot.replacing(#""plant/+/telemetry""#, with: #""plant/+/telemetry", "spare/+/state""#))
        bench.broker.publishTelemetry(95)
        bench.publish("spare/a/state", #"{"temp": 60, "flow": 1}"#)
        #expect(await eventually { bench.observer.events("health/a/hot").count == 2 })
        let events = bench.observer.events("health/a/hot")
        #expect(events.map(\.event) == ["opened", "closed"] && events[0].alert == events[1].alert)
        #expect(events.map { $0.source?.topic } == ["plant/a/telemetry", "spare/a/state"])
        bench.stop()
    }

    @Test func combinationTellsOfEachOfItsConditions() async throws {
        let bench = try bench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines:
              health:
                from: press
                anomaly: { series: { temperature: /temp, flow: /flow } }
                alerts:
                  dry: { all: [ { series: temperature, above: 90 }, { not: { series: flow, above: 2 } } ], clear_after: 0s }
            """)
        bench.publish("plant/a/telemetry", #"{"temp": 95, "flow": 3}"#)
        bench.publish("plant/a/telemetry", #"{"temp": 96, "flow": 1}"#)
        #expect(await eventually { bench.observer.events("health/a/dry").count == 1 })
        let event = try #require(bench.observer.events("health/a/dry").first)
        #expect(event.condition == "temperature above 90.0 and not (flow above 2.0)")
        #expect(event.explanation?.conditions?.map(\.holds) == [true, false])
        #expect(event.explanation?.value == 96)
        bench.stop()
    }

    @Test func acknowledgingMarksTheAlertAndRepliesToWhoAsked() async throws {
        let bench = try bench()
        bench.broker.publishTelemetry(95)
        #expect(await eventually { bench.observer.states("health/a/hot").count == 1 })
        let id = try #require(bench.observer.states("health/a/hot").first?.id)
        let answer = try #require(
            await command(
                bench, "acknowledge", #"{"id": "\#(id)", "by": "anna", "note": "on it", "correlation": "7"}"#,
                responseTopic: "brokerside/gate/command/answers", correlation: [1, 2, 3]))
        #expect(answer.reply.ok && answer.reply.alerts?.map(\.id) == [id])
        #expect(answer.message.properties.correlationData == [1, 2, 3] && answer.reply.correlation == "7")
        #expect(!answer.message.retained)
        #expect(await eventually { bench.observer.events("health/a/hot").last?.event == "acknowledged" })
        let state = try #require(bench.broker.retained["brokerside/gate/alerts/health/a/hot"].flatMap { Document($0) })
        #expect(
            state.state == "acknowledged" && state.acknowledged?.by == "anna" && state.acknowledged?.note == "on it")
        bench.broker.publishTelemetry(60)
        #expect(await eventually { bench.observer.states("health/a/hot").last?.state == "closed" })
        bench.stop()
    }

    @Test func silenceKeepsWhatItCoversFromOpeningUntilItIsEnded() async throws {
        let bench = try bench()
        let silenced = try #require(
            await command(bench, "silence", #"{"pipeline": "health", "key": "a", "rule": "hot", "duration": "1h"}"#))
        #expect(silenced.reply.ok && silenced.reply.count == 0)
        bench.broker.publishTelemetry(95)
        bench.publish("plant/b/telemetry", #"{"temp": 95, "flow": 1}"#)
        #expect(await eventually { bench.observer.states("health/b/hot").count == 1 })
        #expect(bench.observer.states("health/a/hot").isEmpty)
        let ended = try #require(
            await command(bench, "silence", #"{"pipeline": "health", "key": "a", "rule": "hot", "duration": "0s"}"#))
        #expect(ended.reply.ok)
        #expect(await eventually { bench.observer.events("health/a/hot").map(\.event) == ["opened"] })
        bench.stop()
    }

    @Test(arguments: [
        ("acknowledge", "{}", "missing_field"), ("acknowledge", "x", "invalid_json"),
        ("acknowledge", "[]", "invalid_json"),
        ("acknowledge", #"{"id": 5}"#, "invalid_field"), ("acknowledge", #"{"id": "0"}"#, "not_found"),
        ("acknowledge", #"{"ide": "0"}"#, "unknown_field"), ("acknowledge", #"{"rule": "hot"}"#, "not_found"),
        ("silence", #"{"rule": "hot"}"#, "missing_field"),
        ("silence", #"{"rule": "hot", "duration": "soon"}"#, "invalid_field"),
        ("silence", #"{"rule": "hot", "duration": "99999h"}"#, "invalid_field"),
        ("silence", #"{"rule": "hot", "duration": "0s"}"#, "not_found"),
        ("silence", #"{"id": "0", "duration": "1s"}"#, "not_found"), ("delete", #"{"rule": "hot"}"#, "unknown_command"),
        ("silence", #"{"note": ""# + String(repeating: "x", count: 5000) + #""}"#, "too_large"),
    ])
    func badCommandsGetTheReason(verb: String, payload: String, code: String) async throws {
        let bench = try bench()
        let answer = try #require(await command(bench, verb, payload))
        #expect(!answer.reply.ok && answer.reply.error?.code == code && answer.reply.error?.message.isEmpty == false)
        bench.stop()
        let counted = bench.observer.documents("report").last?.alerts?.commands
        #expect(counted?.done == 0 && counted?.refused.reasons == [code: 1])
    }

    @Test func retainedCommandsAreRefused() async throws {
        let broker = InMemoryBroker()
        broker.publish(
            Message(
                topic: "brokerside/gate/command/alerts/silence",
                payload: Payload(#"{"rule": "hot", "duration": "1h"}"#),
                retained: true))
        let bench = try FlowBench(AlertLifeFlowTests.hot, broker: broker)
        #expect(await eventually { bench.observer.messages.contains { $0.topic.hasSuffix("/silence/reply") } })
        let reply = bench.observer.messages.last { $0.topic.hasSuffix("/silence/reply") }.flatMap { Reply($0) }
        #expect(reply?.error?.code == "retained")
        bench.stop()
    }

    @Test(arguments: ["a/+/b", "brokerside/gate/status", "brokerside/gate/command/alerts/silence", "$SYS/x"])
    func repliesNeverGoWhereTheyWouldPassForSomethingElse(topic: String) async throws {
        let bench = try bench()
        var properties = MessageProperties()
        properties.responseTopic = topic
        bench.broker.publish(
            Message(topic: "brokerside/gate/command/alerts/acknowledge", payload: Payload("{}"), properties: properties)
        )
        #expect(
            await eventually {
                bench.observer.messages.contains { $0.topic == "brokerside/gate/command/alerts/acknowledge/reply" }
            })
        bench.stop()
    }

    @Test func alertsReachTheBrokerAlsoWhenItWasAwayAndTheQueueWasFull() async throws {
        let bench = try bench(AlertLifeFlowTests.hot + "\nresults: { queue: 1 }")
        bench.cutResults()
        for key in 0..<20 { bench.publish("plant/k\(key)/telemetry", #"{"temp": 95, "flow": 1}"#) }
        bench.letIn()
        #expect(await eventually { bench.broker.retained.keys.count { $0.hasSuffix("/hot") } == 20 })
        bench.stop()
    }

    @Test func ruleOfASeriesNameTakesThePlaceOfTheSeriesOwnAlert() async throws {
        let bench = try bench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines:
              health:
                from: press
                anomaly: { series: { temperature: /temp } }
                alerts: { temperature: { anomaly: temperature, for: 1h } }
            """)
        for index in 0..<200 { bench.broker.publishTelemetry(70 + index % 3) }
        for _ in 0..<5 { bench.broker.publishTelemetry(5000) }
        #expect(await bench.settled(205))
        bench.stop()
        #expect(bench.observer.documents("scores").contains { $0.results?.first?.alarm == true })
        #expect(bench.observer.documents("alerts").isEmpty)
    }

    @Test func withoutStateOpenAlertsAreTakenOverFromTheBusAndStaleOnesTakenAway() async throws {
        let rules = "hot: { series: temperature, above: 90, clear_after: 0s }, warm: { series: temperature, above: 50 }"
        func sections(_ rules: String) -> String {
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines:
              health: { from: press, anomaly: { series: { temperature: /temp } }, alerts: { \(rules) } }
            """
        }
        let first = try FlowBench(sections(rules))
        first.broker.publishTelemetry(95)
        #expect(await eventually { first.broker.retained.keys.count { $0.contains("/alerts/") } == 2 })
        let opened = first.broker.retained["brokerside/gate/alerts/health/a/hot"].flatMap { Document($0) }
        first.stop()

        let second = try FlowBench(
            sections("hot: { series: temperature, above: 90, clear_after: 0s }"), broker: first.broker)
        #expect(await eventually { !second.broker.retained.keys.contains { $0.hasSuffix("/warm") } })
        second.broker.publishTelemetry(20)
        #expect(await eventually { second.observer.events("health/a/hot").last?.event == "closed" })
        let events = second.observer.events("health/a/hot")
        #expect(events.count == 1 && events.first?.since == opened?.since && events.first?.alert == opened?.id)
        second.stop()
    }
}
