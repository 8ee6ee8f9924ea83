// SPDX-License-Identifier: Apache-2.0

import Alerts
import Foundation
import Streaming
import Tensors
import Yams

extension Configuration {
    /// Reads a configuration file. Paths in it are relative to its folder.
    ///
    /// - Throws: `ConfigurationError` with all faults, each with line and column; the reader's error when the file cannot
    ///   be read at all.
    package static func read(
        path: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> Configuration {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        return try Configuration(yaml: text, folder: folder, environment: environment)
    }

    /// Parses a configuration. `folder`: what relative paths start from.
    package init(yaml: String, folder: String, environment: [String: String]) throws {
        var parser = ConfigurationParser(folder: folder, environment: environment)
        guard let configuration = parser.parse(yaml) else {
            throw ConfigurationError(
                faults: parser.faults.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
        }
        self = configuration
    }
}

/// One pass over the YAML document. Every fault is noted; a configuration comes out only if there is none.
private struct ConfigurationParser {
    typealias Place = ConfigurationReader.Place

    private var reader: ConfigurationReader
    private let folder: String

    var faults: [ConfigurationFault] { reader.faults }

    init(folder: String, environment: [String: String]) {
        self.folder = folder
        reader = ConfigurationReader(environment: environment)
    }

    mutating func parse(_ yaml: String) -> Configuration? {
        guard let root = compose(yaml) else { return nil }
        let known = ["node", "broker", "sources", "models", "pipelines", "results", "http", "log", "state_dir"]
        guard let fields = reader.fields(Place(node: root, path: ""), known: known) else { return nil }
        if let http = fields["http"] { reader.fault(http, "this version serves no HTTP; remove the section") }
        let node = nodeName(fields["node"])
        var broker: Configuration.BrokerSection?
        if let place = reader.required(fields, "broker") { broker = brokerSection(place) }
        let sources = named(fields["sources"]) { $0.source($1, $2) }
        let models = named(fields["models"]) { $0.model($1, $2) }
        var pipelines: [Configuration.PipelineSection] = []
        if let place = reader.required(fields, "pipelines") {
            pipelines = named(place) { $0.pipeline($1, $2, sources: sources, models: models) }
            if pipelines.isEmpty, reader.faults.isEmpty { reader.fault(place, "at least one pipeline is needed") }
        }
        let results = resultsSection(fields["results"])
        let log = logSection(fields["log"])
        let stateDirectory = stateDirectory(fields["state_dir"])
        guard reader.faults.isEmpty, let broker else { return nil }
        var configuration = Configuration(
            node: node, broker: broker, sources: sources, models: models, pipelines: pipelines)
        configuration.results = results
        configuration.log = log
        configuration.stateDirectory = stateDirectory
        return configuration
    }

    private mutating func compose(_ yaml: String) -> Node? {
        do {
            if let root = try Yams.compose(yaml: yaml) { return root }
            reader.add(ConfigurationFault(line: 1, column: 1, path: "", message: "the file is empty"))
        } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _)
        {
            reader.add(ConfigurationFault(line: mark.line, column: mark.column, path: "", message: problem))
        } catch {
            reader.add(ConfigurationFault(line: 1, column: 1, path: "", message: "not readable as YAML: \(error)"))
        }
        return nil
    }

    // MARK: Sections

    /// The entries of a section in their order: names become levels of topics, so they are checked.
    private mutating func named<Section>(
        _ place: Place?, _ parse: (inout ConfigurationParser, String, Place) -> Section?
    ) -> [Section] {
        guard let place else { return [] }
        return reader.namedEntries(place).compactMap { parse(&self, $0.name, $0.place) }
    }

    private mutating func nodeName(_ place: Place?) -> String {
        guard let place else {
            return ProcessInfo.processInfo.hostName.split(separator: ".").first.map(String.init) ?? "node"
        }
        guard let name = reader.string(place) else { return "" }
        if !ConfigurationReader.isName(name) {
            reader.fault(place, "a name is 1 to 64 letters, digits, '-', '_' or '.'")
        }
        return name
    }

    private mutating func brokerSection(_ place: Place) -> Configuration.BrokerSection? {
        let known = ["url", "username", "password", "password_file", "tls", "protocol", "keep_alive"]
        guard let fields = reader.fields(place, known: known), let urlPlace = reader.required(fields, "url"),
            let url = reader.string(urlPlace)
        else { return nil }
        var broker = Configuration.BrokerSection(url: url)
        do { try BrokerFactory.checkAddress(url) } catch { reader.fault(urlPlace, "\(error)") }
        broker.username = reader.string(fields["username"])
        if let password = fields["password"] {
            guard case .scalar(let scalar) = password.node, scalar.string.hasPrefix("${") else {
                reader.fault(password, "a password does not belong into this file: use password_file or ${VARIABLE}")
                return nil
            }
            broker.password = reader.string(password)
        }
        if let place = fields["password_file"], let path = file(place) {
            broker.passwordFile = path
            do {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                broker.password = text.trimmingCharacters(in: .newlines)
            } catch { reader.fault(place, "cannot be read: \(path)") }
        }
        if let tls = fields["tls"] { broker.tls = tlsSection(tls) }
        broker.version = reader.choice(fields["protocol"], Configuration.BrokerSection.ProtocolVersion.self) ?? .v5
        if let place = fields["keep_alive"], let keepAlive = reader.duration(place, atMost: .seconds(65535)) {
            if keepAlive < .seconds(5) { reader.fault(place, "must be at least 5s") }
            broker.keepAlive = keepAlive
        }
        return broker
    }

    private mutating func tlsSection(_ place: Place) -> Configuration.BrokerSection.TLSSection? {
        guard let fields = reader.fields(place, known: ["ca_file", "cert_file", "key_file", "insecure"]) else {
            return nil
        }
        var tls = Configuration.BrokerSection.TLSSection()
        tls.caFile = existingFile(fields["ca_file"])
        tls.certificateFile = existingFile(fields["cert_file"])
        tls.keyFile = existingFile(fields["key_file"])
        tls.insecure = reader.boolean(fields["insecure"]) ?? false
        if (fields["cert_file"] == nil) != (fields["key_file"] == nil) {
            reader.fault(place, "cert_file and key_file belong together")
        }
        return tls
    }

    private mutating func source(_ name: String, _ place: Place) -> Configuration.SourceSection? {
        let known =
            ["topics", "kind", "qos", "share", "overload", "queue", "max_age", "window", "max_bytes"]
            + ReadingSections.keys
        guard let fields = reader.fields(place, known: known) else { return nil }
        let topics = reader.required(fields, "topics").flatMap { topicFilters($0) } ?? []
        let kind = reader.required(fields, "kind").flatMap {
            reader.choice($0, Configuration.SourceSection.Kind.self)
        }
        let qos = qualityOfService(fields["qos"]) ?? .atMostOnce
        guard let kind else { return nil }
        var source = Configuration.SourceSection(name: name, topics: topics, kind: kind, qos: qos)
        var reading = ReadingSections(reader: reader)
        source.reading = reading.section(fields, kind)
        reader = reading.reader
        if let place = fields["share"], let share = reader.string(place) {
            if share.isEmpty || share.contains(where: { "/+#".contains($0) }) {
                reader.fault(place, "the name of a shared subscription has no '/', '+' or '#'")
            }
            source.share = share
        }
        if let place = fields["overload"], let overload = reader.choice(place, OverflowPolicy.self) {
            source.overload = overload
            if source.reading.format == .sparkplug, overload == .latest {
                reader.fault(place, "in Sparkplug no message stands for another; use block, drop_oldest or drop_newest")
            }
        }
        if let queue = reader.integer(fields["queue"], in: 1...1_000_000) { source.queue = queue }
        if let age = reader.duration(fields["max_age"]) { source.maxAge = age > .zero ? age : nil }
        if let place = fields["window"], let window = reader.integer(place, in: 1...65535) {
            source.window = window
            if qos == .atMostOnce { reader.fault(place, "only a source of qos 1 has a window") }
        }
        if let size = reader.size(fields["max_bytes"], in: 1...(256 << 20)) { source.maximumBytes = size }
        return source
    }

    private mutating func topicFilters(_ place: Place) -> [TopicFilter] {
        guard let elements = reader.elements(place) else { return [] }
        if elements.isEmpty { reader.fault(place, "at least one topic is needed") }
        return elements.compactMap { element in
            guard let text = reader.string(element) else { return nil }
            if let filter = TopicFilter(text), !text.hasPrefix("$share/") { return filter }
            reader.fault(
                element,
                text.hasPrefix("$share/")
                    ? "write share: NAME instead of $share/NAME/..." : "'\(text)' is not a valid topic filter")
            return nil
        }
    }

    private mutating func qualityOfService(_ place: Place?) -> Streaming.QualityOfService? {
        guard let place, let value = reader.integer(place, in: 0...2) else { return nil }
        if value == 2 {
            reader.fault(
                place,
                "QoS 2 is not offered: the client library completes its handshake from memory, a crash would lose the message; use 1"
            )
        }
        return Streaming.QualityOfService(rawValue: Int32(value))
    }

    private mutating func model(_ name: String, _ place: Place) -> Configuration.ModelSection? {
        let known = ["file", "batch", "labels", "input", "output", "shapes"]
        guard let fields = reader.fields(place, known: known), let filePlace = reader.required(fields, "file"),
            let path = existingFile(filePlace)
        else { return nil }
        var model = Configuration.ModelSection(name: name, file: path)
        if let batch = fields["batch"], let values = reader.fields(batch, known: ["size", "wait"]) {
            if let size = reader.integer(values["size"], in: 1...64) { model.batchSize = size }
            if let wait = reader.duration(values["wait"], atMost: .seconds(10)) { model.batchWait = wait }
        }
        model.labels = fields["labels"].flatMap { labels($0) }
        var tensors = TensorSections(reader: reader)
        model.input = fields["input"].flatMap { tensors.preprocessing($0) }
        model.output = fields["output"].flatMap { tensors.interpretation($0) }
        model.shapes = fields["shapes"].map { tensors.shapes($0) } ?? [:]
        reader = tensors.reader
        return model
    }

    /// A list of names, or a text file with one name a line.
    private mutating func labels(_ place: Place) -> [String]? {
        guard case .scalar = place.node else { return reader.strings(place) }
        guard let path = existingFile(place), let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            return nil
        }
        return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
    }

