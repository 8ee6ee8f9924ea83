// SPDX-License-Identifier: Apache-2.0

/// What can be wrong before a connection exists, or with one attempt at it.
package enum MQTTError: Error, Equatable, CustomStringConvertible {
    /// The address cannot be understood.
    case address(String, reason: String)
    /// The settings or options contradict each other or a limit of the protocol.
    case options(reason: String)
    /// A function of libmosquitto failed. `doing` says what for.
    case library(code: Int32, function: String, message: String, doing: String)

    package var description: String {
        switch self {
        case .address(let text, let reason): "broker address \"\(text)\": \(reason)"
        case .options(let reason): reason
        case .library(let code, let function, let message, let doing):
            "\(doing): \(message) (\(function) returned \(code))"
        }
    }
}
