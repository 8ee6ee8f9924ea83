// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
import Streaming
import Tensors

/// What the program is to do, as typed values: every name resolves, every number is in its range.
package struct Configuration: Sendable, Equatable {
    package var node: String
    package var broker: BrokerSection
    package var sources: [SourceSection]
    package var models: [ModelSection]
    package var pipelines: [PipelineSection]
    package var results = ResultsSection()
    package var log = LogSection()
    /// Folder for what outlives the program: alerts, learned levels. Nil: nothing does.
    package var stateDirectory: String?

    package init(
        node: String, broker: BrokerSection, sources: [SourceSection], models: [ModelSection],
        pipelines: [PipelineSection]
    ) {
        self.node = node
        self.broker = broker
        self.sources = sources
        self.models = models
        self.pipelines = pipelines
    }

    package struct BrokerSection: Sendable, Equatable {
        package var url: String
        package var username: String?
        package var passwordFile: String?
        /// Read from `passwordFile` or taken from the environment; never printed.
        package var password: String?
        package var tls: TLSSection?
        /// "5" or "3.1.1"
        package var version = ProtocolVersion.v5
        package var keepAlive: Duration = .seconds(30)

        package init(url: String) { self.url = url }

        package enum ProtocolVersion: String, Sendable, CaseIterable {
            case v5 = "5"
            case v311 = "3.1.1"
        }

        package struct TLSSection: Sendable, Equatable {
            package var caFile: String?
            package var certificateFile: String?
            package var keyFile: String?
            /// Accept any certificate: for trying out only.
            package var insecure = false

            package init() {}
        }
    }

    package struct SourceSection: Sendable, Equatable {
        package enum Kind: String, Sendable, CaseIterable { case frames, telemetry }

        package var name: String
        package var topics: [TopicFilter]
        package var kind: Kind
        /// Of telemetry.
        package var reading = ReadingSection()
        package var qos: QualityOfService
        package var share: String?
        package var overload: OverflowPolicy
        /// Messages that may wait for a worker.
        package var queue: Int
        /// No result is published for a message older than this; nil: never too old.
        package var maxAge: Duration?
        /// QoS 1: messages between two acknowledgements.
        package var window: Int
        package var maximumBytes: Int

        /// The defaults of a source. QoS 0 keeps fresh what is fresh; QoS 1 drops nothing.
        package init(name: String, topics: [TopicFilter], kind: Kind, qos: QualityOfService = .atMostOnce) {
            self.name = name
            self.topics = topics
            self.kind = kind
            self.qos = qos
            overload = qos == .atLeastOnce ? .block : kind == .frames ? .latest : .dropOldest
            queue = kind == .frames ? 64 : 16384
            maxAge = qos == .atMostOnce && kind == .frames ? .seconds(5) : nil
            window = kind == .frames ? 16 : 256
            maximumBytes = kind == .frames ? 16 << 20 : 1 << 20
        }
    }

    package struct ModelSection: Sendable, Equatable {
        package var name: String
        package var file: String
        package var batchSize = 1
        package var batchWait: Duration = .zero
        /// Labels of the classes, in place of those of the model file.
        package var labels: [String]?
        /// Preprocessing and interpretation, in place of those that the model file declares.
        package var input: ImagePreprocessing?
        package var output: OutputInterpretation?
        /// Shapes of inputs with dynamic extents.
        package var shapes: [String: Shape] = [:]

        package init(name: String, file: String) {
            self.name = name
            self.file = file
        }
    }

    package struct PipelineSection: Sendable, Equatable {
        package var name: String
        /// Name of the source.
        package var from: String
        package var work: Work
        package var alerts: [AlertSection] = []

        package init(name: String, from: String, work: Work) {
            self.name = name
            self.from = from
            self.work = work
        }

        package enum Work: Sendable, Equatable {
            case detect(DetectSection)
            case anomaly(AnomalySection)
        }
    }

    package struct DetectSection: Sendable, Equatable {
        package var model: String
        package var threshold: Float = 0.5
        package var overlap: Float = 0.45
        /// Empty: all classes.
        package var classes: [String] = []
        package var maximum = 100

        package init(model: String) { self.model = model }
    }

    package struct AnomalySection: Sendable, Equatable {
        package struct Series: Sendable, Equatable {
            package var name: String
            /// JSON Pointer (RFC 6901) into the payload; empty for the payload itself. Other formats: `SeriesDeclaration`.
            package var pointer: String

            package init(name: String, pointer: String) {
                self.name = name
                self.pointer = pointer
            }
        }

        /// Nil: every numeric leaf of the payload is a series (`auto`).
        package var series: [Series]?
        /// Of each series.
        package var falseAlarms = FalseAlarmBudget(count: 1, per: .seconds(86400))
        package var publish = Publish.all
        package var severity = Severity.warning
        /// What is looked for, in the order of `DetectionMethod`: those of one series, or `network`; `multivariate`;
        /// `silence`.
        package var methods: [DetectionMethod] = [.auto]
        /// Name of the model, with the method `network`.
        package var model: String?
        /// Which numbers the network sees.
        package var normalization = WindowForm.Normalization.series
        /// Series of all devices together that are remembered.
        package var seriesLimit = AnomalySection.defaultSeriesLimit

        package static let defaultSeriesLimit = 100_000

        package enum Publish: String, Sendable, CaseIterable {
            /// A score message for each telemetry message.
            case all
            /// Only for those with an alarm.
            case alarms
        }

        package init(series: [Series]?) { self.series = series }
    }

    package struct ResultsSection: Sendable, Equatable {
        package var prefix = "brokerside"
        /// Nil: that of the source.
        package var qos: QualityOfService?
        package var reportEvery: Duration = .seconds(10)
        /// Results that may wait for being sent, and their bytes.
        package var queue = 4096

        package init() {}
    }

    package struct LogSection: Sendable, Equatable {
        package enum Level: String, Sendable, CaseIterable { case debug, info, warning, error }
        package var level = Level.info

        package init() {}
    }
}