    private mutating func pipeline(
        _ name: String, _ place: Place, sources: [Configuration.SourceSection], models: [Configuration.ModelSection]
    ) -> Configuration.PipelineSection? {
        guard let fields = reader.fields(place, known: ["from", "detect", "anomaly", "alerts"]) else { return nil }
        let source = reader.required(fields, "from").flatMap { place -> Configuration.SourceSection? in
            guard let name = reader.string(place) else { return nil }
            if let source = sources.first(where: { $0.name == name }) { return source }
            // A source that is there but has faults of its own is not reported twice.
            if !hasFault(in: "sources.\(name)") {
                reader.fault(place, reader.unknown(name, known: sources.map(\.name), what: "source"))
            }
            return nil
        }
        var work: Configuration.PipelineSection.Work?
        switch (fields["detect"], fields["anomaly"]) {
        case (let place?, nil):
            work = detect(place, models: models).map { .detect($0) }
            if let source, source.kind != .frames { reader.fault(place, "'\(source.name)' is not a source of frames") }
        case (nil, let place?):
            var sections = AnomalySections(reader: reader, models: models, format: source?.reading.format ?? .json)
            work = sections.section(place).map { .anomaly($0) }
            reader = sections.reader
            if let source, source.kind != .telemetry {
                reader.fault(place, "'\(source.name)' is not a source of telemetry")
            }
        case (nil, nil): reader.fault(place, "one of 'detect' and 'anomaly' is needed")
        case (_?, let place?): reader.fault(place, "'detect' and 'anomaly' exclude each other")
        }
        let alerts = named(fields["alerts"]) { $0.alert($1, $2, work: work) }
        guard let work, let source else { return nil }
        var pipeline = Configuration.PipelineSection(name: name, from: source.name, work: work)
        pipeline.alerts = alerts
        return pipeline
    }

