// SPDX-License-Identifier: Apache-2.0

import Alerts
import Streaming
import Synchronization

/// The alerts of all pipelines, with what people say about them, and their way through the store to the bus.
///
/// Belongs to the queue of results. What a moment changes is stored first and told afterwards, so that a restart neither
/// forgets an alert that was told nor tells it twice.
final class AlertBoard {
    struct Counts: Sendable {
        var pending = 0
        var open = 0
        var acknowledged = 0
        var silences = 0
        /// Keys that gave way to others, and facts of keys that found no room.
        var evicted = 0
        var refused = 0
        var commands = 0
        var refusedCommands: [String: Int] = [:]
    }

    /// Per pipeline, by `PipelineDesks`.
    private var desks: [[AlertDesk]]
    private let topics: ResultTopics
    private let node: String
    private let outlet: AlertOutlet
    private let store: StateStore?
    private var silences: [StoredSilence] = []
    private var counts = Counts()
    private let published: SharedCounts

    /// The counters, for any thread.
    final class SharedCounts: Sendable {
        private let counts = Mutex(Counts())

        var snapshot: Counts { counts.withLock { $0 } }

        fileprivate func set(_ new: Counts) { counts.withLock { $0 = new } }
    }

    private static let mostSilences = 1000
    /// With so many outputs on their way news of what goes on are left out.
    private static let busyBacklog = 1000

    init(
        node: String, topics: ResultTopics, desks: [[AlertDesk]], outlet: AlertOutlet, store: StateStore?,
        counts: SharedCounts
    ) {
        self.node = node
        self.topics = topics
        self.desks = desks
        self.outlet = outlet
        self.store = store
        published = counts
        if store != nil {
            for pipeline in desks.indices {
                for index in desks[pipeline].indices { self.desks[pipeline][index].isStored = true }
            }
        }
    }

    // MARK: Facts and time

    /// Adds what the fact changes.
    func observe(
        _ observation: AlertDesk.Observation, pipeline: Int, key: String, topic: String, at now: Instant,
        into change: inout StateChange
    ) {
        let outputs = desks[pipeline][observation.desk].observe(observation, key: key, topic: topic, at: now)
        if !outputs.isEmpty { change.outputs += outputs }
        collect(pipeline, observation.desk, into: &change)
    }

    /// What time alone changes, and what has to be tried again.
    func tick(at now: Instant) {
        outlet.retry()
        var change = StateChange()
        let before = silences.count
        silences.removeAll { $0.until <= now.unixNanoseconds }
        if silences.count != before { apply(silences, into: &change) }
        for pipeline in desks.indices {
            for index in desks[pipeline].indices {
                change.outputs += desks[pipeline][index].tick(at: now)
                collect(pipeline, index, into: &change)
            }
        }
        send(change)
        count()
    }

    private func collect(_ pipeline: Int, _ desk: Int, into change: inout StateChange) {
        guard store != nil else { return }
        change.alerts += desks[pipeline][desk].takeStored()
        change.keys += desks[pipeline][desk].takeKeyChanges()
    }

    /// Stores the change and lets its outputs go out. `completion` is called once for each output.
    func send(_ change: StateChange, completion: @escaping @Sendable (Outcome) -> Void = { _ in }) {
        var change = change
        if outlet.waitingCount + (store?.waitingCount ?? 0) > AlertBoard.busyBacklog {
            let count = change.outputs.count
            change.outputs.removeAll(where: \.isUpdate)
            for _ in change.outputs.count..<count { completion(.processed) }
        }
        guard let store else {
            return outlet.send(change.outputs.map { AlertOutlet.Item(output: $0, completion: completion) })
        }
        guard !change.outputs.isEmpty || !change.alerts.isEmpty || !change.keys.isEmpty || change.silences != nil else {
            return
        }
        let (outlet, outputs) = (outlet, change.outputs)
        store.commit(change) { sequences in
            outlet.send(
                outputs.enumerated().map { index, output in
                    let sequence = sequences.indices.contains(index) ? sequences[index] : nil
                    return AlertOutlet.Item(output: output, sequence: sequence, completion: completion)
                })
        }
    }

