// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A real `mosquitto` broker as a child process on a loopback port, for tests and the demo. It dies with this process,
/// however that ends.
///
/// `@unchecked Sendable`: used by one thread at a time.
package final class MosquittoProcess: @unchecked Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let port: UInt16
    package let directory: URL
    private let executable: String
    private var process: Process?
    private var lifeline: Pipe?

    package var url: String { "mqtt://127.0.0.1:\(port)" }

    /// Starts a broker and returns when it accepts connections. `configuration` lines follow the listener's, of which
    /// there is one, on 127.0.0.1; `%DIR%` in them stands for `directory`, a new temporary one, into which `files` are
    /// written first. Without `allow_anonymous` or a password file anyone may connect.
    package init(configuration: [String] = [], files: [String: Data] = [:], port: UInt16? = nil) throws {
        self.port = try port ?? MosquittoProcess.freePort()
        executable = try MosquittoProcess.findExecutable()
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("mosquitto-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for (name, data) in files { try data.write(to: directory.appendingPathComponent(name)) }
        var lines = ["listener \(self.port) 127.0.0.1", "log_dest stderr", "log_type all"]
        if !configuration.contains(where: { $0.hasPrefix("allow_anonymous") || $0.hasPrefix("password_file") }) {
            lines.append("allow_anonymous true")
        }
        // Run by root, it would change to a user who cannot read the directory.
        if getuid() == 0 { lines.append("user root") }
        lines += configuration.map { $0.replacingOccurrences(of: "%DIR%", with: directory.path) }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: configurationFile)
        do { try start() } catch {
            stop()
            try? FileManager.default.removeItem(at: directory)
            throw error
        }
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: directory)
    }

    /// What the broker wrote.
    package var log: String { (try? String(contentsOf: logFile, encoding: .utf8)) ?? "" }

    /// Starts it again, on the same port with the same configuration, after `stop`.
    package func start() throws {
        guard process == nil else { return }
        // A shell stands between: it ends the broker when its standard input ends, so also when this process is killed.
        let script = #""$0" -c "$1" </dev/null 2>>"$2" & p=$!; read _; kill -${3} $p; wait $p"#
        let lifeline = Pipe()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script, executable, configurationFile.path, logFile.path, "TERM"]
        process.standardInput = lifeline
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        try? lifeline.fileHandleForReading.close()
        self.process = process
        self.lifeline = lifeline
        let end = Date(timeIntervalSinceNow: 10)
        while !accepts() {
            guard Date() < end, process.isRunning else {
                let log = log
                stop()
                throw Failure(description: "mosquitto does not accept connections on port \(port):\n\(log)")
            }
            usleep(5_000)
        }
    }

    /// Returns when the process is gone.
    package func stop() {
        try? lifeline?.fileHandleForWriting.close()
        process?.waitUntilExit()
        lifeline = nil
        process = nil
    }

    /// A loopback port that nobody uses at this moment.
    package static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "no socket: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) != 0 || getsockname(descriptor, $0, &length) != 0
            }
        }
        if failed { throw Failure(description: "no free port: \(String(cString: strerror(errno)))") }
        return UInt16(bigEndian: address.sin_port)
    }

    private var configurationFile: URL { directory.appendingPathComponent("mosquitto.conf") }
    private var logFile: URL { directory.appendingPathComponent("mosquitto.log") }

    private func accepts() -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = MosquittoProcess.loopback(port: port)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    /// Debian puts it where only root looks.
    private static func findExecutable() throws -> String {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let candidates =
            path.split(separator: ":").map { "\($0)/mosquitto" } + ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        guard let found = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            throw Failure(description: "mosquitto is not installed (Debian: apt-get install mosquitto)")
        }
        return found
    }
}
