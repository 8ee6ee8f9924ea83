// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
import Crypto
import Streaming
import Telemetry

/// What one pipeline knows of its series, and what it makes of a message. A plain value: one batch works on it at a time.
///
/// - Memory: at most `DetectionSetup.seriesLimit` series, see `SeriesBank`; with methods that judge those of a device together
///   as much again, see `DeviceBank`; with the method `silence` 0.5 KB a series more. The least recently used go first.
struct TelemetryPipeline: Sendable {
    struct Setup: Sendable {
        /// Position in the configuration.
        var index: Int
        var header: ResultHeader
        var reader: SampleReader
        var detection: DetectionSetup
        var publishesAll: Bool
        var rules: RuleNames
    }

    /// Which samples the rules of a pipeline want to see.
    struct RuleNames: Sendable {
        /// Series that conditions speak of.
        var series: Set<String>
        /// A rule waits for messages, whatever is in them.
        var wantsEvery: Bool
        /// A series or method of such a name has no alert of its own: a rule has taken its place.
        var rules: Set<String>

        init(_ pipeline: Configuration.PipelineSection) {
            let leaves = pipeline.alerts.flatMap(\.condition.leaves)
            series = Set(leaves.compactMap(\.series))
            wantsEvery = leaves.contains { if case .silence(nil, _) = $0 { true } else { false } }
            rules = Set(pipeline.alerts.map(\.rule))
        }
    }

    let setup: Setup
    private(set) var memory: SeriesMemory
    private var reader: SampleReader
    private var bank: SeriesBank
    private var devices: DeviceBank
    private var silences: SilenceWatch?
    // Of the last message: by place in the bank, of each sample.
    private var slots: [Int] = []
    private var samples: [Sample] = []
    private var scores: [AnomalyScore?] = []
    private var findings: [DeviceBank.Finding] = []
    private var over: [SilenceWatch.Finding] = []

    init(_ setup: Setup) {
        self.setup = setup
        reader = setup.reader
        let detection = setup.detection
        memory = SeriesMemory(capacity: detection.seriesLimit)
        bank = SeriesBank(detection)
        devices = DeviceBank(detection)
        silences = detection.watchesSilence ? SilenceWatch(budget: detection.budget) : nil
    }

    var watchesSilence: Bool { silences != nil }

    /// Edge nodes that are to send their births again, since the last message.
    var rebirths: [SparkplugNode] { reader.rebirths }

    /// What was counted since it was last taken.
    mutating func takeCounts() -> SampleCounts { reader.takeCounts() }

    var seriesCounts: SampleLedger.SeriesCounts {
        SampleLedger.SeriesCounts(
            known: bank.registry.count, evicted: bank.registry.evictedCount,
            overBudget: bank.overBudgetCount + devices.overBudgetCount)
    }

    /// Scores what is read in a message, and learns from it.
    mutating func score(_ delivery: Delivery, _ digest: SHA256Digest) -> Result<PipelineResult, TelemetryFault> {
        let outcome = reader.read(delivery, into: &samples)
        if case .failed(let fault) = outcome { return .failure(fault) }
        if reader.hasFaults { delivery.warn() }
        let hadSamples = !samples.isEmpty
        scores.removeAll(keepingCapacity: true)
        slots.removeAll(keepingCapacity: true)
        over.removeAll(keepingCapacity: true)
        let isKept = delivery.message.retained
        var kept = 0
        for index in samples.indices {
            let sample = samples[index]
            let slot = place(of: sample, delivery)
            let isOfNow = sample.unixNanoseconds == delivery.receivedAt.unixNanoseconds
            // What the broker has kept, and gives out again after a reconnect, is no new sample.
            if isKept, isOfNow, bank.entries[slot].values.last?.value == sample.value {
                reader.refuse(.repeated)
                continue
            }
            if silences != nil, !(isKept && isOfNow) {
                let now = delivery.receivedAt.monotonicNanoseconds
                over += silences?.take(slot: slot, name: bank.entries[slot].name, at: now) ?? []
            }
            scores.append(bank.score(sample, slot: slot))
            slots.append(slot)
            samples[kept] = sample
            kept += 1
        }
        samples.removeLast(samples.count - kept)
        if hadSamples, samples.isEmpty { return .failure(.repeated) }
        findings = devices.score(samples, key: delivery.key, memory: &memory, reader: &reader)
        return .success(result(delivery, digest))
    }

