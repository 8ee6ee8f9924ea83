// SPDX-License-Identifier: Apache-2.0

import Foundation
import Simulation
import Streaming
import Synchronization
import Vision

/// Listens to the results on the bus and compares them with the truth.
///
/// Messages come on the connection's queue; the feed and the table on the demo's thread.
final class DemoCollector: Sendable {
    /// A frame on its way through the program.
    private struct Pending {
        let site: CameraSite
        let truth: [TrueObject]
        let at: Instant
        /// Only of frames that are to be kept.
        let pixels: [UInt8]?
    }

    /// A frame that is to be written to disk.
    struct KeptFrame: Sendable {
        let site: CameraSite
        let truth: [TrueObject]
        let detections: [Detection]
        let pixels: [UInt8]
    }

    private struct State {
        /// By digest of the payload. Shed frames have no result: what is older than `pendingSeconds` is dropped.
        var pending: [String: Pending] = [:]
        var score = DetectionScore()
        var alerts: [AlertScore.Opened] = []
        var openedAlerts: Set<String> = []
        var alertNotes: [LiveTable.Note] = []
        var lastSeen: [CameraSite: String] = [:]
        var sources: [DemoDocuments.Source] = []
        var rates: [String: [Double]] = [:]
        var reportedAt: Instant?
        var isOnline = false
        var kept: [KeptFrame] = []
        /// When the feed began.
        var start: Instant?
        /// How far the feed is behind its schedule.
        var lagSeconds = 0.0
    }

    private static let pendingSeconds = 10.0
    private static let noteCapacity = 20
    private static let rateCapacity = 24
    private let record: DemoRecord?
    private let state = Mutex(State())

    init(record: DemoRecord?) { self.record = record }

    // MARK: From the feed

    func start(at instant: Instant) { state.withLock { $0.start = instant } }

    /// To be called before the frame is published. `digest`: of the payload, as results give it.
    func expect(_ frame: DemoFeed.Frame, digest: String, keeping pixels: [UInt8]?) {
        let now = Instant.now
        state.withLock { state in
            if state.pending.count > 500 {
                state.pending = state.pending.filter {
                    Double($1.at.nanoseconds(to: now)) < DemoCollector.pendingSeconds * 1e9
                }
            }
            state.pending[digest] = Pending(site: frame.site, truth: frame.truth, at: now, pixels: pixels)
        }
    }

    func note(lagSeconds: Double) { state.withLock { $0.lagSeconds = max(0, lagSeconds) } }

    // MARK: From the bus

    func receive(_ message: Message) {
        record?.add(message)
        let levels = message.topic.split(separator: "/")
        guard levels.count >= 3 else { return }
        let data = Data(message.payload.bytes)
        switch levels[2] {
        case "detections": receive(decode(DemoDocuments.Detections.self, data))
        case "alerts": receive(decode(DemoDocuments.Alert.self, data), at: message.receivedAt)
        case "report": receive(decode(DemoDocuments.Report.self, data), at: message.receivedAt)
        case "status":
            let isOnline = decode(DemoDocuments.Status.self, data)?.status == "online"
            state.withLock { $0.isOnline = isOnline }
        default: break
        }
    }

    private func decode<Document: Decodable>(_: Document.Type, _ data: Data) -> Document? {
        try? JSONDecoder().decode(Document.self, from: data)
    }

    private func receive(_ document: DemoDocuments.Detections?) {
        guard let document else { return }
        let detections = document.detections.compactMap { found -> Detection? in
            guard let object = ObjectClass(label: found.class), found.box.count == 4 else { return nil }
            let box = Box(x: found.box[0], y: found.box[1], width: found.box[2], height: found.box[3])
            return Detection(classIndex: object.rawValue, score: found.score, box: box)
        }
        let counts = ObjectClass.allCases.compactMap { object -> String? in
            let count = detections.count { $0.classIndex == object.rawValue }
            return count == 0 ? nil : "\(count) \(object.label)\(count == 1 ? "" : "s")"
        }
        state.withLock { state in
            guard let pending = state.pending.removeValue(forKey: document.input.digest) else { return }
            state.score.add(found: detections, truth: pending.truth)
            state.lastSeen[pending.site] = counts.isEmpty ? "nothing" : counts.joined(separator: ", ")
            if let pixels = pending.pixels {
                state.kept.append(
                    KeptFrame(site: pending.site, truth: pending.truth, detections: detections, pixels: pixels))
            }
        }
    }

