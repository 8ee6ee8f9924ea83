// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
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
        /// By name of the pipeline.
        let seriesNetworks: [String: SeriesNetwork]

        /// Loads the models and tries everything out that can be wrong.
        ///
        /// - Throws: `ResourceError` with all faults.
        package init(_ configuration: Configuration) throws {
            self.configuration = configuration
            var faults: [String] = []
            var networks: [LoadedNetwork] = []
            let ofSeries = Resources.modelsOfSeries(configuration)
            for model in configuration.models where !ofSeries.contains(model.name) {
                do { networks.append(try LoadedNetwork(model)) } catch {
                    faults.append("models.\(model.name): \(error)")
                }
            }
            self.networks = networks
            var seriesNetworks: [String: SeriesNetwork] = [:]
            for pipeline in configuration.pipelines {
                guard case .anomaly(let section) = pipeline.work, let name = section.model,
                    let model = configuration.models.first(where: { $0.name == name })
                else { continue }
                do {
                    seriesNetworks[pipeline.name] = try SeriesNetwork(
                        model, seriesCount: section.series?.count ?? 1, normalization: section.normalization)
                } catch { faults.append("models.\(name): \(error)") }
            }
            self.seriesNetworks = seriesNetworks
            guard faults.isEmpty else { throw ResourceError(faults: faults) }
            for pipeline in configuration.pipelines {
                do { try check(pipeline) } catch { faults.append("pipelines.\(pipeline.name): \(error)") }
            }
            guard faults.isEmpty else { throw ResourceError(faults: faults) }
        }

        /// Names of the models that take series and no frames.
        private static func modelsOfSeries(_ configuration: Configuration) -> Set<String> {
            var ofSeries: Set<String> = []
            var ofFrames: Set<String> = []
            for pipeline in configuration.pipelines {
                switch pipeline.work {
                case .anomaly(let section): if let name = section.model { ofSeries.insert(name) }
                case .detect(let section): ofFrames.insert(section.model)
                }
            }
            return ofSeries.subtracting(ofFrames)
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
            return SampleReader(try TelemetryParser(settings), clockCapacity: section.seriesLimit)
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
                    let others = [PipelineDesks.anomalies, PipelineDesks.together, PipelineDesks.silences]
                    return [stated] + others.map { desk(AlertRules(), $0) }
                }
                let ruleNames = Set(pipeline.alerts.map(\.rule))
                let declared = section.series.map { Set($0.map(\.name)) }
                let detection = detection(of: pipeline, section)
                @Sendable func hasSeries(_ name: String) -> Bool {
                    declared?.contains(name) ?? !SeriesNames.reserved.contains(name)
                }
                let anomalies = desk(
                    detection.judgesEachSeries ? .anomalies(severity: section.severity) : AlertRules(),
                    PipelineDesks.anomalies
                ) { name in !ruleNames.contains(name) && hasSeries(name) }
                let ofDevices = detection.deviceMethods
                let together = desk(.together(ofDevices, severity: section.severity), PipelineDesks.together) { name in
                    !ruleNames.contains(name) && ofDevices.contains { $0.rawValue == name }
                }
                let silences = desk(
                    detection.watchesSilence ? .silences(severity: section.severity) : AlertRules(),
                    PipelineDesks.silences
                ) { name in
                    let method = DetectionMethod.silence.rawValue
                    let series = name.hasPrefix(method + ".") ? String(name.dropFirst(method.count + 1)) : nil
                    return !ruleNames.contains(name) && (name == method || series.map(hasSeries) ?? false)
                }
                return [stated, anomalies, together, silences]
            }
        }

        private func detection(
            of pipeline: Configuration.PipelineSection, _ section: Configuration.AnomalySection
        ) -> DetectionSetup {
            DetectionSetup(
                budget: section.falseAlarms, methods: section.methods, network: seriesNetworks[pipeline.name],
                seriesLimit: section.seriesLimit, declaredCount: section.series?.count)
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
                let worker = network.makeWorker(interpreters)
                // What fails on nothing fails on frames as well, and is counted there.
                try? worker.prepare()
                return worker
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
            keeper: SeriesKeeper? = nil, silence: SilenceTimer? = nil
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
                    lane: index, pipelines: telemetrySetups(pipelines, topics), ingest: ingest, results: results)
                keeper?.adopt(stage)
                silence?.add(stage, of: ingest)
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

        func telemetrySetups(
            _ pipelines: [(offset: Int, element: Configuration.PipelineSection)], _ topics: ResultTopics
        ) -> [TelemetryPipeline.Setup] {
            pipelines.compactMap { index, pipeline in
                // What can go wrong here went wrong in `init`.
                guard case .anomaly(let section) = pipeline.work, let reader = try? makeReader(pipeline) else {
                    return nil
                }
                let network = seriesNetworks[pipeline.name]
                // The detector's model is its kind and settings.
                let isAutomatic = section.methods == [.auto]
                let name = isAutomatic ? "level-and-spread" : section.methods.map(\.rawValue).joined(separator: "+")
                var text = "\(name)/2 \(section.falseAlarms)"
                if let network { text += " \(network.digest) \(section.normalization.rawValue)" }
                let digest = text.withUTF8 { SHA256.hash(data: UnsafeRawBufferPointer($0)) }
                return TelemetryPipeline.Setup(
                    index: index,
                    header: header(
                        pipeline, model: network?.modelName ?? name,
                        digest: digest.withUnsafeBytes { hexadecimal($0) }, topics: topics),
                    reader: reader, detection: detection(of: pipeline, section),
                    publishesAll: section.publish == .all, rules: TelemetryPipeline.RuleNames(pipeline))
            }
        }
    }

    /// Everything that stands between a configuration and its first message.
    package struct ResourceError: Error, CustomStringConvertible {
        package var faults: [String]

        package var description: String { faults.joined(separator: "\n") }
    }
}