    private mutating func place(of sample: Sample, _ delivery: Delivery) -> Int {
        let name = reader.names[sample.series]
        let place = bank.place(key: delivery.key, series: sample.series, name: name, memory: &memory)
        guard place.isNew, silences != nil else { return place.slot }
        if let replaced = place.replaced {
            memory.forget(SeriesName(key: replaced.key, series: SeriesMemory.silence(replaced.series)))
        }
        silences?.begin(
            slot: place.slot, name: bank.entries[place.slot].name, topic: delivery.message.topic,
            at: delivery.receivedAt.monotonicNanoseconds, memory: &memory)
        return place.slot
    }

    private mutating func result(_ delivery: Delivery, _ digest: SHA256Digest) -> PipelineResult {
        let time = samples.first?.unixNanoseconds
        let capturedAt = time == delivery.receivedAt.unixNanoseconds ? nil : time
        let identity = ResultIdentity(
            pipeline: setup.header.pipeline, topic: delivery.message.topic, payload: digest, sourceTime: capturedAt)
        // A message may have no samples by its nature (Sparkplug's deaths).
        let hasAlarm = scores.contains { $0?.isAlarm == true } || findings.contains(where: \.score.isAlarm)
        let isPublished = setup.publishesAll ? !samples.isEmpty : hasAlarm
        return PipelineResult(
            pipeline: setup.index, document: isPublished ? document(delivery, identity, capturedAt) : nil,
            facts: facts(identity, delivery))
    }

    // MARK: Alerts

    /// Only what can change an alert: samples that rules speak of, alarms, and the first sample after them.
    private mutating func facts(_ identity: ResultIdentity, _ delivery: Delivery) -> [AlertDesk.Observation] {
        var facts: [AlertDesk.Observation] = []
        for index in samples.indices {
            let (sample, score, slot) = (samples[index], scores[index], slots[index])
            let name = reader.names[sample.series]
            let isStated = setup.rules.series.contains(name) || (setup.rules.wantsEvery && index == 0)
            let isNews = score.map { $0.isAlarm || bank.entries[slot].mayBeOpen } ?? false
            guard isStated || isNews else { continue }
            let judgement = score.map { Fact.Judgement(score: $0.score, isAlarm: $0.isAlarm, expected: $0.expected) }
            func fact(series: Int) -> Fact {
                .sample(series: series, value: sample.value, time: sample.unixNanoseconds, judgement: judgement)
            }
            if isStated {
                let isOfNow = sample.unixNanoseconds == delivery.receivedAt.unixNanoseconds
                facts.append(
                    AlertDesk.Observation(
                        desk: PipelineDesks.stated, fact: fact(series: sample.series),
                        isFresh: !(delivery.message.retained && isOfNow), result: identity.id))
            }
            if isNews, !setup.rules.rules.contains(name) {
                bank.setMayBeOpen(score?.isAlarm ?? false, slot: slot)
                facts.append(
                    AlertDesk.Observation(
                        desk: PipelineDesks.anomalies, fact: fact(series: 0), series: name, result: identity.id,
                        history: bank.entries[slot].values.array))
            }
        }
        for finding in findings where finding.isNews && !setup.rules.rules.contains(finding.method.rawValue) {
            facts.append(fact(finding, identity))
        }
        for finding in over { facts += observation(finding).map { [$0] } ?? [] }
        return facts
    }

    private func fact(_ finding: DeviceBank.Finding, _ identity: ResultIdentity) -> AlertDesk.Observation {
        let slot = samples.lastIndex { $0.series == finding.series }.map { slots[$0] }
        let judgement = Fact.Judgement(
            score: finding.score.score, isAlarm: finding.score.isAlarm, expected: nil,
            series: reader.names[finding.series])
        return AlertDesk.Observation(
            desk: PipelineDesks.together,
            fact: .sample(
                series: finding.method == .multivariate ? 0 : 1, value: finding.value, time: finding.time,
                judgement: judgement),
            result: identity.id, history: slot.map { bank.entries[$0].values.array })
    }

