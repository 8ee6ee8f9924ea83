// SPDX-License-Identifier: Apache-2.0

/// One thing that is wrong in a configuration, and where. Lines and columns count from 1.
package struct ConfigurationFault: Sendable, Equatable, CustomStringConvertible {
    package var line: Int
    package var column: Int
    /// Keys from the top, joined by dots: `sources.yard.qos`. Empty for the whole file.
    package var path: String
    package var message: String

    package var description: String {
        path.isEmpty ? "\(line):\(column): \(message)" : "\(line):\(column): \(path): \(message)"
    }
}

/// All faults of a configuration together.
package struct ConfigurationError: Error, CustomStringConvertible {
    package var faults: [ConfigurationFault]

    package var description: String { faults.map(\.description).joined(separator: "\n") }
}
