// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// An executable of this package as a child process, which does not outlive this one.
///
/// What it writes goes to files, so that it never waits for a reader. Its signals are those of a fresh process: it is not
/// started by Foundation's `Process`, which hands on the signal mask of Dispatch's threads and all open descriptors.
package final class ProgramRun: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package enum End: Sendable, Equatable {
        case exit(Int32)
        case signal(Int32)
    }

    private struct State {
        var end: End?
        var lifeline: Int32?
    }

    private let process: pid_t
    private let folder: TemporaryFolder
    private let state: Mutex<State>

    /// Starts `name`, which is built beside the tests.
    package init(_ name: String = "brokerside", _ arguments: [String]) throws {
        folder = try TemporaryFolder()
        // The shell becomes the program. A second one kills it should the pipe be closed without a word before.
        let script =
            #"out=$1; err=$2; shift 2; exec 3<&0; { read _ <&3 || kill -KILL $$; } & exec "$@" </dev/null >"$out" 2>"$err" 3<&-"#
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { throw Failure(description: "no pipe: \(String(cString: strerror(errno)))") }
        defer { close(pipe[0]) }
        for descriptor in pipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        let words =
            ["/bin/sh", "-c", script, "sh", folder.file("output"), folder.file("errors")]
            + [try ProgramRun.executable(name)] + arguments
        do { process = try ProgramRun.spawn(words, input: pipe[0]) } catch {
            close(pipe[1])
            throw error
        }
        state = Mutex(State(end: nil, lifeline: pipe[1]))
    }

    deinit {
        kill()
        while poll() == nil { usleep(1000) }
    }

    /// What it wrote so far to standard output and to standard error.
    package var output: String { (try? String(contentsOfFile: folder.file("output"), encoding: .utf8)) ?? "" }
    package var errors: String { (try? String(contentsOfFile: folder.file("errors"), encoding: .utf8)) ?? "" }

    /// How it ended; nil while it runs.
    package var end: End? { poll() }

    /// Ends it at once, as a power failure would.
    package func kill() { send(SIGKILL) }

    /// Asks it to stop.
    package func terminate() { send(SIGTERM) }

    /// How it ended; nil when it still runs after the time.
    package func wait(within limit: Duration = .seconds(20)) async -> End? {
        _ = await eventually(within: limit) { self.poll() != nil }
        return poll()
    }

    private func send(_ signal: Int32) {
        // Under the lock, so that its number is not given to another process meanwhile.
        state.withLock { state in if state.end == nil { _ = Glibc.kill(process, signal) } }
    }

    private func poll() -> End? {
        state.withLock { state in
            guard state.end == nil else { return state.end }
            var status: Int32 = 0
            guard waitpid(process, &status, WNOHANG) == process else { return nil }
            // The low seven bits are the signal, the next byte the exit status (wait(2)).
            let end = status & 0x7f == 0 ? End.exit(status >> 8 & 0xff) : .signal(status & 0x7f)
            state.end = end
            if let lifeline = state.lifeline {
                var word = UInt8(ascii: "\n")
                _ = write(lifeline, &word, 1)
                close(lifeline)
            }
            state.lifeline = nil
            return end
        }
    }

    /// Tests and programs are built into one folder.
    private static func executable(_ name: String) throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let bundle = CommandLine.arguments.firstIndex(of: "--test-bundle-path").map { CommandLine.arguments[$0 + 1] }
        for place in [own, bundle].compactMap({ $0 }) {
            let path = URL(fileURLWithPath: place).deletingLastPathComponent().appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw Failure(description: "there is no \(name) beside \(own): build the whole package")
    }

    private static func spawn(_ words: [String], input: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
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
}
