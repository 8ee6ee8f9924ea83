// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Pipeline

/// What the commands share: data goes to standard output, everything else to standard error.
enum CommandSupport {
    static func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// Without a line break.
    static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

    static func printData(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

    /// Reports bad input: says why and ends with exit status 1.
    static func failure(_ text: String) -> ExitCode {
        note("brokerside: \(text)")
        return .failure
    }

    /// Reads a configuration, or reports all its faults as `file:line:column: what` and throws exit status 1.
    static func configuration(path: String) throws -> Configuration {
        do {
            return try Configuration.read(path: path)
        } catch let error as ConfigurationError {
            for fault in error.faults { note("\(path):\(fault)") }
            throw ExitCode.failure
        } catch { throw failure("\(path): cannot be read: \(error.localizedDescription)") }
    }
}
