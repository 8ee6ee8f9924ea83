// SPDX-License-Identifier: Apache-2.0

import Simulation

/// The configuration that the demo runs the program with, and the topics in it.
struct DemoConfiguration {
    static let node = "demo"
    static let prefix = "brokerside"
    static let resultsFilter = "\(prefix)/\(node)/#"

    var brokerURL: String
    var modelFile: String

    static func topic(_ site: CameraSite) -> String { "cameras/\(site.rawValue)/frame" }
    static func topic(_ machine: MachineKind) -> String { "plant/\(machine.rawValue)/telemetry" }

    /// Names of pipelines are those of the sources with these endings.
    static let detectEnding = "-objects"
    static let healthEnding = "-health"

    static var sources: [String] { CameraSite.allCases.map(\.rawValue) + MachineKind.allCases.map(\.rawValue) }

    var yaml: String {
        var lines = ["node: \(DemoConfiguration.node)", "broker: { url: \(quoted(brokerURL)) }", "sources:"]
        for site in CameraSite.allCases {
            lines.append(
                "  \(site): { topics: [\(DemoConfiguration.topic(site))], kind: frames, qos: 0, overload: latest, max_age: 2s }"
            )
        }
        for machine in MachineKind.allCases {
            lines.append(
                "  \(machine): { topics: [\(DemoConfiguration.topic(machine))], kind: telemetry, qos: 1, timestamp: /time }"
            )
        }
        lines += ["models:", "  detector:", "    file: \(quoted(modelFile))"]
        if modelFile.hasSuffix(".onnx") {
            // What the model file of the demo says itself.
            let labels = ObjectClass.allCases.map(\.label).joined(separator: ", ")
            let scale = "0.00392156862745098"
            lines += [
                "    labels: [\(labels)]",
                "    input: { order: rgb, fit: stretch, scale: [\(scale), \(scale), \(scale)] }",
                "    output: { grid: { output: output, strides: [8, 16, 32], logits: false } }",
            ]
        }
        lines.append("pipelines:")
        for site in CameraSite.allCases {
            lines.append("  \(site)\(DemoConfiguration.detectEnding):")
            lines.append("    from: \(site)")
            lines.append("    detect: { model: detector, threshold: 0.5, overlap: 0.5 }")
            lines.append("    alerts:")
            lines.append("      vehicle-present: { class: vehicle, for: 1s, clear_after: 2s, severity: info }")
        }
        for machine in MachineKind.allCases {
            lines.append("  \(machine)\(DemoConfiguration.healthEnding):")
            lines.append("    from: \(machine)")
            lines.append("    anomaly:")
            lines.append("      false_alarms: 1/day")
            lines.append("      series:")
            for series in machine.series { lines.append("        \(series.name): \(series.pointer)") }
        }
        lines += ["results: { prefix: \(DemoConfiguration.prefix), report_every: 1s }", "log: { level: warning }"]
        return lines.joined(separator: "\n") + "\n"
    }

    private func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}
