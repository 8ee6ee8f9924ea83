// SPDX-License-Identifier: Apache-2.0
import Tensors

/// What can be wrong with a graph, most often because of the file it came from.
package enum GraphError: Error, Equatable, CustomStringConvertible {
    /// An operator does not fit its inputs or its attributes.
    case unsuitable(operation: String, reason: String)
    /// The shape of an output depends on the values of an input, which are not known before the network runs.
    case dataDependentShape(operation: String, input: String)
    /// A tensor is larger than any that is accepted (see `TensorType.maximumByteCount`).
    case tooLarge(TensorType)
    /// A value does not point into the tensor that it is an index of.
    case indexOutOfRange(operation: String, index: Int, extent: Int)
    /// The graph contradicts itself.
    case inconsistent(String)
    /// A tensor that was handed in is not what the graph's input says.
    case wrongInput(name: String, expected: String, actual: String)

    package var description: String {
        switch self {
        case .unsuitable(let operation, let reason): "\(operation): \(reason)"
        case .dataDependentShape(let operation, let input):
            "\(operation): the shape of the result depends on the values of \(input), which must be constant"
        case .tooLarge(let type):
            "a tensor of \(type) is larger than \(TensorType.maximumByteCount >> 20) MiB"
        case .indexOutOfRange(let operation, let index, let extent):
            "\(operation): index \(index) is outside an extent of \(extent)"
        case .inconsistent(let reason): reason
        case .wrongInput(let name, let expected, let actual): "input \(name) is \(actual), expected \(expected)"
        }
    }
}

extension TensorType {
    /// 2 GiB: far above what a network on such a node needs, far below what would overflow an index.
    package static let maximumByteCount = 1 << 31

    /// Itself, if memory for it may be allocated.
    @discardableResult
    package func checked() throws -> TensorType {
        guard shape.dimensions.allSatisfy({ $0 <= Self.maximumByteCount }), shape.rank <= 64,
            let count = shape.checkedCount,
            count <= Self.maximumByteCount / type.sizeBytes
        else { throw GraphError.tooLarge(self) }
        return self
    }
}
