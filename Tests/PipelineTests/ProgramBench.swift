// SPDX-License-Identifier: Apache-2.0

import MQTT
import Simulation
import Streaming
import TestSupport

@testable import Pipeline

/// A real broker, the configuration of a program beside it, and clients. The node is called `gate`, and unless the
/// sections say otherwise it scores the temperatures in `plant/+/telemetry` at QoS 1.
struct ProgramBench {
    let mosquitto: MosquittoProcess
    let folder: TemporaryFolder
    let configuration: String

    static let telemetry = """
        sources: { press: { topics: ["plant/+/telemetry"], kind: telemetry, qos: 1 } }
        pipelines: { health: { from: press, anomaly: { series: { temperature: /temp } } } }
        results: { report_every: 1s }
        """

    /// - Parameter broker: what follows the address in the section `broker`.
    init(
        _ sections: String = ProgramBench.telemetry, broker: String = "", scheme: String = "mqtt",
        mosquitto: MosquittoProcess? = nil, folder: TemporaryFolder? = nil
    ) throws {
        let mosquitto = try mosquitto ?? MosquittoProcess()
        let folder = try folder ?? TemporaryFolder()
        self.mosquitto = mosquitto
        self.folder = folder
        let url = "\(scheme)://127.0.0.1:\(mosquitto.port)"
        configuration = try folder.write(
            "brokerside.yaml", "node: gate\nbroker: { url: \"\(url)\"\(broker) }\n\(sections)\n")
    }

    func startProgram() throws -> ProgramRun { try ProgramRun("brokerside", ["run", "--config", configuration]) }

    /// A client that has everything below `brokerside`.
    func connect(
        id: String = "observer", _ change: (inout MQTTSettings) -> Void = { _ in }
    ) throws -> BrokerClient {
        var settings = try MQTTSettings(url: mosquitto.url)
        change(&settings)
        return try BrokerClient(MQTTBroker(settings), id: id)
    }
}

extension BrokerClient {
    /// A temperature from machine `a`, at QoS 1.
    func publishTelemetry(_ value: Int) { publish("plant/a/telemetry", "{\"temp\": \(value)}", qos: .atLeastOnce) }

    /// The temperatures that have a score.
    var scoredValues: [Int] { documents("scores").compactMap { $0.results?.first.map { Int($0.value) } } }

    /// Sends temperatures below zero until one has a score: then the program has subscribed.
    func waitForProgram(within limit: Duration = .seconds(20)) async -> Bool {
        let before = scoredValues.count
        var probe = 0
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            probe -= 1
            publishTelemetry(probe)
            if await eventually(within: .milliseconds(100), { scoredValues.count > before }) { return true }
        }
        return false
    }
}
