// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Pipeline

struct DetectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detect",
        abstract: "Runs a network on JPEG files and prints what it finds, a JSON object per line.",
        discussion: """
            A file that cannot be decoded is reported on standard error, the others are still done; the exit status is 1 then.
            """)

    @Option(name: .long, help: "The model, .bsm or .onnx.")
    var model: String

    @Option(name: .long, help: "Lowest score, 0 to 1.")
    var threshold: Float = 0.5

    @Option(name: .long, help: "Of two boxes of a class that overlap more than this, the better one stays, 0 to 1.")
    var overlap: Float = 0.45

    @Option(name: .long, help: ArgumentHelp("Only this class; may be repeated.", valueName: "class"))
    var classes: [String] = []

    @Argument(help: "JPEG files.")
    var files: [String]

    func validate() throws {
        guard (0...1).contains(threshold), (0...1).contains(overlap) else {
            throw ValidationError("--threshold and --overlap must be 0 to 1")
        }
    }

    func run() throws {
        var section = Configuration.DetectSection(model: "model")
        section.threshold = threshold
        section.overlap = overlap
        section.classes = classes
        let detector: FrameDetector
        do {
            detector = try FrameDetector(.init(name: "model", file: model), section)
        } catch { throw CommandSupport.failure("\(model): \(error)") }
        var isWhole = true
        for file in files {
            do {
                FileHandle.standardOutput.write(Data(try detector.line(for: file)))
            } catch {
                isWhole = false
                CommandSupport.note("brokerside: \(file): \(error)")
            }
        }
        if !isWhole { throw ExitCode.failure }
    }
}
