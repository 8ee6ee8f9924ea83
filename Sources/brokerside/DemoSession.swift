// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import MQTT
import Pipeline
import Simulation
import Streaming
import Synchronization
import Vision

#if canImport(Glibc)
    import Glibc
#endif

/// One run of the demo: broker, program, feed, and what is made of the results. Everything is started here and ended
/// here, on the thread that calls `run`.
struct DemoSession {
    private let seconds: Double
    private let seed: UInt64
    private let workers: Int?
    private let keptFrames: URL?
    private let model: String?
    private let record: DemoRecord?

    /// How often a camera's frame is kept, in seconds.
    private static let keepEverySeconds = 2.0
    private static let startSeconds = 20.0
    private static let drainSeconds = 5.0
    private static let tableEverySeconds = 0.25

    init(seconds: Double, seed: UInt64, model: String?, workers: Int?, keptFrames: String?, record: String?) throws {
        self.seconds = seconds
        self.seed = seed
        self.workers = workers
        self.model = model
        self.record = try record.map { try DemoRecord(path: $0) }
        self.keptFrames = keptFrames.map { URL(fileURLWithPath: $0) }
        if let folder = self.keptFrames {
            do {
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            } catch { throw DemoFailure("\(folder.path): cannot be made: \(error.localizedDescription)") }
        }
    }

    /// Throws `MosquittoProcess.Failure` or `DemoFailure`.
    func run() throws -> DemoSummary {
        let interrupt = InterruptFlag()
        let mosquitto = try MosquittoProcess()
        defer { mosquitto.stop() }
        let configuration = try writeConfiguration(brokerURL: mosquitto.url, to: mosquitto.directory)
        let collector = DemoCollector(record: record)
        let (feed, watch) = try connect(mosquitto.url, collector)
        defer {
            feed.stop(within: .zero)
            watch.stop(within: .zero)
        }
        let program = try startProgram(configuration, beside: mosquitto, collector)
        var table = TableScreen()
        let published = publish(
            over: feed, collector, interrupt, title: "brokerside demo   broker \(mosquitto.url)   seed \(seed)", &table)
        feed.stop(within: .seconds(DemoSession.drainSeconds))
        drain(collector, published)
        program.stop()
        // Its last words: the final report, then that it is offline.
        wait(atMost: DemoSession.drainSeconds) { !collector.isOnline }
        write(collector.takeKeptFrames(), count: published.kept)
        table.draw(collector.table(title: "brokerside demo   finished"))
        guard !collector.sources.isEmpty else {
            throw DemoFailure("the program gave no report:\n\(program.log)")
        }
        return DemoSummary(
            seconds: published.seconds, seed: seed, score: collector.score,
            alerts: AlertScore(faults: published.faults, alerts: collector.alerts),
            sources: collector.sources.map { .init(published: published.counts[$0.name] ?? 0, counters: $0) })
    }

    // MARK: Start

    private func writeConfiguration(brokerURL: String, to folder: URL) throws -> URL {
        let file: String
        if let model {
            guard FileManager.default.fileExists(atPath: model) else { throw DemoFailure("\(model): no such file") }
            file = URL(fileURLWithPath: model).path
        } else {
            let url = folder.appendingPathComponent("demo-detector.bsm")
            try Data(DemoDetector.bytes).write(to: url)
            file = url.path
        }
        let url = folder.appendingPathComponent("demo.yaml")
        try Data(DemoConfiguration(brokerURL: brokerURL, modelFile: file).yaml.utf8).write(to: url)
        return url
    }

    private func connect(
        _ url: String, _ collector: DemoCollector
    ) throws -> (feed: any BrokerConnection, watch: any BrokerConnection) {
        let broker = try MQTTBroker(try MQTTSettings(url: url))
        guard let filter = TopicFilter(DemoConfiguration.resultsFilter) else {
            throw DemoFailure("no filter for the results")
        }
        let watch = try broker.makeConnection(
            ConnectionOptions(clientID: "demo-watch", subscriptions: [.init(filter: filter, qos: .atLeastOnce)]),
            onMessage: { collector.receive($0) }, onEvent: { _ in })
        let feed = try broker.makeConnection(
            ConnectionOptions(clientID: "demo-feed"), onMessage: { _ in }, onEvent: { _ in })
        watch.start()
        feed.start()
        return (feed, watch)
    }

