// SPDX-License-Identifier: Apache-2.0

import Alerts
import Dispatch
import Streaming
import Telemetry

/// What one pipeline made of one message.
struct PipelineResult: Sendable {
    /// Position of the pipeline in the configuration.
    var pipeline: Int
    /// Nil when the pipeline publishes only what is unusual and this was not.
    var document: ResultDocument?
    var facts: [AlertDesk.Observation]
}

/// The last stage: alerts and publication, in the order of the messages of a key.
///
/// - In: results of workers. On their way to the queue are at most as many as the lanes let messages be open.
/// - Out: documents, to the connection for results.
/// - Finishes each delivery when all its documents have an outcome.
///
/// `@unchecked Sendable`: `board` is touched on `queue` alone, checked by `dispatchPrecondition`.
final class ResultStage: @unchecked Sendable {
    /// How the results of one pipeline go out.
    struct Route: Sendable {
        var qos: QualityOfService
        var maxAgeNanoseconds: Int64?
    }

    private let queue = DispatchQueue(label: "brokerside.results")
    private let publisher: ResultPublisher
    private let routes: [Route]
    private let board: AlertBoard
    private let timer: any DispatchSourceTimer

    /// How often time alone may change alerts.
    private static let tickMilliseconds = 200

    init(publisher: ResultPublisher, routes: [Route], board: AlertBoard) {
        self.publisher = publisher
        self.routes = routes
        self.board = board
        timer = DispatchSource.makeTimerSource(queue: queue)
        timer.schedule(
            deadline: .now() + .milliseconds(ResultStage.tickMilliseconds),
            repeating: .milliseconds(ResultStage.tickMilliseconds))
        timer.setEventHandler { [weak self] in self?.board.tick(at: .now) }
        timer.activate()
    }

    deinit { timer.cancel() }

    /// Runs `body` after everything that was handed over before.
    func perform(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

    /// Returns when everything that was handed over is done.
    func waitUntilIdle() { queue.sync {} }

    /// Publishes the results of a message and the alerts that follow from them. On the stage's queue.
    func publish(_ results: [PipelineResult], of delivery: Delivery) {
        dispatchPrecondition(condition: .onQueue(queue))
        var parts: [(document: ResultDocument, qos: QualityOfService, deadline: Int64?)] = []
        var change = StateChange()
        for result in results {
            let route = routes[result.pipeline]
            if let document = result.document {
                let deadline = route.maxAgeNanoseconds.map { delivery.receivedAt.monotonicNanoseconds + $0 }
                parts.append((document, route.qos, deadline))
            }
            for fact in result.facts {
                board.observe(
                    fact, pipeline: result.pipeline, key: delivery.key, topic: delivery.message.topic,
                    at: delivery.receivedAt, into: &change)
            }
        }
        let count = parts.count + change.outputs.count
        if count > 0 { delivery.split(into: count) }
        board.send(change) { delivery.finish($0) }
        for part in parts {
            publisher.publish(part.document, qos: part.qos, deadline: part.deadline) { delivery.finish($0) }
        }
        if count == 0 { delivery.finish(.processed) }
    }

    /// Alerts that follow from what no message brought. From any thread.
    func tell(_ findings: [SourceFinding], at now: Instant) {
        queue.async { [self] in
            var change = StateChange()
            for finding in findings {
                board.observe(
                    finding.observation, pipeline: finding.pipeline, key: finding.key, topic: finding.topic, at: now,
                    into: &change)
            }
            board.send(change)
        }
    }

    /// Goes on with alerts that another run has left on the bus; `done` is called on the stage's queue.
    func adopt(_ messages: [Message], done: @escaping @Sendable (_ adopted: Int, _ cleared: Int) -> Void) {
        queue.async { [self] in
            let (adopted, cleared) = board.adopt(messages, at: .now)
            done(adopted, cleared)
        }
    }

    /// Asks an edge node of Sparkplug for its births. From any thread.
    func ask(_ node: SparkplugNode, at now: Instant) {
        let bytes = node.rebirthCommand(unixNanoseconds: now.unixNanoseconds)
        publisher.send(Message(topic: node.commandTopic, payload: Payload(bytes)))
    }

    /// Does what a command asks for; `reply` is called on the stage's queue.
    func handle(verb: String, _ message: Message, reply: @escaping @Sendable (AlertReply) -> Void) {
        queue.async { [self] in reply(board.handle(verb: verb, message, at: .now)) }
    }
}