    private func observation(_ finding: SilenceWatch.Finding) -> AlertDesk.Observation? {
        let name = finding.series.map { "silence.\($0)" } ?? DetectionMethod.silence.rawValue
        guard !setup.rules.rules.contains(name) else { return nil }
        return AlertDesk.Observation(
            desk: PipelineDesks.silences, fact: .silence(seconds: finding.seconds, isTooLong: finding.isTooLong),
            series: name, result: nil)
    }

    /// What has fallen silent. `since`: before that nobody could have heard anything.
    mutating func sweep(at now: Instant, since: Int64) -> [SourceFinding] {
        let findings = silences?.sweep(at: now.monotonicNanoseconds, since: since, bank.entries) ?? []
        return findings.compactMap { finding in
            observation(finding).map {
                SourceFinding(pipeline: setup.index, key: finding.key, topic: finding.topic, observation: $0)
            }
        }
    }

    // MARK: Results

    /// Described by `Config/schemas/score.v1.json`.
    private func document(
        _ delivery: Delivery, _ identity: ResultIdentity, _ capturedAt: Int64?
    ) -> ResultDocument {
        let header = setup.header
        return header.document(
            schema: "brokerside.score/1", topic: header.topics.scores(pipeline: header.pipeline, key: delivery.key),
            delivery: delivery, identity: identity, capturedAt: capturedAt, frame: nil
        ) { json in
            json.key("results")
            json.array { json in
                for (sample, score) in zip(samples, scores) {
                    json.object { json in
                        json.field("series", reader.names[sample.series])
                        json.field("value", sample.value)
                        json.score(score)
                        json.key("expected")
                        json.range(score?.expected)
                        json.field("time", time: sample.unixNanoseconds)
                    }
                }
            }
            guard !findings.isEmpty else { return }
            json.key("together")
            json.array { json in
                for finding in findings {
                    json.object { json in
                        json.field("method", finding.method.rawValue)
                        json.score(finding.score)
                        json.field("series", reader.names[finding.series])
                        json.field("time", time: finding.time)
                    }
                }
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func score(_ score: AnomalyScore?) {
        key("score")
        if let score, !score.isWarmingUp { value(score.score) } else { null() }
        key("alarm")
        value(score?.isAlarm ?? false)
    }
}

// MARK: Across restarts

extension TelemetryPipeline {
    /// From now on what is learned is wanted. Called once, before the first message.
    mutating func keep() { memory.isKept = true }

    mutating func remember(_ name: SeriesName, _ snapshot: [UInt8]) { memory.remember(name, snapshot) }

    mutating func takeForgotten() -> [SeriesName] { memory.takeForgotten() }

    /// Adds snapshots of what has learned since its last one, from a place on. Returns where to go on; nil at the end.
    mutating func takeSnapshots(
        from first: Int, count: Int, into rows: inout [StateStore.SeriesSnapshot]
    ) -> Int? {
        let end = min(first + count, bank.entries.count + devices.count)
        guard first < end else { return nil }
        for place in first..<end {
            guard place < bank.entries.count else {
                for row in devices.takeSnapshots(slot: place - bank.entries.count, names: reader.names) {
                    rows.append(.init(key: row.name.key, series: row.name.series, bytes: row.bytes))
                }
                continue
            }
            let name = bank.entries[place].name
            if let bytes = bank.takeSnapshot(slot: place) {
                rows.append(.init(key: name.key, series: name.series, bytes: bytes))
            }
            if let bytes = silences?.takeSnapshot(slot: place) {
                rows.append(.init(key: name.key, series: SeriesMemory.silence(name.series), bytes: bytes))
            }
        }
        return end
    }
}

/// The desks of a pipeline, by position.
enum PipelineDesks {
    /// Rules that the configuration states.
    static let stated = 0
    /// One rule for each series: the detector's alarm.
    static let anomalies = 1
    /// A rule for each method that judges the series of a device together.
    static let together = 2
    /// What has fallen silent, for each device and series.
    static let silences = 3
}

/// A fact that no message brought.
struct SourceFinding: Sendable {
    var pipeline: Int
    var key: String
    var topic: String
    var observation: AlertDesk.Observation
}