    /// Starts the program and returns when all its subscriptions stand: nothing is published that nobody would count.
    private func startProgram(
        _ configuration: URL, beside mosquitto: MosquittoProcess, _ collector: DemoCollector
    ) throws -> DemoProgram {
        let waiting = ["demo-watch"] + DemoConfiguration.sources.map { "\(DemoConfiguration.node)-\($0)" }
        func isSubscribed(_ client: String, _ log: String) -> Bool { log.contains("Sending SUBACK to \(client)\n") }
        guard wait(atMost: DemoSession.startSeconds, until: { isSubscribed("demo-watch", mosquitto.log) }) else {
            throw DemoFailure("no connection to the demo's broker:\n\(mosquitto.log.suffix(2000))")
        }
        let program = try DemoProgram(
            configuration: configuration, log: mosquitto.directory.appendingPathComponent("brokerside.log"),
            workers: workers)
        func isReady() -> Bool {
            guard collector.isOnline else { return false }
            let log = mosquitto.log
            return waiting.allSatisfy { isSubscribed($0, log) }
        }
        wait(atMost: DemoSession.startSeconds) { !program.isRunning || isReady() }
        guard program.isRunning, isReady() else {
            program.stop()
            throw DemoFailure("the program did not start:\n\(program.log)")
        }
        return program
    }

    // MARK: Feed

    private struct Published {
        /// Handed to the broker, per source.
        var counts: [String: Int] = [:]
        /// How long the feed was.
        var seconds = 0.0
        /// Those that began, within that time.
        var faults: [Fault] = []
        var kept = 0
    }

    private func publish(
        over connection: any BrokerConnection, _ collector: DemoCollector, _ interrupt: InterruptFlag, title: String,
        _ table: inout TableScreen
    ) -> Published {
        let feed = DemoFeed(seconds: seconds, seed: seed)
        let accepted = AcceptedCounts()
        var published = Published()
        var nextKept: [CameraSite: Double] = [:]
        var nextTable = 0.0
        let start = Instant.now
        collector.start(at: start)
        func elapsed() -> Double { Double(start.nanoseconds(to: .now)) / 1e9 }
        while let due = feed.nextTime, !interrupt.isRaised {
            var now = elapsed()
            while now < due, !interrupt.isRaised {
                if now >= nextTable {
                    nextTable = now + DemoSession.tableEverySeconds
                    table.draw(collector.table(title: "\(title)   \(fixed(now, 0)) of \(fixed(seconds, 0)) s"))
                    published.kept += write(collector.takeKeptFrames(), count: published.kept)
                }
                Thread.sleep(forTimeInterval: min(max(due - elapsed(), 0), 0.05))
                now = elapsed()
            }
            guard let (time, content) = feed.next() else { break }
            let capturedAt = Date(timeIntervalSince1970: Double(Instant.now.unixNanoseconds) / 1e9)
                .formatted(.iso8601.year().month().day().dateSeparator(.dash).time(includingFractionalSeconds: true))
            var message: Message
            let source: String
            switch content {
            case .frame(let frame):
                source = frame.site.rawValue
                message = Message(topic: DemoConfiguration.topic(frame.site), payload: Payload(frame.jpeg))
                message.properties.contentType = "image/jpeg"
                let isKept = keptFrames != nil && time >= nextKept[frame.site, default: 1]
                if isKept { nextKept[frame.site] = time + DemoSession.keepEverySeconds }
                let digest = ResultIdentity(pipeline: "", message: message, sourceTime: nil).inputDigest
                collector.expect(frame, digest: digest, keeping: isKept ? Array(feed.pixels(of: frame.site)) : nil)
            case .telemetry(let machine, let sample):
                source = machine.rawValue
                let payload = SimulatedMachine.payload(of: sample, from: machine, timestamp: capturedAt)
                message = Message(
                    topic: DemoConfiguration.topic(machine), payload: Payload(payload), qos: .atLeastOnce)
                message.properties.contentType = "application/json"
            }
            message.properties.userProperties = [("captured_at", capturedAt)]
            collector.note(lagSeconds: elapsed() - time)
            connection.publish(message, deadline: nil, finalize: nil) { outcome in
                if outcome == .accepted { accepted.count(source) }
            }
            published.seconds = time
        }
        let end = interrupt.isRaised ? published.seconds : seconds
        published.seconds = end
        published.faults = feed.faults.filter { $0.start < end }
        // Acknowledgements of the last telemetry.
        let expected = feed.publishedCounts
        wait(atMost: DemoSession.drainSeconds) { accepted.counts == expected }
        published.counts = accepted.counts
        return published
    }

