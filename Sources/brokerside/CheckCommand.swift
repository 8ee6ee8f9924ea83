// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Pipeline

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Checks a configuration and reports all its faults at once.",
        discussion: "Each fault is printed with line and column. Exit status 1 if there is one.")

    @Option(name: .long, help: "The configuration file.")
    var config: String

    func run() throws {
        let configuration = try CommandSupport.configuration(path: config)
        do {
            _ = try StreamProcessor.Resources(configuration)
        } catch { throw CommandSupport.failure("\(config): \(error)") }
        CommandSupport.note("\(config): no faults")
    }
}
