// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Simulation

#if canImport(Glibc)
    import Glibc
#endif

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Shows the program at work on simulated cameras and machines, or exports their frames.",
        discussion: """
            Starts a mosquitto of its own on a free loopback port, lets four simulated cameras and three simulated machines \
            publish to it, and runs this program beside it. It knows what is in the frames and when machines fail, so it \
            says how much of it was found.

            The detector that comes with it was trained on such frames and knows nothing else.
            """, subcommands: [DemoRunCommand.self, DemoExportCommand.self], defaultSubcommand: DemoRunCommand.self)
}

struct DemoRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the demo (this is what `demo` alone does).")

    @Option(name: .long, help: "How long the cameras and machines send; faults need at least 16.")
    var seconds: Double = 30

    @Flag(name: .long, help: "Print the summary as JSON.")
    var json = false

    @Option(name: .long, help: ArgumentHelp("Write some annotated frames there, as JPEG.", valueName: "dir"))
    var keepFrames: String?

    @Option(name: .long, help: "Other seeds show other places, objects and faults.")
    var seed: UInt64 = 1

    @Option(name: .long, help: ArgumentHelp("Another detector of person, vehicle and parcel, .bsm or .onnx.", valueName: "file"))
    var model: String?

    @Option(name: .long, help: "Number of workers; as many as cores if not given.")
    var workers: Int?

    func validate() throws {
        guard (1...86_400).contains(seconds) else { throw ValidationError("--seconds must be 1 to 86400") }
        if let workers, !(1...256).contains(workers) { throw ValidationError("--workers must be 1 to 256") }
    }

    func run() throws {
        do {
            let session = try DemoSession(
                seconds: seconds, seed: seed, model: model, workers: workers, keptFrames: keepFrames)
            let summary = try session.run()
            CommandSupport.printData(json ? try summary.json : summary.text)
        } catch let failure as MosquittoProcess.Failure {
            throw CommandSupport.failure("the demo needs a broker of its own: \(failure)")
        } catch let failure as DemoFailure {
            throw CommandSupport.failure(failure.description)
        }
    }
}

/// Why the demo could not run, in words for the user.
struct DemoFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

struct DemoExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write labelled frames of the simulated cameras, to train or calibrate a detector.",
        discussion: "Writes JPEG files and labels.json, laid out as COCO annotations with a flag for objects that do not count.")

    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write; made if it is not there.", valueName: "dir"))
    var output: String

    @Option(name: .shortAndLong, help: "Number of frames.")
    var count: Int = 1000

    @Option(name: .shortAndLong, help: "Other seeds show other places and objects.")
    var seed: UInt64 = 1

    func validate() throws {
        guard (1...10_000_000).contains(count) else { throw ValidationError("--count must be 1 to 10000000") }
    }

    func run() throws {
        let isTerminal = isatty(STDERR_FILENO) != 0
        let count = count
        do {
            try SceneExport.write(to: URL(fileURLWithPath: output), count: count, seed: seed) { written in
                guard isTerminal, written % 50 == 0 || written == count else { return }
                let end = written == count ? "\n" : "\r"
                FileHandle.standardError.write(Data("\(written) of \(count) frames\(end)".utf8))
            }
        } catch { throw CommandSupport.failure("\(output): cannot be written: \(error.localizedDescription)") }
    }
}
