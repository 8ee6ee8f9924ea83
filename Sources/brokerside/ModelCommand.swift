// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Import, inspect and run networks.",
        subcommands: [
            ModelImportCommand.self, ModelInspectCommand.self, ModelRunCommand.self, ModelBenchCommand.self,
        ])
}
