// SPDX-License-Identifier: Apache-2.0

import Simulation
import Streaming
import TestSupport
import Testing

@testable import Pipeline

/// The program beside a real broker, and what may happen to either of them.
@Suite(.serialized) struct ProgramDeliveryTests {
    @Test func everyMessageHasAResultAlthoughTheProgramIsKilledAgainAndAgain() async throws {
        let bench = try ProgramBench()
        let client = try bench.connect()
        defer { client.stop() }
        var program = try bench.startProgram()
        #expect(await client.waitForProgram())
        let rounds = 8
        let perRound = 40
        var random = SplitMix64(seed: 1)
        for round in 0..<rounds {
            for number in 0..<perRound { client.publishTelemetry(round * perRound + number) }
            // At a random point of the round: before its first message, in between, or after its last.
            let enough = client.scoredValues.count + Int(random.next() % UInt64(perRound))
            #expect(await eventually { client.scoredValues.count >= enough })
            program.kill()
            #expect(await program.wait() == .signal(9))
            program = try bench.startProgram()
        }
        #expect(await eventually { Set(client.scoredValues).isSuperset(of: 0..<rounds * perRound) })
        #expect(await client.waitForProgram())
        program.terminate()
        #expect(await program.wait() == .exit(0))
        // What came twice came with the same id.
        let ids = Dictionary(grouping: client.documents("scores")) { $0.results?.first?.value }.mapValues {
            Set($0.compactMap(\.id)).count
        }
        #expect(ids.values.allSatisfy { $0 == 1 })
    }

    @Test func goesOnWithinFiveSecondsOfTheBrokersReturn() async throws {
        let bench = try ProgramBench()
        let program = try bench.startProgram()
        var client = try bench.connect()
        #expect(await client.waitForProgram())
        client.stop()
        bench.mosquitto.stop()
        #expect(await eventually { program.errors.contains("not connected") })
        try bench.mosquitto.start()
        client = try bench.connect(id: "another")
        #expect(await client.waitForProgram(within: .seconds(5)))
        client.stop()
        program.terminate()
        #expect(await program.wait() == .exit(0))
    }

    @Test func stoppingFinishesWhatIsInFlightAndSaysGoodbye() async throws {
        let bench = try ProgramBench()
        let client = try bench.connect()
        defer { client.stop() }
        var program = try bench.startProgram()
        #expect(await client.waitForProgram())
        #expect(await eventually { client.documents("status").last?.status == "online" })
        for number in 0..<300 { client.publishTelemetry(number) }
        #expect(await eventually { client.scoredValues.contains(10) })
        program.terminate()
        #expect(await program.wait() == .exit(0))
        #expect(await eventually { client.documents("status").last?.status == "offline" })
        let report = try #require(client.documents("report").last?.sources?.first)
        #expect(report.inFlight == 0 && report.failed.total == 0 && report.shed.total == 0)
        #expect(report.received == report.processed)
        #expect(client.scoredValues.count == report.processed)
        // What it had not taken stayed with the broker.
        program = try bench.startProgram()
        #expect(await eventually { Set(client.scoredValues).isSuperset(of: 0..<300) })
        program.terminate()
        #expect(await program.wait() == .exit(0))
    }

    @Test func aLostProgramIsOffline() async throws {
        let bench = try ProgramBench()
        let client = try bench.connect()
        defer { client.stop() }
        let program = try bench.startProgram()
        #expect(await eventually { client.documents("status").last?.status == "online" })
        program.kill()
        #expect(await eventually { client.documents("status").last?.status == "offline" })
    }

    @Test func messagesThatAreTooLongAreCountedAndHarmNobody() async throws {
        let bench = try ProgramBench(
            """
            sources: { press: { topics: ["plant/#"], kind: telemetry, qos: 1, max_bytes: 1MB } }
            pipelines: { health: { from: press, anomaly: { series: { temperature: /temp } } } }
            """)
        let client = try bench.connect()
        defer { client.stop() }
        let program = try bench.startProgram()
        #expect(await client.waitForProgram())
        client.publishTelemetry(1)
        client.publish("plant/a/telemetry", Payload(Array(repeating: 0x5B, count: 20 << 20)), qos: .atLeastOnce)
        client.publishTelemetry(2)
        // Its result's topic would be longer than MQTT allows.
        let key = String(repeating: "k", count: 65_520)
        client.publish("plant/\(key)", "{\"temp\": 3}", qos: .atLeastOnce)
        client.publishTelemetry(4)
        #expect(await eventually { client.scoredValues.contains(4) })
        program.terminate()
        #expect(await program.wait() == .exit(0))
        #expect(Set([1, 2, 4]).isSubset(of: Set(client.scoredValues)))
        let report = try #require(client.documents("report").last?.sources?.first)
        #expect(report.failed.reasons == ["too_large": 1, "publish_refused": 1])
    }
}
