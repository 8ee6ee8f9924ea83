// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Streaming
import Synchronization
import TestSupport
import Testing

@testable import Pipeline

/// Every message has exactly one outcome, and the books say so at every moment.
struct AccountingFlowTests {
    @Test func booksAreExactAtEveryMomentWhileFourPublishersRun() async throws {
        let bench = try FlowBench(
            """
            sources:
              press: { topics: ["plant/+/telemetry"], kind: telemetry, queue: 16 }
              yard: { topics: ["cameras/+/frame"], kind: frames, max_age: 50ms, queue: 2 }
            models: { colors: { file: MODEL } }
            pipelines:
              health: { from: press, anomaly: { series: { temperature: /temp } } }
              colors: { from: yard, detect: { model: colors } }
            results: { queue: 50 }
            """)
        let running = Atomic(4)
        for publisher in 0..<4 {
            DispatchQueue.global().async {
                for number in 0..<400 {
                    switch (publisher, number % 5) {
                    case (0...1, 4): bench.publish("plant/\(publisher)/telemetry", "{")
                    case (0...1, _): bench.publish("plant/\(publisher)/telemetry", "{\"temp\": \(number)}")
                    case (_, 4): bench.publish("cameras/\(publisher)/frame", [0xFF, 0xD8])
                    default: bench.publish("cameras/\(publisher)/frame", Frames.red)
                    }
                }
                running.subtract(1, ordering: .sequentiallyConsistent)
            }
        }
        let looks = Atomic(0)
        let ended = await eventually {
            for source in bench.processor.report.sources { #expect(source.balance.isExact) }
            looks.add(1, ordering: .relaxed)
            return running.load(ordering: .sequentiallyConsistent) == 0
        }
        #expect(ended && looks.load(ordering: .relaxed) > 0)
        for source in 0..<2 {
            #expect(await bench.settled(800, source))
            #expect(bench.books(source).isExact)
        }
        bench.stop()
        // What was processed was published, and nothing else.
        #expect(bench.observer.documents("scores").count == Int(bench.books(0).processed))
        #expect(bench.observer.documents("detections").count == Int(bench.books(1).processed))
    }

    @Test func aMessageOfTwoPipelinesIsProcessedWhenBothHavePublished() async throws {
        let bench = try FlowBench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines:
              hot: { from: press, anomaly: { series: { temperature: /temp } } }
              loud: { from: press, anomaly: { series: { noise: /noise } } }
            """)
        bench.publish("plant/a/telemetry", "{\"temp\": 1, \"noise\": 2}")
        bench.publish("plant/a/telemetry", "{\"temp\": 1}")
        #expect(await bench.settled(2))
        bench.stop()
        #expect(bench.books().processed == 2)
        #expect(bench.observer.documents("scores/hot").count == 2)
        #expect(bench.observer.documents("scores/loud").count == 1)
    }

    @Test func aFullQueueOfResultsIsNamedAsTheReason() async throws {
        let bench = try FlowBench(
            """
            sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry } }
            pipelines: { hot: { from: press, anomaly: { series: { temperature: /temp } } } }
            results: { queue: 10 }
            """)
        bench.cutResults()
        for number in 0..<25 { bench.broker.publishTelemetry(number) }
        #expect(await eventually { bench.books().shedTotal == 15 })
        bench.letIn()
        #expect(await bench.settled(25))
        bench.stop()
        #expect(bench.books().shed == ["publish_queue_full": 15])
        #expect(bench.books().processed == 10)
    }
}

extension InMemoryBroker {
    /// A temperature from machine `a`, which connected clients get at once.
    func publishTelemetry(_ value: Int, qos: QualityOfService = .atMostOnce) {
        publish(Message(topic: "plant/a/telemetry", payload: Payload("{\"temp\": \(value)}"), qos: qos))
    }
}
