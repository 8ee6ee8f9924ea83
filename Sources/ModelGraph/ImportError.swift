// SPDX-License-Identifier: Apache-2.0

/// Why a file of another program cannot be imported. Nothing is imported in part.
package enum ImportError: Error, CustomStringConvertible {
    /// The file cannot be read at all.
    case unreadable(path: String, reason: String)
    /// The file is not of its kind, or contradicts itself.
    case malformed(String)
    /// Inputs whose shape the file leaves open, with the shape as it is written; the caller must fix them.
    case openShapes([(input: String, shape: String)])
    /// The caller gave a shape for an input that is not there.
    case unknownInput(String, known: [String])
    /// Every node that is not supported.
    case unsupported([UnsupportedNode])

    package struct UnsupportedNode: Sendable {
        package let name: String
        /// Domain and operator, such as `com.microsoft.Attention`.
        package let operation: String
        /// What is missing.
        package let reason: String
        /// Whether the node could be computed if more of its inputs were known before the network runs.
        package let needsConstants: Bool

        package init(name: String, operation: String, reason: String, needsConstants: Bool = false) {
            self.name = name
            self.operation = operation
            self.reason = reason
            self.needsConstants = needsConstants
        }
    }

    package var description: String {
        switch self {
        case .unreadable(let path, let reason): "\(path): \(reason)"
        case .malformed(let reason): "not a valid model file: \(reason)"
        case .openShapes(let inputs):
            "the file leaves shapes open; give them, for example with --shape NAME=1x3x320x320: "
                + inputs.map { "\($0.input) is [\($0.shape)]" }.joined(separator: ", ")
        case .unknownInput(let name, let known):
            "there is no input \(name); inputs are: \(known.joined(separator: ", "))"
        case .unsupported(let nodes):
            "\(nodes.count) node\(nodes.count == 1 ? " is" : "s are") not supported:\n"
                + nodes.map { "  \($0.name) (\($0.operation)): \($0.reason)" }.joined(separator: "\n")
        }
    }
}

/// What a node lacks to be imported.
package struct Unsupported: Error {
    package let reason: String
    package var needsConstants: Bool

    package init(_ reason: String, needsConstants: Bool = false) {
        self.reason = reason
        self.needsConstants = needsConstants
    }
}
