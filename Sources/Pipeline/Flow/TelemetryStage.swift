// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
import Crypto
import Streaming
import Synchronization
import Telemetry

/// Telemetry to scores: payload to samples, samples to scores, scores to documents and facts.
///
/// - In: messages of one source, in order, one batch at a time (the lane's concurrency is 1): what is learned depends on it.
/// - Out: per message and pipeline a score document and the facts for its alerts.
/// - Failed: what the parser names (`invalid_json`, `missing_series`, ...), per message.
/// - Memory: learned state for at most `seriesCapacity` series a pipeline; the least recently used go first.
final class TelemetryStage: Sendable {
    /// Series of all devices together, per pipeline. About 5 KB each.
    static let seriesCapacity = 20_000

    /// Messages that are worked on in one go: few enough to be soon done, enough to pay for the hand-over.
    static let batchSize = 256

    struct PipelineSetup: Sendable {
        /// Position in the configuration.
        var index: Int
        var header: ResultHeader
        var reader: SampleReader
        var budget: FalseAlarmBudget
        var publishesAll: Bool
        var rules: RuleNames
    }

    /// Which samples the rules of a pipeline want to see.
    struct RuleNames: Sendable {
        /// Series that conditions speak of.
        var series: Set<String>
        /// A rule waits for messages, whatever is in them.
        var wantsEvery: Bool
        /// A series of such a name has no alert of its own: a rule has taken its place.
        var rules: Set<String>

        init(_ pipeline: Configuration.PipelineSection) {
            let leaves = pipeline.alerts.flatMap(\.condition.leaves)
            series = Set(leaves.compactMap(\.series))
            wantsEvery = leaves.contains { if case .silence(nil, _) = $0 { true } else { false } }
            rules = Set(pipeline.alerts.map(\.rule))
        }
    }

    /// What the alerts need to know of a series.
    struct Recent: Sendable {
        var name: SeriesName
        var values = RecentValues()
        /// Its detector is not what the store has.
        var hasLearned = false
        /// Its alert may be open: the first sample without alarm has to be told. True at first, since an earlier run may
        /// have left it open.
        var mayBeOpen = true
    }

    struct PipelineState: Sendable {
        var setup: PipelineSetup
        var memory = Memory()
        var registry = SeriesRegistry(capacity: TelemetryStage.seriesCapacity)
        var detectors: [SeriesDetector] = []
        var recent: [Recent] = []
        /// By place in the registry, of each sample.
        var slots: [Int] = []
        var samples: [Sample] = []
        var scores: [AnomalyScore] = []
    }

    private let lane: Int
    private let counts: SampleLedger
    private let results: ResultStage
    /// One batch works on it at a time; the lock is taken once a batch.
    let pipelines: Mutex<[PipelineState]>

    init(lane: Int, pipelines: [PipelineSetup], counts: SampleLedger, results: ResultStage) {
        self.lane = lane
        self.counts = counts
        self.results = results
        self.pipelines = Mutex(pipelines.map { PipelineState(setup: $0) })
    }

    func process(_ batch: [Scheduler.Taken], scheduler: Scheduler) {
        let actions = pipelines.withLock { pipelines in
            let actions = batch.map { taken in action(for: taken.delivery, &pipelines) }
            for index in pipelines.indices {
                counts.add(
                    pipelines[index].setup.reader.takeCounts(), pipeline: index,
                    seriesCount: pipelines[index].registry.count,
                    evictedCount: pipelines[index].registry.evictedCount)
            }
            return actions
        }
        results.perform { [lane] in
            for (taken, action) in zip(batch, actions) {
                for ready in scheduler.sequence(taken, lane: lane, action: action) { ready() }
            }
        }
    }

    private func action(for delivery: Delivery, _ pipelines: inout [PipelineState]) -> Sequencer.Action {
        let digest = SHA256.hash(data: UnsafeRawBufferPointer(delivery.message.payload.bytes))
        var made: [PipelineResult] = []
        var failure: TelemetryFault?
        var rebirths: Set<SparkplugNode> = []
        for index in pipelines.indices {
            switch TelemetryStage.score(delivery, digest, &pipelines[index]) {
            case .success(let result): made.append(result)
            case .failure(let fault): failure = failure ?? fault
            }
            rebirths.formUnion(pipelines[index].setup.reader.rebirths)
        }
        for node in rebirths { results.ask(node, at: delivery.receivedAt) }
        if made.isEmpty {
            let outcome = (failure ?? .noSamples).outcome
            return { delivery.finish(outcome) }
        }
        let results = self.results
        let ready = made
        return { results.publish(ready, of: delivery) }
    }

