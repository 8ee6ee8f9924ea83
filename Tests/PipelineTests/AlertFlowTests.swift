// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import Synchronization
import TestSupport
import Testing

@testable import Pipeline

/// Alerts, status and reports as other services see them.
struct AlertFlowTests {
    @Test func anAlertOpensIsUpdatedAndCloses() async throws {
        let bench = try FlowBench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines:
              health:
                from: press
                anomaly: { series: { temperature: /temp } }
                alerts: { hot: { series: temperature, above: 90, clear: 80, clear_after: 0s, severity: critical } }
            """)
        bench.broker.publishTelemetry(89)
        bench.broker.publishTelemetry(91)
        #expect(await eventually { bench.observer.states("health/a/hot").count == 1 })
        // News of an open alert are published once a second.
        let value = Atomic(91)
        #expect(
            await eventually {
                bench.broker.publishTelemetry(value.add(1, ordering: .relaxed).newValue)
                return bench.observer.states("health/a/hot").count == 2
            })
        bench.broker.publishTelemetry(85)
        bench.broker.publishTelemetry(79)
        #expect(await eventually { bench.observer.states("health/a/hot").last?.state == "closed" })
        let alerts = bench.observer.states("health/a/hot")
        #expect(alerts.first?.state == "open" && alerts.first?.rule == "hot" && alerts.first?.source?.key == "a")
        #expect(Set(alerts.map(\.id)).count == 1)
        // Who comes later finds how it stands.
        let kept = try #require(bench.broker.retained["brokerside/gate/alerts/health/a/hot"])
        #expect(Document(kept)?.state == "closed")
        bench.stop()
    }

    @Test func whatANetworkSeesRaisesAlerts() async throws {
        let bench = try FlowBench(
            """
            sources: { yard: { topics: ["cameras/+/frame"], kind: frames } }
            models: { colors: { file: MODEL } }
            pipelines:
              colors:
                from: yard
                detect: { model: colors }
                alerts: { fire: { class: red, clear_after: 0s } }
            """)
        @Sendable func state() -> String? {
            bench.broker.retained["brokerside/gate/alerts/colors/east/fire"].flatMap { Document($0) }?.state
        }
        bench.publish("cameras/east/frame", Frames.green)
        #expect(await bench.settled(1))
        #expect(state() == nil)
        bench.publish("cameras/east/frame", Frames.red)
        #expect(await bench.settled(2))
        #expect(state() == "open")
        bench.publish("cameras/east/frame", Frames.blue)
        #expect(await eventually { state() == "closed" })
        bench.stop()
        // Scores are no state, so they are not kept.
        #expect(bench.broker.retained.keys.allSatisfy { $0.contains("/alerts/") || $0.hasSuffix("/status") })
    }

    @Test func statusIsOnlineThenOfflineWhicheverWayItEnds() async throws {
        let sections = """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines: { health: { from: press, anomaly: { series: { temperature: /temp } } } }
            """
        let bench = try FlowBench(sections)
        @Sendable func status() -> String? {
            bench.broker.retained["brokerside/gate/status"].flatMap { Document($0) }?.status
        }
        #expect(await eventually { status() == "online" })
        bench.cutResults()
        #expect(status() == "offline")
        bench.letIn()
        #expect(await eventually { status() == "online" })
        bench.stop()
        #expect(status() == "offline")
    }

    @Test func theLastReportHasTheWholeAccount() async throws {
        let bench = try FlowBench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines: { health: { from: press, anomaly: { series: { temperature: /temp } } } }
            """)
        for number in 0..<7 { bench.broker.publishTelemetry(number) }
        bench.publish("plant/a/telemetry", "x")
        #expect(await bench.settled(8))
        bench.stop()
        let report = try #require(bench.observer.documents("report").last?.sources?.first)
        #expect(report.name == "press" && report.received == 8 && report.processed == 7 && report.inFlight == 0)
        #expect(report.failed.reasons == ["invalid_json": 1] && report.shed.total == 0)
    }

    @Test func reportsComeByThemselves() async throws {
        let bench = try FlowBench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines: { health: { from: press, anomaly: { series: { temperature: /temp } } } }
            results: { report_every: 1s }
            """)
        #expect(await eventually { !bench.observer.documents("report").isEmpty })
        bench.stop()
    }
}