    private mutating func detect(
        _ place: Place, models: [Configuration.ModelSection]
    ) -> Configuration.DetectSection? {
        let known = ["model", "threshold", "overlap", "classes", "maximum"]
        guard let fields = reader.fields(place, known: known), let modelPlace = reader.required(fields, "model"),
            let name = reader.string(modelPlace)
        else { return nil }
        if !models.contains(where: { $0.name == name }), !hasFault(in: "models.\(name)") {
            reader.fault(modelPlace, reader.unknown(name, known: models.map(\.name), what: "model"))
        }
        var section = Configuration.DetectSection(model: name)
        if let value = reader.number(fields["threshold"], in: 0...1) { section.threshold = Float(value) }
        if let value = reader.number(fields["overlap"], in: 0...1) { section.overlap = Float(value) }
        if let classes = reader.strings(fields["classes"]) { section.classes = classes }
        if let value = reader.integer(fields["maximum"], in: 1...1000) { section.maximum = value }
        return section
    }

    private mutating func alert(
        _ rule: String, _ place: Place, work: Configuration.PipelineSection.Work?
    ) -> Configuration.AlertSection? {
        var sections = AlertSections(reader: reader, work: work)
        defer { reader = sections.reader }
        return sections.section(rule, place)
    }

    /// A folder that can be written to, or one that is not there yet.
    private mutating func stateDirectory(_ place: Place?) -> String? {
        guard let place, let path = file(place) else { return nil }
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
            if !isFolder.boolValue {
                reader.fault(place, "is not a folder: \(path)")
            } else if !FileManager.default.isWritableFile(atPath: path) {
                reader.fault(place, "cannot be written to: \(path)")
            }
        }
        return path
    }

    private mutating func resultsSection(_ place: Place?) -> Configuration.ResultsSection {
        var results = Configuration.ResultsSection()
        guard let place, let fields = reader.fields(place, known: ["prefix", "qos", "report_every", "queue"]) else {
            return results
        }
        if let place = fields["prefix"], let prefix = reader.string(place) {
            if prefix.isEmpty || prefix.contains(where: { "+#$".contains($0) }) || prefix.hasPrefix("/")
                || prefix.hasSuffix("/")
            {
                reader.fault(place, "a prefix is a topic without '+', '#', '$' and without '/' at its ends")
            }
            results.prefix = prefix
        }
        results.qos = qualityOfService(fields["qos"])
        if let every = reader.duration(fields["report_every"]) { results.reportEvery = max(every, .seconds(1)) }
        if let queue = reader.integer(fields["queue"], in: 1...100_000) { results.queue = queue }
        return results
    }

    private mutating func logSection(_ place: Place?) -> Configuration.LogSection {
        var log = Configuration.LogSection()
        guard let place, let fields = reader.fields(place, known: ["level"]) else { return log }
        log.level = reader.choice(fields["level"], Configuration.LogSection.Level.self) ?? .info
        return log
    }

    // MARK: Small things

    private func hasFault(in path: String) -> Bool {
        reader.hasFault(in: path)
    }

    private mutating func file(_ place: Place) -> String? {
        reader.string(place).map { $0.hasPrefix("/") ? $0 : "\(folder)/\($0)" }
    }

    private mutating func existingFile(_ place: Place?) -> String? {
        guard let place, let path = file(place) else { return nil }
        guard FileManager.default.isReadableFile(atPath: path) else {
            reader.fault(place, "there is no readable file at \(path)")
            return nil
        }
        return path
    }
}