    private func receive(_ document: DemoDocuments.Alert?, at instant: Instant) {
        // Events are published beside the state and tell the same again.
        guard let document, document.schema == DemoDocuments.Alert.stateSchema else { return }
        let machine =
            document.pipeline.hasSuffix(DemoConfiguration.healthEnding)
            ? MachineKind(rawValue: String(document.pipeline.dropLast(DemoConfiguration.healthEnding.count))) : nil
        state.withLock { state in
            let isNew = state.openedAlerts.insert(document.id).inserted
            guard isNew || document.state == "closed" else { return }
            let time = state.start.map { Double($0.nanoseconds(to: instant)) / 1e9 - state.lagSeconds } ?? 0
            if let machine, isNew { state.alerts.append(.init(machine: machine, time: time)) }
            let value = document.explanation.value.map { ", value \(fixed($0, 2))" } ?? ""
            let what = document.state == "closed" ? "closed" : "\(document.severity)\(value)"
            let source = document.pipeline.prefix { $0 != "-" }
            state.alertNotes.insert(
                .init(
                    name: String(source), text: "\(fixed(time, 1)) s  \(document.rule): \(what)",
                    isAlarming: machine != nil && document.state == "open"), at: 0)
            if state.alertNotes.count > DemoCollector.noteCapacity { state.alertNotes.removeLast() }
        }
    }

    private func receive(_ document: DemoDocuments.Report?, at instant: Instant) {
        guard let document else { return }
        state.withLock { state in
            let seconds = state.reportedAt.map { Double($0.nanoseconds(to: instant)) / 1e9 } ?? 0
            // The last report follows the one before it too soon for a rate.
            for source in document.sources where seconds > 0.7 {
                let before = state.sources.first { $0.name == source.name }?.processed ?? 0
                state.rates[source.name, default: []].append(Double(source.processed - before) / seconds)
                if state.rates[source.name, default: []].count > DemoCollector.rateCapacity {
                    state.rates[source.name]?.removeFirst()
                }
            }
            state.sources = document.sources
            state.reportedAt = instant
        }
    }

    // MARK: To the demo

    var isOnline: Bool { state.withLock { $0.isOnline } }
    var score: DetectionScore { state.withLock { $0.score } }
    var alerts: [AlertScore.Opened] { state.withLock { $0.alerts } }
    /// As of the last report.
    var sources: [DemoDocuments.Source] { state.withLock { $0.sources } }

    /// The frames to be written, once.
    func takeKeptFrames() -> [KeptFrame] {
        state.withLock { state in
            defer { state.kept = [] }
            return state.kept
        }
    }

    func table(title: String) -> LiveTable {
        state.withLock { state in
            var table = LiveTable()
            table.title = title
            table.sources = DemoConfiguration.sources.map { name in
                var row = LiveTable.Source(name: name)
                guard let source = state.sources.first(where: { $0.name == name }) else { return row }
                (row.received, row.processed) = (source.received, source.processed)
                (row.shed, row.failed) = (source.shed.total, source.failed.total)
                row.ageMilliseconds = source.latency?.p50
                row.rates = state.rates[name] ?? []
                return row
            }
            table.detections = CameraSite.allCases.map { .init(name: $0.rawValue, text: state.lastSeen[$0] ?? "-") }
            table.alerts = state.alertNotes
            let total = state.score.total
            table.footer =
                "precision \(fixed(total.precision, 3))  recall \(fixed(total.recall, 3))"
                + "  over \(state.score.frames) frames"
            return table
        }
    }
}
