// SPDX-License-Identifier: Apache-2.0

import Crypto
import Streaming
import Synchronization
import Telemetry

/// Telemetry to scores: payload to samples, samples to scores, scores to documents and facts.
///
/// - In: messages of one source, in order, one batch at a time (the lane's concurrency is 1): what is learned depends on it.
/// - Out: per message and pipeline a score document and the facts for its alerts; once a second what has fallen silent.
/// - Failed: what the parser names (`invalid_json`, `missing_series`, ...), per message.
/// - Memory: see `TelemetryPipeline`.
final class TelemetryStage: Sendable {
    /// Messages that are worked on in one go: few enough to be soon done, enough to pay for the hand-over.
    static let batchSize = 256

    private let lane: Int
    private let counts: SampleLedger
    private let link: SourceLink
    private let results: ResultStage
    /// One batch works on it at a time; the lock is taken once a batch.
    let pipelines: Mutex<[TelemetryPipeline]>

    init(lane: Int, pipelines: [TelemetryPipeline.Setup], ingest: Ingest, results: ResultStage) {
        self.lane = lane
        counts = ingest.samples
        link = ingest.link
        self.results = results
        self.pipelines = Mutex(pipelines.map { TelemetryPipeline($0) })
    }

    func process(_ batch: [Scheduler.Taken], scheduler: Scheduler) {
        let actions = pipelines.withLock { pipelines in
            let actions = batch.map { taken in action(for: taken.delivery, &pipelines) }
            for index in pipelines.indices {
                counts.add(pipelines[index].takeCounts(), pipeline: index, pipelines[index].seriesCounts)
            }
            return actions
        }
        results.perform { [lane] in
            for (taken, action) in zip(batch, actions) {
                for ready in scheduler.sequence(taken, lane: lane, action: action) { ready() }
            }
        }
    }

    private func action(for delivery: Delivery, _ pipelines: inout [TelemetryPipeline]) -> Sequencer.Action {
        let digest = SHA256.hash(data: UnsafeRawBufferPointer(delivery.message.payload.bytes))
        var made: [PipelineResult] = []
        var failure: TelemetryFault?
        var rebirths: Set<SparkplugNode> = []
        for index in pipelines.indices {
            switch pipelines[index].score(delivery, digest) {
            case .success(let result): made.append(result)
            case .failure(let fault): failure = failure ?? fault
            }
            rebirths.formUnion(pipelines[index].rebirths)
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

    var pipelineNames: [String] { pipelines.withLock { $0.map(\.setup.header.pipeline) } }

    /// Whether a pipeline wants `sweep` to be called.
    var watchesSilence: Bool { pipelines.withLock { $0.contains(where: \.watchesSilence) } }

    /// Tells what has fallen silent. To be called once a second. While there is no connection nothing can be heard, and
    /// while messages wait they have not been heard yet.
    func sweep(at now: Instant, waitingCount: UInt64) {
        guard let since = link.upSince, waitingCount < UInt64(TelemetryStage.batchSize) else { return }
        let findings = pipelines.withLock { pipelines in
            pipelines.indices.flatMap { pipelines[$0].sweep(at: now, since: since) }
        }
        if !findings.isEmpty { results.tell(findings, at: now) }
    }
}
