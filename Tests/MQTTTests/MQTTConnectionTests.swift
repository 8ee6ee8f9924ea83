// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Simulation
import Streaming
import Synchronization
import TestSupport
import Testing

@testable import MQTT

/// What only a real broker, or one that misbehaves, can show.
@Suite(.timeLimit(.minutes(2)))
struct MQTTConnectionTests {
    private func broker(_ process: MosquittoProcess, _ change: (inout MQTTSettings) -> Void = { _ in }) throws
        -> MQTTBroker
    {
        var settings = try MQTTSettings(url: process.url)
        change(&settings)
        return try MQTTBroker(settings)
    }

    private func run(_ words: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        try process.run()
        ended.wait()
        #expect(process.terminationStatus == 0, "\(words)")
    }

    @Test(arguments: [MQTTSettings.ProtocolVersion.v5, .v311])
    func nothingIsLostWhenConnectionsAreCut(version: MQTTSettings.ProtocolVersion) async throws {
        let process = try MosquittoProcess(configuration: ["max_queued_messages 5000"])
        let broker = try broker(process) { $0.protocolVersion = version }
        let holder = Mutex<(any BrokerConnection)?>(nil)
        let workers = DispatchQueue(label: "workers")
        let seen = Mutex<Set<String>>([])
        let client = try Client(broker, "in", ["in/#"], qos: .atLeastOnce, window: 20) { message in
            let text = String(decoding: message.payload.bytes, as: UTF8.self)
            workers.async {
                seen.withLock { _ = $0.insert(text) }
                holder.withLock { $0 }?.finished(1)
            }
        }
        holder.withLock { $0 = client.connection }
        defer {
            client.stop()
            holder.withLock { $0 = nil }
        }
        #expect(await client.isSubscribed())
        let publisher = try Client(broker, "out")
        defer { publisher.stop() }
        for round in 0..<5 {
            for index in 0..<200 { publisher.publish("in/x", "\(round * 200 + index)", qos: .atLeastOnce) }
            #expect(await eventually { seen.withLock(\.count) > round * 200 + 50 })
            cutConnections(toPort: process.port)
        }
        #expect(await eventually { seen.withLock(\.count) == 1000 })
        #expect(await publisher.published(1000))
        #expect(publisher.recorder.outcomes == Array(repeating: .accepted, count: 1000))
        #expect(client.recorder.connectCount > 1)
    }

    @Test func goesOnWhenTheBrokerReturns() async throws {
        let process = try MosquittoProcess()
        let client = try Client(try broker(process), "a", ["in"], qos: .atLeastOnce)
        defer { client.stop() }
        #expect(await client.isSubscribed())
        process.stop()
        #expect(await eventually { client.recorder.lastReason != nil })
        client.publish("in", "waited", qos: .atLeastOnce)
        client.publish("in", "late", deadline: Instant.now.monotonicNanoseconds + 1_000_000)
        #expect(await client.published(1))
        #expect(client.recorder.outcomes == [.expired])
        try process.start()
        #expect(await eventually(within: .seconds(5)) { client.recorder.texts == ["waited"] })
        #expect(await client.published(2))
    }

