// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Logging
import Streaming
import Synchronization

/// The program's main job: messages in, results and alerts out. It reads in the order of the flow.
///
///     broker -> Ingest -> Scheduler -> Worker: FrameStage | TelemetryStage -> ResultStage -> ResultPublisher -> broker
///
/// A connection per source, each on its own serial queue; one more for results, alerts, status and reports.
package final class StreamProcessor: Sendable {
    private let configuration: Configuration
    private let logger: Logger
    private let topics: ResultTopics
    private let ingests: [Ingest]
    private let connections: [any BrokerConnection]
    private let resultConnection: any BrokerConnection
    private let scheduler: Scheduler
    private let workers: [Worker]
    private let results: ResultStage
    private let publisher: ResultPublisher
    private let reporter: Reporter
    private let outlet: AlertOutlet
    private let store: StateStore?
    private let keeper: SeriesKeeper?
    private let sweep: AlertSweep?
    private let silence = SilenceTimer()

    /// - Parameters:
    ///   - workers: messages that are worked on side by side; one per core is right.
    ///   - healthFile: touched every other second while the connection for results is up.
    /// - Throws: what is wrong with the broker's settings.
    package init(
        _ resources: Resources, broker: any Broker, workers workerCount: Int, healthFile: String? = nil, logger: Logger
    ) throws {
        let configuration = resources.configuration
        self.configuration = configuration
        self.logger = logger
        let topics = ResultTopics(prefix: configuration.results.prefix, node: configuration.node)
        self.topics = topics

        // Out: the connection for results. Its last will says that the node is gone.
        let health = Health(file: healthFile)
        let started = Instant.now
        let status = StatusAnnouncer(node: configuration.node, topic: topics.status, logger: logger, health: health)
        var options = ConnectionOptions(
            clientID: "\(configuration.node)-results", will: status.message(.offline, since: started),
            publishQueueCount: configuration.results.queue)
        options.publishQueueBytes = max(16 << 20, configuration.results.queue * 4096)
        let commands = AlertCommandDesk(node: configuration.node, topics: topics)
        if let filter = commands.filter { options.subscriptions = [.init(filter: filter, qos: .atMostOnce)] }
        resultConnection = try broker.makeConnection(options, onMessage: { commands.receive($0) }) { status.handle($0) }
        status.attach(resultConnection)
        publisher = ResultPublisher(connection: resultConnection)

        // Alerts: what an earlier run has left, then what changes.
        store = try configuration.stateDirectory.map { try StateStore(folder: $0, logger: logger) }
        let keeper = store.map { SeriesKeeper(store: $0, logger: logger) }
        self.keeper = keeper
        outlet = AlertOutlet(publisher: publisher, store: store)
        let alertCounts = AlertBoard.SharedCounts()
        let board = AlertBoard(
            node: configuration.node, topics: topics, desks: try resources.makeDesks(topics: topics), outlet: outlet,
            store: store, counts: alertCounts)
        let restored = board.restore(at: started)
        if let (open, cleared, unreadable) = restored {
            logger.info(
                "state loaded",
                metadata: ["open_alerts": "\(open)", "cleared": "\(cleared)", "unreadable": "\(unreadable)"])
        }
        results = ResultStage(publisher: publisher, routes: resources.routes, board: board)
        commands.attach(resultConnection, results)
        let results = results
        sweep =
            restored != nil
            ? nil
            : try AlertSweep(broker: broker, node: configuration.node, topics: topics) { messages in
                results.adopt(messages) { adopted, cleared in
                    guard adopted + cleared > 0 else { return }
                    logger.info(
                        "alerts taken over from the bus", metadata: ["open": "\(adopted)", "cleared": "\(cleared)"])
                }
            }

        // In between: a lane per source.
        let ingests = configuration.sources.enumerated().map { Ingest($1, lane: $0, ownTopics: topics.root) }
        self.ingests = ingests
        workers = (0..<workerCount).map { Worker(index: $0, tools: resources.makeTools()) }
        let hub = Hub()
        var lanes: [Scheduler.Lane] = []
        for (index, ingest) in ingests.enumerated() {
            lanes.append(
                resources.makeLane(
                    index, ingest, workerCount: workerCount, results: results, topics: topics, hub: hub,
                    keeper: keeper, silence: silence))
        }
        let scheduler = Scheduler(lanes: lanes, workers: workers)
        hub.attach(scheduler)
        self.scheduler = scheduler

        // In: a connection per source.
        connections = try ingests.map { ingest in
            let section = ingest.section
            let options = ConnectionOptions(
                clientID: "\(configuration.node)-\(section.name)",
                subscriptions: section.topics.map { .init(filter: $0, qos: section.qos, share: section.share) },
                window: section.qos == .atLeastOnce ? section.window : nil)
            let connection = try broker.makeConnection(options, onMessage: { ingest.receive($0) }) { event in
                ingest.link.handle(event)
                StreamProcessor.log(event, connection: section.name, logger)
            }
            ingest.attach(connection, scheduler)
            return connection
        }
        reporter = Reporter(
            node: configuration.node, topic: topics.report, every: configuration.results.reportEvery, started: started,
            ingests: ingests, publisher: publisher, health: health, alerts: alertCounts, logger: logger)
    }

    /// Connects and begins to work. Results can be published before the first message comes in.
    package func start() {
        logger.info(
            "starting",
            metadata: [
                "version": "\(Version.number)", "node": "\(configuration.node)",
                "broker": "\(configuration.broker.url)",
                "workers": "\(workers.count)",
            ])
        resultConnection.start()
        for connection in connections { connection.start() }
        reporter.start()
        keeper?.start()
        sweep?.start()
        silence.start()
    }

    /// The counters now. In-flight messages are those between receipt and outcome.
    package var report: Report { reporter.report() }

    /// Stops in the order of the flow: takes nothing more in, finishes what is in flight until the deadline, sheds the rest
    /// without acknowledging it, says goodbye. Returns when all is done.
    package func stop(within limit: Duration) {
        let deadline = Instant.now.monotonicNanoseconds + limit.wholeNanoseconds
        reporter.stop()
        sweep?.stop()
        silence.stop()
        for connection in connections { connection.pause() }
        while inFlight > 0, Instant.now.monotonicNanoseconds < deadline { Thread.sleep(forTimeInterval: 0.005) }
        // Connections first: what is shed from here on must not be acknowledged, so that the broker sends it again.
        for connection in connections { connection.stop(within: .zero) }
        scheduler.stop()
        for worker in workers { worker.waitUntilIdle() }
        results.waitUntilIdle()
        outlet.stop()
        reporter.publishNow()
        publishOffline()
        resultConnection.stop(within: .nanoseconds(max(deadline - Instant.now.monotonicNanoseconds, 1_000_000_000)))
        keeper?.stop()
        store?.close()
        let total = ingests.map(\.ledger.snapshot)
        logger.info(
            "stopped",
            metadata: [
                "received": "\(total.reduce(0) { $0 + $1.received })",
                "processed": "\(total.reduce(0) { $0 + $1.processed })",
                "shed": "\(total.reduce(0) { $0 + $1.shedTotal })",
                "failed": "\(total.reduce(0) { $0 + $1.failedTotal })",
            ])
    }

    private var inFlight: UInt64 { ingests.reduce(0) { $0 + $1.ledger.snapshot.inFlight } }

    /// The last will is only for connections that are lost; who leaves says so.
    private func publishOffline() {
        let bytes = Status.offline.bytes(node: configuration.node, since: Instant.now.unixNanoseconds)
        let message = Message(topic: topics.status, payload: Payload(bytes), qos: .atLeastOnce, retained: true)
        resultConnection.publish(message, deadline: nil, finalize: nil) { _ in }
    }

    private static func log(_ event: ConnectionEvent, connection: String, _ logger: Logger) {
        switch event {
        case .connected(let sessionPresent):
            logger.info("connected", metadata: ["connection": "\(connection)", "session_present": "\(sessionPresent)"])
        case .subscribed: logger.info("subscribed", metadata: ["connection": "\(connection)"])
        case .disconnected(let reason, let retryAfter):
            logger.warning(
                "not connected",
                metadata: ["connection": "\(connection)", "reason": "\(reason)", "retry_after": "\(retryAfter)"])
        case .subscriptionRefused(let filter, let reason):
            logger.error(
                "subscription refused",
                metadata: ["connection": "\(connection)", "filter": "\(filter)", "reason": "\(reason)"])
        }
    }
}

/// Leads from the lanes to the scheduler that is made of them.
final class Hub: Sendable {
    private let target = Mutex<Scheduler?>(nil)

    func attach(_ scheduler: Scheduler) { target.withLock { $0 = scheduler } }

    var scheduler: Scheduler? { target.withLock { $0 } }
}