    /// Waits until everything that was published has an outcome, as the reports tell.
    private func drain(_ collector: DemoCollector, _ published: Published) {
        wait(atMost: DemoSession.drainSeconds) {
            let sources = collector.sources
            return sources.count == DemoConfiguration.sources.count
                && sources.allSatisfy { $0.received >= published.counts[$0.name] ?? 0 && $0.inFlight == 0 }
        }
    }

    @discardableResult
    private func wait(atMost seconds: Double, until condition: () -> Bool) -> Bool {
        let start = Instant.now
        while !condition() {
            if Double(start.nanoseconds(to: .now)) > seconds * 1e9 { return false }
            Thread.sleep(forTimeInterval: 0.02)
        }
        return true
    }

    // MARK: Frames for people

    @discardableResult
    private func write(_ frames: [DemoCollector.KeptFrame], count: Int) -> Int {
        guard let keptFrames, !frames.isEmpty else { return 0 }
        let encoder = JPEGEncoder()
        for (offset, frame) in frames.enumerated() {
            let format = frame.site.format
            var annotator = frame.pixels.withUnsafeBufferPointer {
                TruthAnnotator(pixels: $0, width: format.width, height: format.height)
            }
            annotator.draw(frame.truth)
            annotator.draw(frame.detections)
            let jpeg = encoder.encode(rgb: annotator.pixels, width: format.width, height: format.height, quality: 90)
            let number = String(count + offset)
            let name = String(repeating: "0", count: max(0, 4 - number.count)) + number + "-\(frame.site).jpg"
            do {
                try Data(jpeg).write(to: keptFrames.appendingPathComponent(name))
            } catch { CommandSupport.note("\(name): cannot be written: \(error.localizedDescription)") }
        }
        return frames.count
    }
}

/// How many messages of each source the broker took. Counted on the connection's queue.
private final class AcceptedCounts: Sendable {
    private let state = Mutex<[String: Int]>([:])

    func count(_ source: String) { state.withLock { $0[source, default: 0] += 1 } }

    var counts: [String: Int] { state.withLock { $0 } }
}

/// Raised by SIGINT or SIGTERM: the demo then ends early, with its summary.
private final class InterruptFlag {
    private let flag: RaisedFlag
    private let sources: [any DispatchSourceSignal]

    private final class RaisedFlag: Sendable { let value = Atomic(false) }

    init() {
        signal(SIGPIPE, SIG_IGN)
        let flag = RaisedFlag()
        self.flag = flag
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                flag.value.store(true, ordering: .relaxed)
                // A second one ends it at once; the children end with it.
                signal(number, SIG_DFL)
            }
            source.activate()
            return source
        }
    }

    var isRaised: Bool { flag.value.load(ordering: .relaxed) }
}

/// Draws the table over itself on standard error, if that is a terminal.
private struct TableScreen {
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private var drawnLines = 0

    mutating func draw(_ table: @autoclosure () -> LiveTable) {
        guard isTerminal else { return }
        var size = winsize()
        let hasSize = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        let lines = table().lines(columns: hasSize ? Int(size.ws_col) - 1 : 100, isStyled: true)
        var text = drawnLines > 0 ? "\u{1B}[\(drawnLines)A" : ""
        for line in lines { text += "\u{1B}[2K" + line + "\n" }
        drawnLines = lines.count
        CommandSupport.write(text)
    }
}
