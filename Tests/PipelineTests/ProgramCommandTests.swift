// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Pipeline

/// What the program says and how it ends, for people and scripts.
@Suite(.serialized) struct ProgramCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func run(_ arguments: [String]) async throws -> ProgramRun {
        let program = try ProgramRun("brokerside", arguments)
        _ = await program.wait()
        return program
    }

    @Test func checkReportsFiveFaultsWithTheirPlaces() async throws {
        let file = try folder.write(
            "faulty.yaml",
            """
            broker: { url: "http://localhost" }
            sources:
              yard: { topics: ["a/#/b"], kind: frames, qos: 2 }
              press: { topics: [t], kind: telemetry, max_age: 5 parsecs }
            pipelines:
              health: { from: pres, anomaly: { series: { temperature: /temp } } }
            """)
        let program = try await run(["check", "--config", file])
        #expect(program.end == .exit(1))
        #expect(program.output.isEmpty)
        let lines = program.errors.split(separator: "\n").map(String.init)
        let places = ["1:16", "3:20", "3:49", "4:51", "6:19"]
        #expect(lines.count == places.count)
        for (line, place) in zip(lines, places) { #expect(line.hasPrefix("\(file):\(place):")) }
    }

    @Test func checkIsContentWithAGoodFile() async throws {
        let file = try folder.write(
            "good.yaml", "node: gate\nbroker: { url: \"mqtt://localhost\" }\n\(ProgramBench.telemetry)\n")
        #expect(try await run(["check", "--config", file]).end == .exit(0))
    }

    @Test func whatPrintConfigPrintsIsAConfiguration() async throws {
        let arguments = ["--broker", "mqtt://localhost:1884", "--telemetry", "plant/+/it's \"odd\""]
        let program = try await run(["run", "--print-config"] + arguments)
        #expect(program.end == .exit(0))
        #expect(program.errors.isEmpty)
        let file = try folder.write("printed.yaml", program.output)
        let printed = try Configuration.read(path: file)
        #expect(printed.broker.url == "mqtt://localhost:1884")
        #expect(printed.sources.map(\.topics.description) == ["[plant/+/it's \"odd\"]"])
        #expect(try await run(["run", "--config", file, "--print-config"]).output == program.output)
    }

    @Test(arguments: [
        ["run"], ["run", "--config", "x", "--broker", "mqtt://y"], ["run", "--broker", "mqtt://y"], ["check"],
        ["run", "--broker", "mqtt://y", "--telemetry", "t", "--workers", "0"], ["jump"], ["--loud"],
    ])
    func badUsageIs64(arguments: [String]) async throws {
        let program = try await run(arguments)
        #expect(program.end == .exit(64))
        #expect(program.output.isEmpty && program.errors.contains("Usage"))
    }

    @Test(arguments: [["check", "--config", "/nowhere.yaml"], ["run", "--config", "/nowhere.yaml"]])
    func badInputIs1(arguments: [String]) async throws {
        let program = try await run(arguments)
        #expect(program.end == .exit(1))
        #expect(program.errors.contains("/nowhere.yaml"))
    }

    @Test func helpAndVersionGoToStandardOutput() async throws {
        #expect(try await run(["--version"]).output == Version.number + "\n")
        let help = try await run(["--help"])
        #expect(help.end == .exit(0) && help.output.contains("SUBCOMMANDS"))
    }
}
