// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Why a network's outputs cannot be interpreted as its description says. Found when a model is loaded, not per frame.
package enum InterpretationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The interpretation is of another kind: a classifier where a detector is wanted, or the reverse.
    case wrongKind(wanted: String)
    case missingOutput(String, available: [String])
    case shape(output: String, shape: Shape, expected: String)
    case labelCount(Int, classes: Int)
    case backgroundClass(Int, classes: Int)
    case unknownClass(String)
    /// A setting outside its range.
    case setting(String)

    package var description: String {
        switch self {
        case .wrongKind(let wanted): "the model's outputs are not those of a \(wanted)"
        case .missingOutput(let name, let available):
            "the model has no output '\(name)'; it has \(available.joined(separator: ", "))"
        case .shape(let output, let shape, let expected):
            "output '\(output)' has shape \(shape), expected \(expected)"
        case .labelCount(let count, let classes): "\(count) labels for \(classes) classes"
        case .backgroundClass(let column, let classes): "background class \(column) of \(classes) classes"
        case .unknownClass(let name): "the model has no class '\(name)'"
        case .setting(let text): text
        }
    }
}

/// Name and shape of an output, batch first.
package struct OutputDescription: Hashable, Sendable {
    package var name: String
    package var shape: Shape

    package init(name: String, shape: Shape) {
        self.name = name
        self.shape = shape
    }
}

/// The outputs by name, for the initializers of interpreters.
struct OutputTable {
    var outputs: [OutputDescription]

    func index(of name: String) throws(InterpretationError) -> Int {
        guard let index = outputs.firstIndex(where: { $0.name == name }) else {
            throw .missingOutput(name, available: outputs.map(\.name))
        }
        return index
    }
}