    private func count() {
        counts.pending = 0
        counts.open = 0
        counts.acknowledged = 0
        counts.evicted = 0
        counts.refused = 0
        counts.silences = silences.count
        for desk in desks.joined() {
            counts.pending += desk.tracker.pendingCount
            counts.evicted += desk.tracker.evictedCount
            counts.refused += desk.tracker.refusedCount
            desk.tracker.forEachOpen { _, _, alert in
                if alert.state == .acknowledged { counts.acknowledged += 1 } else { counts.open += 1 }
            }
        }
        published.set(counts)
    }

    // MARK: Commands

    /// Does what a command asks for and says what came of it.
    func handle(verb: String, _ message: Message, at now: Instant) -> AlertReply {
        var reply = AlertReply(
            node: node, command: String(verb.prefix(64)), correlation: AlertReply.correlation(in: message),
            result: .success(.init(alerts: [])))
        do throws(AlertCommand.Fault) {
            let command = try AlertCommand(verb: verb, message)
            switch command.action {
            case .acknowledge: reply.result = .success(.init(alerts: try acknowledge(command, at: now)))
            case .silence(let duration):
                let until = now.unixNanoseconds + duration.wholeNanoseconds
                let alerts = try silence(command, until: until, at: now)
                reply.result = .success(.init(alerts: alerts, silencedUntil: duration > .zero ? until : nil))
            }
            counts.commands += 1
        } catch {
            reply.result = .failure(error)
            counts.refusedCommands[error.refusal.rawValue, default: 0] += 1
        }
        published.set(counts)
        return reply
    }

    private func acknowledge(
        _ command: AlertCommand, at now: Instant
    ) throws(AlertCommand.Fault) -> [AlertDesk.Reference] {
        var change = StateChange()
        var done: [AlertDesk.Reference] = []
        for pipeline in desks.indices {
            for index in desks[pipeline].indices {
                for var reference in desks[pipeline][index].open(command.target) {
                    change.outputs += desks[pipeline][index].acknowledge(
                        reference, by: command.by, note: command.note, at: now)
                    reference.state = .acknowledged
                    done.append(reference)
                }
                collect(pipeline, index, into: &change)
            }
        }
        if done.isEmpty {
            throw AlertCommand.Fault(refusal: .notFound, message: "no open alert is meant by this")
        }
        send(change)
        return done
    }

    private func silence(
        _ command: AlertCommand, until: Int64, at now: Instant
    ) throws(AlertCommand.Fault) -> [AlertDesk.Reference] {
        let meant = desks.joined().flatMap { $0.open(command.target) }
        var silence = StoredSilence(
            pipeline: command.target.pipeline, key: command.target.key, rule: command.target.rule, until: until,
            by: command.by, note: command.note)
        if command.target.id != nil {
            guard let alert = meant.first else {
                throw AlertCommand.Fault(refusal: .notFound, message: "no open alert has this id")
            }
            silence.pipeline = alert.pipeline
            silence.key = alert.key
            silence.rule = alert.ruleName
        }
        var next = silences.filter { !$0.covers(same: silence) }
        if until > now.unixNanoseconds {
            next.append(silence)
        } else if next.count == silences.count {
            throw AlertCommand.Fault(refusal: .notFound, message: "nothing is silenced by exactly this")
        }
        guard next.count <= AlertBoard.mostSilences else {
            throw AlertCommand.Fault(
                refusal: .tooMany, message: "at most \(AlertBoard.mostSilences) silences at a time")
        }
        var change = StateChange()
        apply(next, into: &change)
        send(change)
        tick(at: now)
        return meant
    }

    private func apply(_ silences: [StoredSilence], into change: inout StateChange) {
        self.silences = silences
        for pipeline in desks.indices {
            for index in desks[pipeline].indices { desks[pipeline][index].setSilences(silences) }
        }
        change.silences = silences
    }

    // MARK: Across restarts

