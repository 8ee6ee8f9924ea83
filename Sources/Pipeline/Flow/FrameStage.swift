// SPDX-License-Identifier: Apache-2.0

import Alerts
import Crypto
import Streaming
import Vision

/// Frames to detections: JPEG to pixels in the network's input, through the network, to boxes in frame pixels.
///
/// - In: batches of frames of one source, on a worker's queue. Batches of one source run side by side.
/// - Out: per frame and pipeline a detection document and the facts for its alerts, in the order of the frames of a key.
/// - Failed: what the decoder names (`not_jpeg`, `truncated`, ...), `inference` when a network refuses to run.
/// - Allocates nothing of the size of a frame: decoder, resampler and sessions belong to the worker.
final class FrameStage: Sendable {
    struct PipelineSetup: Sendable {
        /// Position in the configuration.
        var index: Int
        /// Position of the network in the worker's tools.
        var network: Int
        var header: ResultHeader
        var labels: [String]
    }

    private let lane: Int
    private let pipelines: [PipelineSetup]
    /// The networks that the pipelines use, each once.
    private let networks: [Int]
    private let results: ResultStage

    /// A frame of a batch on its way through the networks.
    private struct Frame {
        var delivery: Delivery
        var width = 0
        var height = 0
        var warnings = 0
        /// Position in the batch of the networks.
        var slot = 0
        /// Per network of `networks`.
        var geometries: [FrameGeometry] = []
        var failure: String?
    }

    init(lane: Int, pipelines: [PipelineSetup], results: ResultStage) {
        self.lane = lane
        self.pipelines = pipelines
        networks = Array(Set(pipelines.map(\.network))).sorted()
        self.results = results
    }

    func process(_ batch: [Scheduler.Taken], on worker: Worker, scheduler: Scheduler) {
        let actions = worker.withTools { tools in
            var frames = batch.map { Frame(delivery: $0.delivery) }
            decode(&frames, tools)
            run(&frames, tools)
            return frames.map { action(for: $0, tools) }
        }
        results.perform { [lane] in
            for (taken, action) in zip(batch, actions) {
                for ready in scheduler.sequence(taken, lane: lane, action: action) { ready() }
            }
        }
    }

    private func decode(_ frames: inout [Frame], _ tools: Worker.Tools) {
        var used = 0
        for index in frames.indices {
            let bytes = UnsafeRawBufferPointer(frames[index].delivery.message.payload.bytes)
            do {
                for network in networks {
                    let (frame, geometry) = try tools.networks[network].place(bytes, slot: used, tools.decoder)
                    frames[index].width = frame.width
                    frames[index].height = frame.height
                    frames[index].warnings = frame.warnings
                    frames[index].geometries.append(geometry)
                }
                frames[index].slot = used
                used += 1
            } catch {
                frames[index].failure = error.reason
            }
        }
    }

    private func run(_ frames: inout [Frame], _ tools: Worker.Tools) {
        let count = frames.count { $0.failure == nil }
        guard count > 0 else { return }
        for network in networks {
            do { try tools.networks[network].run(count: count) } catch {
                for index in frames.indices where frames[index].failure == nil { frames[index].failure = "inference" }
            }
        }
    }

    private func action(for frame: Frame, _ tools: Worker.Tools) -> Sequencer.Action {
        let delivery = frame.delivery
        if let failure = frame.failure { return { delivery.finish(.failed(reason: failure)) } }
        if frame.warnings > 0 { delivery.warn() }
        let digest = SHA256.hash(data: UnsafeRawBufferPointer(delivery.message.payload.bytes))
        let capturedAt = CaptureTime.unixNanoseconds(of: delivery.message)
        let made = pipelines.map { pipeline in
            let position = networks.firstIndex(of: pipeline.network) ?? 0
            let found = tools.networks[pipeline.network].interpret(
                pipeline: pipeline.index, slot: frame.slot, geometry: frame.geometries[position])
            let identity = ResultIdentity(
                pipeline: pipeline.header.pipeline, topic: delivery.message.topic, payload: digest,
                sourceTime: capturedAt)
            return PipelineResult(
                pipeline: pipeline.index,
                document: FrameStage.document(frame, pipeline, identity, capturedAt, found),
                facts: [
                    AlertDesk.Observation(
                        desk: PipelineDesks.stated, fact: .detections(found.classes),
                        isFresh: !delivery.message.retained || capturedAt != nil, result: identity.id)
                ])
        }
        let results = self.results
        return { results.publish(made, of: delivery) }
    }

    /// Described by `Config/schemas/detection.v1.json`.
    private static func document(
        _ frame: Frame, _ pipeline: PipelineSetup, _ identity: ResultIdentity, _ capturedAt: Int64?, _ found: Findings
    ) -> ResultDocument {
        let header = pipeline.header
        let topic = header.topics.detections(pipeline: header.pipeline, key: frame.delivery.key)
        return header.document(
            schema: "brokerside.detection/1", topic: topic, delivery: frame.delivery, identity: identity,
            capturedAt: capturedAt, frame: (frame.width, frame.height)
        ) { json in
            if frame.warnings > 0 { json.field("warnings", frame.warnings) }
            found.write(&json, labels: pipeline.labels)
        }
    }
}
