// SPDX-License-Identifier: Apache-2.0

import Alerts
import Crypto
import Inference
import Streaming
import Telemetry
import Tensors
import Vision

extension StreamProcessor {
    /// What a configuration needs before the first message: loaded networks, checked against what the pipelines want of them.
    package struct Resources: Sendable {
        package let configuration: Configuration
        let networks: [LoadedNetwork]

        /// Loads the models and tries everything out that can be wrong.
        ///
        /// - Throws: `ResourceError` with all faults.
        package init(_ configuration: Configuration) throws {
            self.configuration = configuration
            var faults: [String] = []
            var networks: [LoadedNetwork] = []
            for model in configuration.models {
                do { networks.append(try LoadedNetwork(model)) } catch {
                    faults.append("models.\(model.name): \(error)")
                }
            }
            self.networks = networks
            guard faults.isEmpty else { throw ResourceError(faults: faults) }
            for pipeline in configuration.pipelines {
                do { try check(pipeline) } catch { faults.append("pipelines.\(pipeline.name): \(error)") }
            }
            guard faults.isEmpty else { throw ResourceError(faults: faults) }
        }

        private func check(_ pipeline: Configuration.PipelineSection) throws {
            switch pipeline.work {
            case .detect(let section):
                if let network = network(named: section.model) { _ = try network.makeInterpreter(section) }
            case .anomaly: _ = try makeReader(pipeline)
            }
            _ = try statedRules(pipeline)
        }

        private func network(named name: String) -> LoadedNetwork? { networks.first { $0.section.name == name } }

        private func source(of pipeline: Configuration.PipelineSection) -> Configuration.SourceSection? {
            configuration.sources.first { $0.name == pipeline.from }
        }

        private func makeReader(_ pipeline: Configuration.PipelineSection) throws -> SampleReader? {
            guard case .anomaly(let section) = pipeline.work, let source = source(of: pipeline) else { return nil }
            let settings = try source.reading.settings(
                series: section.series, expected: section.series == nil ? namesInRules(pipeline) : [],
                maximumBytes: source.maximumBytes)
            return SampleReader(try TelemetryParser(settings))
        }

        /// The series that the rules of a pipeline speak of, each once.
        private func namesInRules(_ pipeline: Configuration.PipelineSection) -> [String] {
            var names: [String] = []
            for name in pipeline.alerts.flatMap(\.condition.leaves).compactMap(\.series) where !names.contains(name) {
                names.append(name)
            }
            return names
        }

        // MARK: Results

        private func statedRules(_ pipeline: Configuration.PipelineSection) throws -> AlertRules {
            switch pipeline.work {
            case .detect(let section):
                try AlertRules(pipeline.alerts, classes: network(named: section.model)?.labels ?? [], series: [])
            case .anomaly(let section):
                try AlertRules(
                    pipeline.alerts, classes: [], series: section.series?.map(\.name) ?? namesInRules(pipeline))
            }
        }

        /// Per pipeline, how its results go out.
        var routes: [ResultStage.Route] {
            configuration.pipelines.map { pipeline in
                let source = source(of: pipeline)
                return ResultStage.Route(
                    qos: configuration.results.qos ?? source?.qos ?? .atMostOnce,
                    maxAgeNanoseconds: source?.maxAge?.wholeNanoseconds)
            }
        }

        /// Per pipeline, its desks by `PipelineDesks`.
        func makeDesks(topics: ResultTopics) throws -> [[AlertDesk]] {
            try configuration.pipelines.map { pipeline in
                let source = source(of: pipeline)
                let keyOfTopic: @Sendable (String) -> String? = { source?.key(of: $0) }
                func desk(
                    _ rules: AlertRules, _ position: Int, hasRule: (@Sendable (String) -> Bool)? = nil
                ) -> AlertDesk {
                    AlertDesk(
                        node: configuration.node, pipeline: pipeline.name, position: position, topics: topics,
                        rules: rules.rules, subjects: rules.subjects, keyOfTopic: keyOfTopic, hasRule: hasRule)
                }
                let stated = desk(try statedRules(pipeline), PipelineDesks.stated)
                guard case .anomaly(let section) = pipeline.work else {
                    return [stated, desk(AlertRules(), PipelineDesks.anomalies)]
                }
                let ruleNames = Set(pipeline.alerts.map(\.rule))
                let declared = section.series.map { Set($0.map(\.name)) }
                let anomalies = desk(.anomalies(severity: section.severity), PipelineDesks.anomalies) { name in
                    !ruleNames.contains(name) && declared?.contains(name) ?? true
                }
                return [stated, anomalies]
            }
        }

        private func header(
            _ pipeline: Configuration.PipelineSection, model: String, digest: String, topics: ResultTopics
        ) -> ResultHeader {
            ResultHeader(
                node: configuration.node, pipeline: pipeline.name, modelName: model, modelDigest: digest, topics: topics
            )
        }

        // MARK: Work

        /// The tools of one worker.
        func makeTools() -> Worker.Tools {
            let workers = networks.map { network in
                var interpreters: [Int: NetworkWorker.Interpreter] = [:]
                for (index, pipeline) in configuration.pipelines.enumerated() {
                    guard case .detect(let section) = pipeline.work, section.model == network.section.name else {
                        continue
                    }
                    // What can go wrong here went wrong in `init`.
                    interpreters[index] = try? network.makeInterpreter(section)
                }
                return network.makeWorker(interpreters)
            }
            return Worker.Tools(decoder: JPEGDecoder(limits: frameLimits), networks: workers)
        }

        private var frameLimits: JPEGLimits {
            var limits = JPEGLimits()
            limits.bytes = configuration.sources.filter { $0.kind == .frames }.map(\.maximumBytes).max() ?? limits.bytes
            return limits
        }

        /// The lane of source `index`: what is done with its messages.
        func makeLane(
            _ index: Int, _ ingest: Ingest, workerCount: Int, results: ResultStage, topics: ResultTopics, hub: Hub,
            keeper: SeriesKeeper? = nil
        ) -> Scheduler.Lane {
            let section = configuration.sources[index]
            let pipelines = configuration.pipelines.enumerated().filter { $0.element.from == section.name }
            var lane = Scheduler.Lane(
                name: section.name, capacity: section.queue, overflow: section.overload,
                maxAgeNanoseconds: section.maxAge?.wholeNanoseconds, batchSize: 1, batchWaitNanoseconds: 0,
                concurrency: 1,
                openLimit: 1, process: { _, _ in }, pause: { ingest.pause() }, resume: { ingest.resume() })
            switch section.kind {
            case .frames:
                let models = pipelines.compactMap { _, pipeline -> Configuration.ModelSection? in
                    guard case .detect(let detect) = pipeline.work else { return nil }
                    return configuration.models.first { $0.name == detect.model }
                }
                lane.batchSize = models.map(\.batchSize).min() ?? 1
                lane.batchWaitNanoseconds = models.map(\.batchWait.wholeNanoseconds).max() ?? 0
                lane.concurrency = workerCount
                // Two batches for each worker, and some that wait for the broker's acknowledgement.
                lane.openLimit = 2 * workerCount * lane.batchSize + 16
                let stage = FrameStage(lane: index, pipelines: frameSetups(pipelines, topics), results: results)
                lane.process = { worker, batch in
                    guard let scheduler = hub.scheduler else { return }
                    stage.process(batch, on: worker, scheduler: scheduler)
                }
            case .telemetry:
                lane.batchSize = TelemetryStage.batchSize
                lane.openLimit = 8 * TelemetryStage.batchSize
                let stage = TelemetryStage(
                    lane: index, pipelines: telemetrySetups(pipelines, topics), counts: ingest.samples, results: results
                )
                keeper?.adopt(stage)
                lane.process = { _, batch in
                    guard let scheduler = hub.scheduler else { return }
                    stage.process(batch, scheduler: scheduler)
                }
            }
            return lane
        }

        private func frameSetups(
            _ pipelines: [(offset: Int, element: Configuration.PipelineSection)], _ topics: ResultTopics
        ) -> [FrameStage.PipelineSetup] {
            pipelines.compactMap { index, pipeline in
                guard case .detect(let section) = pipeline.work,
                    let position = networks.firstIndex(where: { $0.section.name == section.model })
                else { return nil }
                let network = networks[position]
                return FrameStage.PipelineSetup(
                    index: index, network: position,
                    header: header(pipeline, model: network.modelName, digest: network.digest, topics: topics),
                    labels: network.labels)
            }
        }

        private func telemetrySetups(
            _ pipelines: [(offset: Int, element: Configuration.PipelineSection)], _ topics: ResultTopics
        ) -> [TelemetryStage.PipelineSetup] {
            pipelines.compactMap { index, pipeline in
                // What can go wrong here went wrong in `init`.
                guard case .anomaly(let section) = pipeline.work, let reader = try? makeReader(pipeline) else {
                    return nil
                }
                // The detector's model is its kind and settings.
                var text = "level-and-spread/1 \(section.falseAlarms)"
                let digest = text.withUTF8 { SHA256.hash(data: UnsafeRawBufferPointer($0)) }
                return TelemetryStage.PipelineSetup(
                    index: index,
                    header: header(
                        pipeline, model: "level-and-spread", digest: digest.withUnsafeBytes { hexadecimal($0) },
                        topics: topics),
                    reader: reader, budget: section.falseAlarms, publishesAll: section.publish == .all,
                    rules: TelemetryStage.RuleNames(pipeline))
            }
        }
    }

    /// Everything that stands between a configuration and its first message.
    package struct ResourceError: Error, CustomStringConvertible {
        package var faults: [String]

        package var description: String { faults.joined(separator: "\n") }
    }
}