    /// Goes on where an earlier run has ended. Before anything else happens. Nil when there is nothing of an earlier run.
    func restore(at now: Instant) -> (open: Int, cleared: Int, unreadable: Int)? {
        guard let state = store?.load(), let store else { return nil }
        var change = StateChange()
        if state.isOfAnEarlierRun {
            for pipeline in desks.indices {
                for index in desks[pipeline].indices { desks[pipeline][index].settle() }
            }
        }
        for row in state.keys {
            if let (pipeline, desk) = place(row.pipeline, row.desk) {
                desks[pipeline][desk].expect(row, at: now)
            }
        }
        var orphaned: Set<String> = []
        for var row in state.alerts {
            guard let stored = row.state else { continue }
            if let (pipeline, desk) = place(row.pipeline, row.desk), desks[pipeline][desk].restore(stored, at: now) {
                continue
            }
            row.state = nil
            change.alerts.append(row)
            guard stored.isOpen else { continue }
            let (topic, output) = closing(row, stored, at: now)
            change.outputs.append(output)
            orphaned.insert(topic)
        }
        let stale = state.retained.filter { topic in
            orphaned.contains(topic.topic) || !desks.joined().contains { $0.stands(behind: topic) }
        }.map(\.topic)
        let cleared = Set(stale)
        apply(state.silences.filter { $0.until > now.unixNanoseconds }, into: &change)
        let outputs = change.outputs
        store.commit(change) { [outlet] sequences in
            outlet.send(
                outputs.enumerated().map { index, output in
                    AlertOutlet.Item(
                        output: output, sequence: sequences.indices.contains(index) ? sequences[index] : nil)
                })
        }
        outlet.send(
            state.unsent.filter { !cleared.contains($0.output.document.topic) }.map {
                AlertOutlet.Item(output: $0.output, sequence: $0.sequence)
            })
        clear(stale)
        count()
        guard state.isOfAnEarlierRun else { return nil }
        return (published.snapshot.open + published.snapshot.acknowledged, stale.count, state.unreadableCount)
    }

    /// Goes on with what another run has left open on the bus, and takes away what nothing stands behind any more.
    func adopt(_ messages: [Message], at now: Instant) -> (adopted: Int, cleared: Int) {
        var change = StateChange()
        var adopted = 0
        var stale: [String] = []
        for message in messages {
            guard let alert = RetainedAlert(message, at: now) else { continue }
            var stands = false
            for pipeline in desks.indices {
                for index in desks[pipeline].indices {
                    let topic = RetainedTopic(
                        topic: message.topic, pipeline: alert.pipeline, desk: index, rule: alert.rule)
                    guard desks[pipeline][index].stands(behind: topic) else { continue }
                    stands = true
                    if alert.isOpen, desks[pipeline][index].adopt(alert, at: now) { adopted += 1 }
                    collect(pipeline, index, into: &change)
                }
            }
            if !stands {
                stale.append(message.topic)
                if alert.isOpen { change.outputs.append(closing(alert, on: message.topic, at: now)) }
            }
        }
        send(change)
        clear(stale)
        return (adopted, stale.count)
    }

    /// The event that ends an open alert of an earlier run which the configuration has no place for, and its topic.
    private func closing(
        _ row: StoredAlertRow, _ stored: StoredAlert, at now: Instant
    ) -> (topic: String, output: AlertOutput) {
        let rule = row.series ?? row.rule
        let topic = topics.alert(pipeline: row.pipeline, key: row.key, rule: rule)
        let document = AlertDocument(
            node: node, pipeline: row.pipeline, rule: rule, topic: stored.origin, key: row.key, series: nil,
            subject: .unknown())
        let alert = stored.alert.rebased(to: Moment(now))
        return (topic, document.closing(alert, key: row.key, at: Moment(now), on: topic))
    }

    private func closing(_ retained: RetainedAlert, on topic: String, at now: Instant) -> AlertOutput {
        let condition = retained.condition.isEmpty ? AlertSubject.unknown() : .unknown(retained.condition)
        let document = AlertDocument(
            node: node, pipeline: retained.pipeline, rule: retained.rule, topic: retained.topic, key: retained.key,
            series: nil, subject: condition)
        let alert = retained.alert.rebased(to: Moment(now))
        return document.closing(alert, key: retained.key, at: Moment(now), on: topic)
    }

    /// Takes retained alerts away that nothing stands behind any more.
    func clear(_ topics: [String]) {
        let store = store
        outlet.send(
            topics.map { topic in
                let document = ResultDocument(topic: topic, bytes: [], publishedAtOffset: 0)
                return AlertOutlet.Item(output: AlertOutput(document: document, isRetained: true)) { outcome in
                    if outcome == .processed { store?.forgetRetained([topic]) }
                }
            })
    }

    private func place(_ name: String, _ desk: Int) -> (Int, Int)? {
        guard let pipeline = desks.firstIndex(where: { $0.first?.pipeline == name }),
            desks[pipeline].indices.contains(desk)
        else { return nil }
        return (pipeline, desk)
    }
}
