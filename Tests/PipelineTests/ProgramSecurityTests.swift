// SPDX-License-Identifier: Apache-2.0

import Foundation
import MQTT
import Simulation
import TestSupport
import Testing

@testable import Pipeline

/// The program and a broker that does not let everybody in.
@Suite(.serialized) struct ProgramSecurityTests {
    @Test func userAndPasswordComeFromTheConfiguration() async throws {
        let folder = try TemporaryFolder()
        try run(["mosquitto_passwd", "-b", "-c", folder.file("passwords"), "gate", "s3cret"])
        _ = try folder.write("password", "s3cret\n")
        let mosquitto = try MosquittoProcess(
            configuration: ["password_file %DIR%/passwords"],
            files: ["passwords": Data(contentsOf: URL(fileURLWithPath: folder.file("passwords")))])
        let bench = try ProgramBench(
            broker: ", username: gate, password_file: password", mosquitto: mosquitto, folder: folder)
        let client = try bench.connect { ($0.username, $0.password) = ("gate", "s3cret") }
        defer { client.stop() }
        let program = try bench.startProgram()
        #expect(await client.waitForProgram())
        #expect(!program.errors.contains("s3cret"))
        program.terminate()
        #expect(await program.wait() == .exit(0))
        // A wrong one is said and tried again.
        _ = try folder.write("password", "guess\n")
        let stranger = try bench.startProgram()
        #expect(await eventually { stranger.errors.contains("not connected") })
        stranger.kill()
        #expect(!stranger.errors.contains("guess"))
    }

    @Test func certificatesComeFromTheConfiguration() async throws {
        let folder = try TemporaryFolder()
        try makeCertificates(in: folder)
        let mosquitto = try MosquittoProcess(configuration: [
            "cafile \(folder.file("ca.pem"))", "certfile \(folder.file("server.pem"))",
            "keyfile \(folder.file("server.key"))", "require_certificate true",
        ])
        let bench = try ProgramBench(
            broker: ", tls: { ca_file: ca.pem, cert_file: client.pem, key_file: client.key }", scheme: "mqtts",
            mosquitto: mosquitto, folder: folder)
        let client = try bench.connect {
            $0.tls = MQTTSettings.TLS(
                certificateAuthorityFile: folder.file("ca.pem"), certificateFile: folder.file("client.pem"),
                keyFile: folder.file("client.key"))
        }
        defer { client.stop() }
        let program = try bench.startProgram()
        #expect(await client.waitForProgram())
        program.terminate()
        #expect(await program.wait() == .exit(0))
    }

    /// An authority, and certificates from it for `server` and `client` at 127.0.0.1.
    private func makeCertificates(in folder: TemporaryFolder) throws {
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try run(
            ["openssl", "req", "-x509"] + key
                + ["-days", "2", "-subj", "/CN=ca", "-keyout", folder.file("ca.key"), "-out", folder.file("ca.pem")])
        let names = try folder.write("names", "subjectAltName=IP:127.0.0.1\n")
        for name in ["server", "client"] {
            let request = folder.file("\(name).csr")
            try run(
                ["openssl", "req"] + key
                    + ["-subj", "/CN=\(name)", "-keyout", folder.file("\(name).key"), "-out", request])
            try run([
                "openssl", "x509", "-req", "-days", "2", "-in", request, "-CA", folder.file("ca.pem"), "-CAkey",
                folder.file("ca.key"), "-CAcreateserial", "-extfile", names, "-out", folder.file("\(name).pem"),
            ])
        }
    }

    private func run(_ words: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(words[0]) failed: is it installed?")
    }
}
