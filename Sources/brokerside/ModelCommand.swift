// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Import, inspect, run and evaluate networks.",
        subcommands: [
            ModelImportCommand.self, ModelInspectCommand.self, ModelRunCommand.self, ModelBenchCommand.self,
            ModelEvalCommand.self,
        ])
}
