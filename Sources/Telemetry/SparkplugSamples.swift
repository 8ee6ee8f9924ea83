// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import SwiftProtobuf

/// Sparkplug B to samples, specification 3.0.0: births say what metrics there are, data messages give their values, mostly by
/// alias.
///
/// - NBIRTH, DBIRTH: the metrics of a node or device, with their current values. NDATA, DDATA: values.
/// - NDEATH, DDEATH: what was born is forgotten. An NDEATH of another session (`bdSeq`) changes nothing: `stale_death`.
/// - A gap in the sequence numbers (0 to 255), or data of what was not born: the node is asked for its births (`rebirths`),
///   at most every 10 s. What can be read is read all the same: metrics that are known, or come with name and type.
/// - Commands and the state of host applications have no samples.
/// - Metrics that are null, historical or of `Quality` other than good (192) give no sample.
///
/// Series that are found by themselves: every metric of a numeric or Boolean type but `bdSeq`, `Node Control/` and `Device
/// Control/`; `Inputs/Level` is named `Inputs.Level`.
///
/// Memory: `nodeLimit` edge nodes with `entryLimit` aliases, names and devices in all, about 200 bytes each; the nodes that were
/// silent for longest are forgotten first, and asked for their births when they come again.
struct SparkplugSamples: Sendable {
    static let nodeLimit = 1024
    static let entryLimit = 65536

    /// To ask, since the last message.
    private(set) var rebirths: [SparkplugNode] = []

    private let wanted: [String: Int]?
    private let readsStrings: Bool
    private let timeUnit: TimeReading.Unit
    private let asks: Bool
    private var registry = SeriesRegistry(capacity: SparkplugSamples.nodeLimit)
    private var sessions: [SparkplugSession] = []
    private var entryCount = 0

    private static let unread = -1
    private static let nameless = -2

    init(_ settings: TelemetryParser.Settings) {
        wanted = settings.series.map { series in
            Dictionary(series.enumerated().map { (SparkplugSamples.metricName(of: $1.pointer), $0) }) { first, _ in
                first
            }
        }
        readsStrings = settings.readsStrings
        timeUnit = settings.timestamp?.reading.unit ?? .automatic
        asks = settings.asksForBirths
    }

    /// False for a message that has no samples by its nature.
    mutating func read(
        _ text: UnsafeRawBufferPointer, _ topic: String, _ receivedAt: Instant, _ names: inout SeriesNames,
        _ sink: inout SampleSink
    ) throws(TelemetryFault) -> Bool {
        rebirths.removeAll(keepingCapacity: true)
        if SparkplugTopic.isHostState(topic) { return false }
        guard let topic = SparkplugTopic(topic) else { throw .invalidSparkplug }
        if topic.kind == .nodeCommand || topic.kind == .deviceCommand { return false }
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        // Throws on anything that is no such message, whatever its lengths promise.
        guard let payload = try? SparkplugPayload(serializedBytes: Data(text), options: options) else {
            throw .invalidSparkplug
        }
        let slot = slot(of: topic.node)
        var session = SparkplugSession()
        swap(&session, &sessions[slot])
        entryCount -= session.entryCount
        defer {
            entryCount += session.entryCount
            swap(&session, &sessions[slot])
            forgetNodes(but: slot)
        }
        if topic.kind == .nodeDeath {
            if !session.endSession(birthDeathSequence: SparkplugSamples.birthDeathSequence(payload)) {
                sink.note(.staleDeath, series: nil)
            }
            return false
        }
        // What is packed is not unpacked.
        if payload.hasUuid, payload.hasBody, payload.metrics.isEmpty { throw .invalidSparkplug }
        var lacksBirth = false
        if topic.kind == .nodeBirth {
            session.beginBirth(
                sequence: payload.hasSeq ? payload.seq : nil,
                birthDeathSequence: SparkplugSamples.birthDeathSequence(payload))
        } else if !session.isAlive {
            lacksBirth = true
        } else if !session.follows(payload.hasSeq ? payload.seq : nil) {
            sink.note(.sequenceGap, series: nil)
            lacksBirth = true
        }
        switch topic.kind {
        case .nodeBirth, .deviceBirth:
            if topic.kind == .deviceBirth { session.beginBirth(ofDevice: topic.device) }
            for metric in payload.metrics { register(metric, topic.device, &session, &names) }
        case .deviceDeath:
            session.end(device: topic.device)
            if lacksBirth { ask(topic.node, &session, receivedAt) }
            return false
        default: if !session.isBorn(device: topic.device) { lacksBirth = true }
        }
        for metric in payload.metrics where !add(metric, payload, topic, session, receivedAt, &names, &sink) {
            lacksBirth = true
        }
        if lacksBirth { ask(topic.node, &session, receivedAt) }
        return true
    }

    private mutating func ask(_ node: SparkplugNode, _ session: inout SparkplugSession, _ now: Instant) {
        if asks, session.mayAsk(at: now.monotonicNanoseconds) { rebirths.append(node) }
    }

    // MARK: Metrics

    /// Remembers a metric of a birth.
    private mutating func register(
        _ metric: SparkplugMetric, _ device: String, _ session: inout SparkplugSession, _ names: inout SeriesNames
    ) {
        // One node never takes all the room.
        guard metric.hasName, metric.name.utf8.count <= SeriesNames.maximumBytes,
            session.entryCount < SparkplugSamples.entryLimit / 2
        else { return }
        let type = SparkplugType(rawValue: metric.datatype)
        session.add(
            SparkplugSession.Metric(type: type, series: series(metric.name, type, &names)), name: metric.name,
            alias: metric.hasAlias ? metric.alias : nil, device: device)
    }

