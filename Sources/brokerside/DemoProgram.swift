// SPDX-License-Identifier: Apache-2.0

import Foundation

/// This very program as a child process: `brokerside run --config FILE`. It ends when this process ends, however that
/// happens.
final class DemoProgram {
    private let process = Process()
    private let lifeline = Pipe()
    private let logFile: URL

    /// - Parameter log: where the program's standard error goes.
    init(configuration: URL, log: URL, workers: Int?) throws {
        logFile = log
        // A shell stands between: it ends the program when its standard input ends, so also when this process is killed.
        let script =
            #"log="$1"; shift; exec 3<&0; "$@" </dev/null >>"$log" 2>&1 3<&- & p=$!; "#
            + #"(read _ <&3; kill -TERM $p) >/dev/null 2>&1 & w=$!; exec 3<&-; wait $p; kill $w 2>/dev/null"#
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        var arguments = [
            "-c", script, "sh", log.path, try DemoProgram.executable(), "run", "--config", configuration.path,
        ]
        if let workers { arguments += ["--workers", String(workers)] }
        process.arguments = arguments
        process.standardInput = lifeline
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        try? lifeline.fileHandleForReading.close()
    }

    private static func executable() throws -> String {
        #if os(Linux)
            return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        #else
            return Bundle.main.executablePath ?? CommandLine.arguments[0]
        #endif
    }

    var isRunning: Bool { process.isRunning }

    /// What it wrote so far.
    var log: String { (try? String(contentsOf: logFile, encoding: .utf8)) ?? "" }

    /// Asks it to stop, and returns when it has.
    func stop() {
        try? lifeline.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
