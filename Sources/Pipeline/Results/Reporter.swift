// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Logging
import Streaming
import Synchronization

/// Publishes the counters every so often, and touches the health file.
///
/// `@unchecked Sendable`: the timers are started and cancelled, which any thread may do, and never replaced.
final class Reporter: @unchecked Sendable {
    private struct Mark {
        var received: [UInt64]
        var at: Instant
        /// Per source: series of which the budget of false alarms is held only by withholding alarms.
        var overBudget: [Int]
    }

    private let node: String
    private let topic: String
    private let started: Instant
    private let ingests: [Ingest]
    private let publisher: ResultPublisher
    private let health: Health
    private let alerts: AlertBoard.SharedCounts
    private let logger: Logger
    private let queue = DispatchQueue(label: "brokerside.reports")
    private let reports: any DispatchSourceTimer
    private let touches: any DispatchSourceTimer
    private let last: Mutex<Mark>

    init(
        node: String, topic: String, every interval: Duration, started: Instant, ingests: [Ingest],
        publisher: ResultPublisher, health: Health, alerts: AlertBoard.SharedCounts,
        logger: Logger
    ) {
        self.node = node
        self.topic = topic
        self.started = started
        self.ingests = ingests
        self.publisher = publisher
        self.health = health
        self.alerts = alerts
        self.logger = logger
        last = Mutex(Mark(received: ingests.map { _ in 0 }, at: started, overBudget: ingests.map { _ in 0 }))
        reports = DispatchSource.makeTimerSource(queue: queue)
        touches = DispatchSource.makeTimerSource(queue: queue)
        let nanoseconds = DispatchTimeInterval.nanoseconds(Int(interval.wholeNanoseconds))
        reports.schedule(deadline: .now() + nanoseconds, repeating: nanoseconds)
        touches.schedule(deadline: .now() + .seconds(1), repeating: .seconds(2))
        reports.setEventHandler { [weak self] in self?.publishNow() }
        touches.setEventHandler { health.touch() }
    }

    func start() {
        reports.activate()
        touches.activate()
    }

    func stop() {
        reports.cancel()
        touches.cancel()
    }

    /// The counters now; rates are since the last published report.
    func report() -> Report { makeReport(marks: false) }

    func publishNow() { publisher.publish(makeReport(marks: true).document(topic: topic), qos: .atMostOnce) }

    /// Says once when a budget of false alarms is held only by withholding alarms, and once when none is any more.
    private func logBudgets(_ sources: [Report.Source]) {
        let before = last.withLock { last in
            defer { last.overBudget = sources.map { $0.samples?.series.overBudget ?? 0 } }
            return last.overBudget
        }
        for (source, before) in zip(sources, before) {
            let count = source.samples?.series.overBudget ?? 0
            guard (count > 0) != (before > 0) else { continue }
            if count > 0 {
                logger.warning(
                    "alarms beyond false_alarms are withheld: series change faster than they are learned",
                    metadata: ["source": "\(source.name)", "series": "\(count)"])
            } else {
                logger.info("no alarms are withheld any more", metadata: ["source": "\(source.name)"])
            }
        }
    }

    private func makeReport(marks: Bool) -> Report {
        let now = Instant.now
        let balances = ingests.map(\.ledger.snapshot)
        let rates = last.withLock { last -> [Double] in
            let seconds = max(Double(last.at.nanoseconds(to: now)) / 1e9, 1e-3)
            let rates = zip(balances, last.received).map { Double($0.received - $1) / seconds }
            if marks { (last.received, last.at) = (balances.map(\.received), now) }
            return rates
        }
        let sources = ingests.indices.map { index in
            Report.Source(
                name: ingests[index].section.name, kind: ingests[index].section.kind.rawValue, balance: balances[index],
                rate: rates[index],
                samples: ingests[index].section.kind == .telemetry ? ingests[index].samples.snapshot : nil)
        }
        if marks { logBudgets(sources) }
        return Report(
            node: node, sources: sources, publishing: publisher.snapshot, alerts: alerts.snapshot,
            uptimeSeconds: Double(started.nanoseconds(to: now)) / 1e9)
    }
}
