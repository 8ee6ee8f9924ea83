// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Dispatch
import Foundation
import Logging
import Pipeline
import Streaming

#if canImport(Glibc)
    import Glibc
#endif

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs the stream processor until it is told to stop (SIGTERM, SIGINT).",
        discussion: """
            Either with a configuration file:
              brokerside run --config brokerside.yaml
            or, to try it out, without one:
              brokerside run --broker mqtt://localhost --frames 'cameras/+/frame' --model people.bsm
              brokerside run --broker mqtt://localhost --telemetry 'plant/+/telemetry'
            """)

    @Option(name: .long, help: "The configuration file.")
    var config: String?

    @Option(name: .long, help: "Address of the broker, such as mqtt://localhost:1883 or mqtts://broker.local.")
    var broker: String?

    @Option(name: .long, help: ArgumentHelp("Topic filter of JPEG frames; may be repeated.", valueName: "filter"))
    var frames: [String] = []

    @Option(name: .long, help: ArgumentHelp("Topic filter of JSON telemetry; may be repeated.", valueName: "filter"))
    var telemetry: [String] = []

    @Option(name: .long, help: "Model for the frames, .bsm or .onnx.")
    var model: String?

    @Option(name: .long, help: "Lowest score of a detection, 0 to 1.")
    var threshold: Double = 0.5

    @Flag(name: .long, help: "Print the configuration that this means, as YAML, and exit.")
    var printConfig = false

    @Option(name: .long, help: "Number of workers; as many as cores if not given.")
    var workers: Int?

    @Option(name: .long, help: "Seconds that a stop may take to finish what is in flight.")
    var shutdownSeconds: Double = 8

    @Option(name: .long, help: "A file that is touched while the program is connected: for health checks.")
    var healthFile: String?

    func validate() throws {
        if config != nil, broker != nil || !frames.isEmpty || !telemetry.isEmpty || model != nil {
            throw ValidationError("--config excludes --broker, --frames, --telemetry and --model")
        }
        if config == nil {
            guard broker != nil else { throw ValidationError("either --config or --broker is needed") }
            guard !frames.isEmpty || !telemetry.isEmpty else {
                throw ValidationError("at least one of --frames and --telemetry is needed")
            }
            guard frames.isEmpty || model != nil else { throw ValidationError("--frames needs --model") }
        }
        guard (0...1).contains(threshold) else { throw ValidationError("--threshold must be 0 to 1") }
        if let workers, !(1...256).contains(workers) { throw ValidationError("--workers must be 1 to 256") }
        guard (0...3600).contains(shutdownSeconds) else {
            throw ValidationError("--shutdown-seconds must be 0 to 3600")
        }
    }

    func run() throws {
        let configuration = try config.map { try CommandSupport.configuration(path: $0) } ?? quickConfiguration()
        if printConfig {
            CommandSupport.printData(configuration.yaml)
            return
        }
        let logger = makeLogger(configuration.log.level)
        let processor: StreamProcessor
        do {
            let resources = try StreamProcessor.Resources(configuration)
            let broker = try BrokerFactory.makeBroker(configuration)
            processor = try StreamProcessor(
                resources, broker: broker, workers: workers ?? ProcessInfo.processInfo.activeProcessorCount,
                healthFile: healthFile, logger: logger)
        } catch { throw CommandSupport.failure("\(config ?? "run"): \(error)") }
        let stop = StopSignal()
        processor.start()
        stop.wait()
        logger.info("stopping", metadata: ["deadline": "\(shutdownSeconds)s"])
        processor.stop(within: .seconds(shutdownSeconds))
    }

    /// The configuration that the options mean. It takes the way through its YAML, so that it is checked as any other.
    private func quickConfiguration() throws -> Configuration {
        var text = "broker: { url: \(quoted(broker ?? "")) }\nsources:\n"
        if !frames.isEmpty { text += "  frames: { kind: frames, topics: \(list(frames)) }\n" }
        if !telemetry.isEmpty { text += "  telemetry: { kind: telemetry, topics: \(list(telemetry)) }\n" }
        if let model, !frames.isEmpty { text += "models:\n  model: { file: \(quoted(model)) }\n" }
        text += "pipelines:\n"
        if !frames.isEmpty { text += "  detect: { from: frames, detect: { model: model, threshold: \(threshold) } }\n" }
        if !telemetry.isEmpty { text += "  health: { from: telemetry, anomaly: { series: auto } }\n" }
        do {
            return try Configuration(
                yaml: text, folder: FileManager.default.currentDirectoryPath, environment: [:])
        } catch let error as ConfigurationError {
            // Lines of a text that nobody wrote say nothing: the key and the fault do.
            for fault in error.faults { CommandSupport.note("brokerside: \(fault.path): \(fault.message)") }
            throw ExitCode.failure
        }
    }

    private func quoted(_ text: String) -> String {
        "'" + text.replacingOccurrences(of: "'", with: "''") + "'"
    }

    private func list(_ texts: [String]) -> String { "[" + texts.map(quoted).joined(separator: ", ") + "]" }

    private func makeLogger(_ level: Configuration.LogSection.Level) -> Logger {
        var logger = Logger(label: "brokerside") { StreamLogHandler.standardError(label: $0) }
        switch level {
        case .debug: logger.logLevel = .debug
        case .info: logger.logLevel = .info
        case .warning: logger.logLevel = .warning
        case .error: logger.logLevel = .error
        }
        return logger
    }
}

/// Waits for SIGTERM or SIGINT. A second signal ends the program at once.
private final class StopSignal {
    private let semaphore = DispatchSemaphore(value: 0)
    private let sources: [any DispatchSourceSignal]

    init() {
        signal(SIGPIPE, SIG_IGN)
        let semaphore = self.semaphore
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                signal(number, SIG_DFL)
                semaphore.signal()
            }
            source.activate()
            return source
        }
    }

    func wait() { semaphore.wait() }
}
