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
    /// The shell that looks after the broker.
    private var process: pid_t?
    /// Its standard input.
    private var lifeline: Int32?

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
        let script = #""$0" -c "$1" </dev/null 2>>"$2" & p=$!; read _; kill $p; wait $p"#
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { throw Failure(description: "no pipe: \(lastError)") }
        defer { close(pipe[0]) }
        for descriptor in pipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        lifeline = pipe[1]
        process = try MosquittoProcess.spawn(
            ["/bin/sh", "-c", script, executable, configurationFile.path, logFile.path], input: pipe[0])
        let end = Date(timeIntervalSinceNow: 10)
        while !accepts() {
            guard Date() < end else {
                let log = log
                stop()
                throw Failure(description: "mosquitto does not accept connections on port \(port):\n\(log)")
            }
            usleep(5_000)
        }
    }

    /// Returns when the process is gone.
    package func stop() {
        if let lifeline { close(lifeline) }
        lifeline = nil
        if let process { while waitpid(process, nil, 0) < 0, errno == EINTR {} }
        process = nil
    }

    /// Foundation's `Process` hands on open descriptors on Linux, which would keep sockets and lifelines open, and the
    /// signal mask of Dispatch's threads, so that the child would not see SIGTERM; this does neither.
    private static func spawn(_ words: [String], input: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        for descriptor in Int32(3)..<1024 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, words[0], &actions, &attributes, &arguments, environ)
        guard code == 0 else { throw Failure(description: "\(words[0]): \(String(cString: strerror(code)))") }
        return process
    }

    /// A loopback port that nobody uses at this moment.
    package static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "no socket: \(lastError)") }
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) != 0 || getsockname(descriptor, $0, &length) != 0
            }
        }
        if failed { throw Failure(description: "no free port: \(lastError)") }
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

private var lastError: String { String(cString: strerror(errno)) }