    /// The series of a metric, or that it is not read.
    private func series(_ name: String, _ type: SparkplugType?, _ names: inout SeriesNames) -> Int {
        if let wanted { return wanted[name] ?? SparkplugSamples.unread }
        guard let type, !type.isText || readsStrings, name != "bdSeq", !name.hasPrefix("Node Control/"),
            !name.hasPrefix("Device Control/")
        else { return SparkplugSamples.unread }
        let levels = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return names.number(of: SeriesNames.name(levels)) ?? SparkplugSamples.nameless
    }

    /// Adds the value of a metric. False if no birth has told what it is.
    private func add(
        _ metric: SparkplugMetric, _ payload: SparkplugPayload, _ topic: SparkplugTopic, _ session: SparkplugSession,
        _ receivedAt: Instant, _ names: inout SeriesNames, _ sink: inout SampleSink
    ) -> Bool {
        var known = session.metric(
            alias: metric.hasAlias ? metric.alias : nil, name: metric.hasName ? metric.name : nil, device: topic.device)
        if known == nil, metric.hasName, metric.hasDatatype {
            let type = SparkplugType(rawValue: metric.datatype)
            known = SparkplugSession.Metric(type: type, series: series(metric.name, type, &names))
        }
        guard let known else {
            sink.refuse(.unknownMetric, series: nil)
            return false
        }
        if known.series == SparkplugSamples.nameless { sink.refuse(.tooManySeries, series: nil) }
        guard known.series >= 0 else { return true }
        if metric.isHistorical {
            sink.refuse(.historical, series: known.series)
        } else if SparkplugSamples.isBad(metric) {
            sink.refuse(.badQuality, series: known.series)
        } else if let type = (metric.hasDatatype ? SparkplugType(rawValue: metric.datatype) : nil) ?? known.type {
            let moment = moment(metric, payload, receivedAt, &sink)
            sink.add(type.value(of: metric, readsStrings: readsStrings), series: known.series, at: moment)
        } else {
            sink.refuse(.wrongType, series: known.series)
        }
        return true
    }

    private func moment(
        _ metric: SparkplugMetric, _ payload: SparkplugPayload, _ receivedAt: Instant, _ sink: inout SampleSink
    ) -> Int64 {
        let given = metric.hasTimestamp ? metric.timestamp : payload.hasTimestamp ? payload.timestamp : nil
        if let given, let whole = Int64(exactly: given), let time = Timestamp.epoch(whole, timeUnit) { return time }
        sink.note(.badTimestamp, series: nil)
        return receivedAt.unixNanoseconds
    }

    /// OPC's quality, as a property: 192 is good.
    private static func isBad(_ metric: SparkplugMetric) -> Bool {
        guard metric.hasProperties else { return false }
        for (key, value) in zip(metric.properties.keys, metric.properties.values) where key.lowercased() == "quality" {
            switch value.value {
            case .intValue(let quality): return quality != 192
            case .longValue(let quality): return quality != 192
            case nil: return false
            }
        }
        return false
    }

    private static func birthDeathSequence(_ payload: SparkplugPayload) -> UInt64? {
        for metric in payload.metrics where metric.name == "bdSeq" {
            switch metric.value {
            case .intValue(let value): return UInt64(value)
            case .longValue(let value): return value
            default: return nil
            }
        }
        return nil
    }

    /// `/Inputs/Level` is the metric `Inputs/Level`.
    private static func metricName(of pointer: JSONPointer) -> String {
        pointer.tokens.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
    }

    // MARK: Nodes

    private mutating func slot(of node: SparkplugNode) -> Int {
        let place = registry.place(of: SeriesID(key: "\(node.group)/\(node.node)", series: 0))
        if place.slot == sessions.count {
            sessions.append(SparkplugSession())
        } else if place.isNew {
            entryCount -= sessions[place.slot].entryCount
            sessions[place.slot] = SparkplugSession()
        }
        return place.slot
    }

    /// Makes room: nodes that were silent for longest lose what is known of them.
    private mutating func forgetNodes(but slot: Int) {
        guard entryCount > SparkplugSamples.entryLimit else { return }
        var next = registry.oldestSlot
        while let oldest = next, oldest != slot, entryCount > SparkplugSamples.entryLimit {
            entryCount -= sessions[oldest].entryCount
            sessions[oldest] = SparkplugSession()
            next = registry.slotUsed(after: oldest)
        }
    }
}

extension SparkplugNode {
    /// The command that asks the node for its births.
    package func rebirthCommand(unixNanoseconds: Int64) -> [UInt8] {
        var metric = SparkplugMetric()
        metric.name = "Node Control/Rebirth"
        metric.datatype = SparkplugType.boolean.rawValue
        metric.timestamp = UInt64(clamping: unixNanoseconds / 1_000_000)
        metric.booleanValue = true
        var payload = SparkplugPayload()
        payload.timestamp = metric.timestamp
        payload.metrics = [metric]
        // Fails for messages with required fields only, and this has none.
        return (try? payload.serializedBytes()) ?? []
    }
}
