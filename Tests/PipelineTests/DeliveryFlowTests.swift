// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import TestSupport
import Testing

@testable import Pipeline

/// QoS 1, shutdown, and what names a result.
struct DeliveryFlowTests {
    private func bench(_ source: String = "qos: 1", broker: InMemoryBroker = InMemoryBroker()) throws -> FlowBench {
        try FlowBench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry, \(source) } }
            pipelines: { health: { from: press, anomaly: { series: { temperature: /temp } } } }
            """, broker: broker)
    }

    @Test func aDeliveryIsFinishedOnlyAfterItsResultWasAccepted() async throws {
        let bench = try bench()
        bench.cutResults()
        for number in 0..<3 { bench.broker.publishTelemetry(number, qos: .atLeastOnce) }
        #expect(await eventually { bench.processor.report.publishing.queued >= 3 })
        #expect(bench.books().inFlight == 3 && bench.books().processed == 0)
        bench.letIn()
        #expect(await bench.settled(3))
        #expect(bench.books().processed == 3)
        bench.stop()
    }

    @Test func whatComesAgainHasOneResult() async throws {
        let bench = try bench()
        bench.cutResults()
        for number in 0..<3 { bench.broker.publishTelemetry(number, qos: .atLeastOnce) }
        #expect(await eventually { bench.books().inFlight == 3 })
        bench.broker.drop(clientID: "gate-press")
        bench.letIn()
        #expect(await bench.settled(6))
        bench.stop()
        #expect(bench.books().processed == 3 && bench.books().shed == ["duplicate": 3])
        let scores = bench.observer.documents("scores")
        #expect(scores.compactMap { $0.results?.first?.value } == [0, 1, 2])
        #expect(Set(scores.compactMap(\.id)).count == 3)
    }

    /// Equal values are no doubles.
    @Test func equalMessagesHaveAResultEach() async throws {
        let bench = try bench()
        for _ in 0..<3 { bench.publish("plant/a/telemetry", "{\"temp\": 1}", qos: .atLeastOnce) }
        #expect(await bench.settled(3))
        bench.stop()
        #expect(bench.books().processed == 3)
        #expect(bench.observer.documents("scores").count == 3)
    }

    @Test func stoppingFinishesWhatIsInFlight() async throws {
        let bench = try bench("qos: 0")
        for number in 0..<500 { bench.broker.publishTelemetry(number) }
        #expect(await eventually { bench.books().received > 0 })
        bench.stop()
        let books = bench.books()
        #expect(books.isExact && books.inFlight == 0)
        #expect(books.processed == books.received)
        #expect(bench.observer.documents("scores").count == Int(books.processed))
    }

    @Test func whatIsNotFinishedByTheDeadlineIsShedAndNotAcknowledged() async throws {
        let bench = try bench()
        bench.cutResults()
        for number in 0..<5 { bench.broker.publishTelemetry(number, qos: .atLeastOnce) }
        #expect(await eventually { bench.processor.report.publishing.queued == 5 })
        bench.processor.stop(within: .milliseconds(50))
        #expect(bench.books().isExact && bench.books().inFlight == 0)
        #expect(bench.books().shed == ["shutdown": 5])
        bench.observer.stop()
        bench.broker.refuse(nil)
        // The broker still has them for the next run.
        let next = try self.bench(broker: bench.broker)
        #expect(await next.settled(5))
        #expect(next.books().processed == 5)
        next.stop()
    }

    @Test func theSameMessageGivesTheSameIdInEveryRun() async throws {
        var ids: [[String]] = []
        for _ in 0..<2 {
            let bench = try bench("qos: 0, timestamp: /time")
            bench.publish("plant/a/telemetry", "{\"temp\": 1, \"time\": \"2026-01-31T12:00:00Z\"}")
            bench.publish("plant/b/telemetry", "{\"temp\": 1, \"time\": \"2026-01-31T12:00:00Z\"}")
            bench.publish("plant/a/telemetry", "{\"temp\": 1, \"time\": \"2026-01-31T12:00:01Z\"}")
            #expect(await bench.settled(3))
            bench.stop()
            ids.append(bench.observer.documents("scores").compactMap(\.id))
        }
        #expect(Set(ids[0]).count == 3)
        #expect(ids[0] == ids[1])
    }
}