    @Test func wrongPasswordIsReportedAndTriedAgain() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: directory) }
        try run(["mosquitto_passwd", "-b", "-c", directory.path, "gate", "right"])
        let process = try MosquittoProcess(
            configuration: ["password_file %DIR%/passwords"], files: ["passwords": Data(contentsOf: directory)])
        for version in [MQTTSettings.ProtocolVersion.v5, .v311] {
            let wrong = try Client(
                try broker(process) { ($0.username, $0.password, $0.protocolVersion) = ("gate", "wrong", version) }, "a"
            )
            #expect(await eventually { wrong.recorder.events.count >= 2 })
            #expect(wrong.recorder.lastReason?.lowercased().contains("not authori") == true)
            wrong.stop()
            let right = try Client(
                try broker(process) { ($0.username, $0.password, $0.protocolVersion) = ("gate", "right", version) }, "b"
            )
            #expect(await right.isConnected())
            right.stop()
        }
    }

    @Test func speaksTLSWithClientCertificates() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func path(_ name: String) -> String { directory.appendingPathComponent(name).path }
        for name in ["ca", "other"] {
            try run([
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=\(name)",
                "-keyout",
                path("\(name).key"), "-out", path("\(name).pem"),
            ])
        }
        try Data("subjectAltName=IP:127.0.0.1\n".utf8).write(to: directory.appendingPathComponent("names"))
        for name in ["server", "client"] {
            try run([
                "openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(name)", "-keyout",
                path("\(name).key"),
                "-out", path("\(name).csr"),
            ])
            try run([
                "openssl", "x509", "-req", "-days", "2", "-in", path("\(name).csr"), "-CA", path("ca.pem"), "-CAkey",
                path("ca.key"), "-CAcreateserial", "-extfile", path("names"), "-out", path("\(name).pem"),
            ])
        }
        let process = try MosquittoProcess(configuration: [
            "cafile \(path("ca.pem"))", "certfile \(path("server.pem"))", "keyfile \(path("server.key"))",
            "require_certificate true", "max_queued_messages 5000",
        ])
        func settings(_ authority: String) throws -> MQTTBroker {
            try broker(process) {
                $0.tls = MQTTSettings.TLS(
                    certificateAuthorityFile: path("\(authority).pem"), certificateFile: path("client.pem"),
                    keyFile: path("client.key"))
            }
        }
        let distrustful = try Client(try settings("other"), "a")
        #expect(await eventually { distrustful.recorder.lastReason?.contains("certificate") == true })
        distrustful.stop()
        // Paused and resumed, so that decrypted messages wait inside the library.
        let client = try Client(try settings("ca"), "b", ["in"])
        defer { client.stop() }
        #expect(await client.isSubscribed())
        client.connection.pause()
        for index in 0..<500 { client.publish("in", "\(index)") }
        #expect(await client.published(500))
        client.connection.resume()
        #expect(await client.received(500))
        #expect(client.recorder.texts == (0..<500).map(String.init))
    }

    @Test func subscriptionWithLessThanAskedForIsReported() async throws {
        let process = try MosquittoProcess(configuration: ["max_qos 0"])
        let client = try Client(try broker(process), "a", ["in"], qos: .atLeastOnce)
        defer { client.stop() }
        #expect(await client.isSubscribed())
        #expect(client.recorder.events.contains(.subscriptionRefused(filter: "in", reason: "granted only with QoS 0")))
    }

    @Test func longPayloadIsCountedNotKept() async throws {
        let process = try MosquittoProcess()
        let client = try Client(try broker(process) { $0.maximumPayloadBytes = 1000 }, "a", ["in"])
        defer { client.stop() }
        #expect(await client.isSubscribed())
        for count in [1000, 1001] { client.publish("in", String(repeating: "x", count: count)) }
        #expect(await client.received(2))
        #expect(client.recorder.messages.map(\.payload.count) == [1000, 0])
        #expect(client.recorder.messages.map(\.discardedPayloadBytes) == [0, 1001])
    }

    @Test func windowThatLastsTooLongCostsTheConnectionNotTheMessages() async throws {
        let process = try MosquittoProcess()
        let client = try Client(
            try broker(process) { $0.keepAliveSeconds = 5 }, "a", ["in"], qos: .atLeastOnce, window: 5)
        defer { client.stop() }
        #expect(await client.isSubscribed())
        let publisher = try Client(try broker(process), "b")
        defer { publisher.stop() }
        publisher.publish("in", "x", qos: .atLeastOnce)
        #expect(await client.received(2))
        #expect(client.recorder.lastReason?.contains("keep-alive") == true)
        client.connection.finished(2)
    }

    @Test func olderBrokerIsAskedWithTheOlderProtocol() async throws {
        let fake = try FakeBroker { number, peer in
            _ = FakeBroker.readPacket(peer)
            FakeBroker.write(peer, number == 0 ? [0x20, 2, 0, 1] : [0x20, 2, 0, 0])
            FakeBroker.waitForEnd(peer)
        }
        defer { fake.stop() }
        let client = try Client(try MQTTBroker(MQTTSettings(host: "127.0.0.1", port: fake.port)), "a")
        defer { client.stop() }
        #expect(await client.isConnected())
    }

    @Test func hostileBrokerCostsOnlyTheConnection() async throws {
        // Topic of invalid UTF-8; remaining length too long; topic longer than its packet; packet type 0; then a good one.
        let packets: [[UInt8]] = [
            [0x30, 5, 0, 2, 0xff, 0xfe, 0], [0x30, 0xff, 0xff, 0xff, 0xff, 0xff], [0x30, 4, 0xff, 0xff, 0x61, 0],
            [0, 0],
            [0x30, 5, 0, 1, 0x61, 0, 0x78],
        ]
        let fake = try FakeBroker { number, peer in
            FakeBroker.accept(peer)
            FakeBroker.write(peer, packets[min(number, packets.count - 1)])
            if number == 0 { return }
            FakeBroker.waitForEnd(peer)
        }
        defer { fake.stop() }
        let client = try Client(try MQTTBroker(MQTTSettings(host: "127.0.0.1", port: fake.port)), "a")
        defer { client.stop() }
        #expect(await eventually { client.recorder.messages.last?.topic == "a" })
        #expect(client.recorder.texts.last == "x")
    }

    @Test func stopIsQuickWithoutABroker() async throws {
        let fake = try FakeBroker { _, peer in FakeBroker.waitForEnd(peer) }
        defer { fake.stop() }
        let client = try Client(try MQTTBroker(MQTTSettings(host: "127.0.0.1", port: fake.port)), "a")
        client.publish("x")
        let start = ContinuousClock.now
        client.stop(within: .milliseconds(100))
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(client.recorder.outcomes == [.stopped])
    }
}
