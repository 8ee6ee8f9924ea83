// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Measures the program's parts and its whole flow on this machine.
@main
struct BenchmarksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks", abstract: "Measures the parts of the program, and its whole flow, on this machine.",
        discussion: """
            Each line is the median of several samples with the spread between their quartiles. The kernels of every \
            instruction set stand beside the ceiling of their multiplications, measured here too. The pipelines in memory \
            measure the program alone; those beside mosquitto include the broker and the client that feeds it, on the same \
            cores. Build with `-c release`.
            """)

    @Option(help: "Run only those whose name contains this text.")
    var filter = ""

    @Flag(help: "A few runs of each: shows that they work, not how fast.")
    var quick = false

    @Flag(help: "Print a JSON object a line.")
    var json = false

    func run() throws {
        let bench = Bench(filter: filter, isQuick: quick, isJSON: json)
        bench.begin()
        KernelBenchmarks().run(bench)
        let frames = try FrameBenchmarks()
        try frames.parts(bench)
        try frames.pipelines(bench)
        let telemetry = try TelemetryBenchmarks()
        try telemetry.parts(bench)
        try telemetry.pipelines(bench)
    }
}