    /// Scores what a pipeline reads in a message, and learns from it.
    private static func score(
        _ delivery: Delivery, _ digest: SHA256Digest, _ state: inout PipelineState
    ) -> Result<PipelineResult, TelemetryFault> {
        let outcome = state.setup.reader.read(delivery, into: &state.samples)
        if case .failed(let fault) = outcome { return .failure(fault) }
        if state.setup.reader.hasFaults { delivery.warn() }
        state.scores.removeAll(keepingCapacity: true)
        state.slots.removeAll(keepingCapacity: true)
        for sample in state.samples {
            let place = state.registry.place(of: SeriesID(key: delivery.key, series: sample.series))
            if place.isNew {
                let name = SeriesName(key: delivery.key, series: state.setup.reader.names[sample.series])
                let detector = state.memory.makeDetector(name, budget: state.setup.budget)
                if place.slot == state.detectors.count {
                    state.detectors.append(detector)
                    state.recent.append(Recent(name: name))
                } else {
                    state.memory.forget(state.recent[place.slot].name)
                    state.detectors[place.slot] = detector
                    state.recent[place.slot] = Recent(name: name)
                }
            }
            state.slots.append(place.slot)
            state.recent[place.slot].values.append(
                TimedValue(unixNanoseconds: sample.unixNanoseconds, value: sample.value))
            state.recent[place.slot].hasLearned = true
            state.scores.append(state.detectors[place.slot].score(sample.value, at: sample.unixNanoseconds))
        }
        let time = state.samples.first?.unixNanoseconds
        let capturedAt = time == delivery.receivedAt.unixNanoseconds ? nil : time
        let identity = ResultIdentity(
            pipeline: state.setup.header.pipeline, topic: delivery.message.topic, payload: digest,
            sourceTime: capturedAt)
        // A message may have no samples by its nature (Sparkplug's deaths).
        let isPublished =
            state.setup.publishesAll ? !state.samples.isEmpty : state.scores.contains { $0.isAlarm }
        return .success(
            PipelineResult(
                pipeline: state.setup.index,
                document: isPublished ? document(delivery, identity, capturedAt, state) : nil,
                facts: facts(identity, &state)))
    }

    /// Only what can change an alert: samples that rules speak of, alarms, and the first sample after them.
    private static func facts(_ identity: ResultIdentity, _ state: inout PipelineState) -> [AlertDesk.Observation] {
        var facts: [AlertDesk.Observation] = []
        let rules = state.setup.rules
        for (index, (sample, score)) in zip(state.samples, state.scores).enumerated() {
            let name = state.setup.reader.names[sample.series]
            let slot = state.slots[index]
            let isStated = rules.series.contains(name) || (rules.wantsEvery && index == 0)
            let isNews = score.isAlarm || state.recent[slot].mayBeOpen
            guard isStated || isNews else { continue }
            let judgement = Fact.Judgement(score: score.score, isAlarm: score.isAlarm, expected: score.expected)
            func fact(series: Int) -> Fact {
                .sample(series: series, value: sample.value, time: sample.unixNanoseconds, judgement: judgement)
            }
            if isStated {
                facts.append(
                    AlertDesk.Observation(
                        desk: PipelineDesks.stated, fact: fact(series: sample.series), result: identity.id))
            }
            if isNews, !rules.rules.contains(name) {
                state.recent[slot].mayBeOpen = score.isAlarm
                facts.append(
                    AlertDesk.Observation(
                        desk: PipelineDesks.anomalies, fact: fact(series: 0), series: name, result: identity.id,
                        history: state.recent[slot].values.array))
            }
        }
        return facts
    }

    /// Described by `Config/schemas/score.v1.json`.
    private static func document(
        _ delivery: Delivery, _ identity: ResultIdentity, _ capturedAt: Int64?, _ state: PipelineState
    ) -> ResultDocument {
        let header = state.setup.header
        return header.document(
            schema: "brokerside.score/1", topic: header.topics.scores(pipeline: header.pipeline, key: delivery.key),
            delivery: delivery, identity: identity, capturedAt: capturedAt, frame: nil
        ) { json in
            json.key("results")
            json.array { json in
                for (sample, score) in zip(state.samples, state.scores) {
                    json.object { json in
                        json.field("series", state.setup.reader.names[sample.series])
                        json.field("value", sample.value)
                        json.key("score")
                        if score.isWarmingUp { json.null() } else { json.value(score.score) }
                        json.key("alarm")
                        json.value(score.isAlarm)
                        json.key("expected")
                        json.range(score.expected)
                        json.field("time", time: sample.unixNanoseconds)
                    }
                }
            }
        }
    }
}

/// The desks of a pipeline, by position.
enum PipelineDesks {
    /// Rules that the configuration states.
    static let stated = 0
    /// One rule for each series: the detector's alarm.
    static let anomalies = 1
}
