// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// The benchmarks in small, so that they go on working.
struct BenchmarksTests {
    private struct Line: Decodable {
        let name: String
        let medianNs: Double
        let perSecond: Double
    }

    @Test(.timeLimit(.minutes(2)))
    func everyBenchmarkGivesAFigure() async throws {
        let program = try ProgramRun("Benchmarks", ["--quick", "--json"])
        #expect(await program.wait(within: .seconds(100)) == .exit(0), "\(program.errors)")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let lines = try program.output.split(separator: "\n").map { try decoder.decode(Line.self, from: Data($0.utf8)) }
        #expect(lines.allSatisfy { $0.medianNs > 0 && $0.perSecond > 0 })
        let names = lines.map(\.name)
        #expect(Set(names).count == names.count)
        for part in [
            "kernels scalar: ceiling", "kernels scalar: depthwise 3x3", "kernels scalar: 3x3 Winograd",
            "frames: decode", "frames: infer", "frames: pipeline beside mosquitto", "telemetry: parse", "QoS 1",
        ] {
            #expect(names.contains { $0.contains(part) }, "\(part)")
        }
    }
}
