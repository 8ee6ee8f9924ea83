// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Logging
import Pipeline
import Streaming

/// The whole program on a broker, and a client beside it that feeds it and takes the results: never more than so many
/// messages are unanswered.
final class FlowRun {
    private let processor: StreamProcessor
    private let feeder: any BrokerConnection
    private let observer: any BrokerConnection
    /// One for each message that may be sent.
    private let tickets: DispatchSemaphore
    private let windowSize: Int

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// - Parameters:
    ///   - yaml: a configuration of one source that answers every message once.
    ///   - window: messages that may be unanswered.
    init(
        yaml: String, broker: any Broker, workers: Int, window: Int, answers filter: String,
        folder: String = FileManager.default.currentDirectoryPath
    ) throws {
        let configuration = try Configuration(yaml: yaml, folder: folder, environment: [:])
        processor = try StreamProcessor(
            StreamProcessor.Resources(configuration), broker: broker, workers: workers,
            logger: Logger(label: "benchmarks") { _ in SwiftLogNoOpLogHandler() })
        let tickets = DispatchSemaphore(value: window)
        self.tickets = tickets
        windowSize = window
        let ready = DispatchSemaphore(value: 0)
        guard let answers = TopicFilter(filter) else { throw Failure(description: "no filter: \(filter)") }
        observer = try broker.makeConnection(
            ConnectionOptions(clientID: "observer", subscriptions: [.init(filter: answers, qos: .atMostOnce)]),
            onMessage: { _ in tickets.signal() },
            onEvent: { if $0 == .subscribed { ready.signal() } })
        feeder = try broker.makeConnection(
            ConnectionOptions(clientID: "feeder", publishQueueCount: 1 << 20, publishQueueBytes: 1 << 30),
            onMessage: { _ in }, onEvent: { if case .connected = $0 { ready.signal() } })
        processor.start()
        observer.start()
        feeder.start()
        for _ in 0..<2 where ready.wait(timeout: .now() + 10) == .timedOut {
            throw Failure(description: "the broker does not answer")
        }
        // Its own subscription is there when a message has come through.
        Thread.sleep(forTimeInterval: 0.2)
    }

    /// Sends `count` messages and waits for all answers.
    /// - Returns: nanoseconds per message.
    /// - Throws: if an answer stays out.
    func run(_ count: Int, _ message: (Int) -> Message) throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        for number in 0..<count {
            try wait()
            feeder.publish(message(number), deadline: nil, finalize: nil) { _ in }
        }
        for _ in 0..<windowSize { try wait() }
        let time = Bench.nanoseconds(clock.now - start) / Double(count)
        for _ in 0..<windowSize { tickets.signal() }
        return time
    }

    private func wait() throws {
        guard tickets.wait(timeout: .now() + 10) == .success else {
            throw Failure(description: "no answer within 10 s; the books: \(processor.report.sources[0].balance)")
        }
    }

    func stop() {
        feeder.stop(within: .seconds(1))
        processor.stop(within: .seconds(5))
        observer.stop(within: .seconds(1))
    }
}
