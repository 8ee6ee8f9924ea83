// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Pipeline

@main
struct Brokerside: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brokerside",
        abstract: "AI beside the MQTT broker: int8 networks on camera frames, anomaly detection on telemetry.",
        version: Version.number,
        subcommands: [
            RunCommand.self, CheckCommand.self, DemoCommand.self, DetectCommand.self, AnomalyCommand.self,
            ModelCommand.self,
        ])
}
