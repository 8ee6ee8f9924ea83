// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// How the numbers of a recurrent layer lie in memory, all row-major.
struct RecurrentShape: Sendable {
    let length: Int
    let batch: Int
    let inputs: Int
    let units: Int
    let directions: Int
    private let batchFirst: Bool

    init(_ attributes: Recurrent, x: Shape) {
        batchFirst = attributes.batchFirst
        length = x[batchFirst ? 1 : 0]
        batch = x[batchFirst ? 0 : 1]
        inputs = x[2]
        units = attributes.hiddenSize
        directions = attributes.directions
    }

    /// Units rounded up to what kernels compute together.
    var paddedUnits: Int { (units + 15) / 16 * 16 }

    // Elements from one step, one sequence, one direction to the next.
    var inputStep: Int { batchFirst ? inputs : batch * inputs }
    var inputSequence: Int { batchFirst ? length * inputs : inputs }
    var outputStep: Int { (batchFirst ? 1 : batch) * directions * units }
    var outputSequence: Int { batchFirst ? length * directions * units : units }
    var outputDirection: Int { batchFirst ? units : batch * units }
    var stateSequence: Int { batchFirst ? directions * units : units }
    var stateDirection: Int { batchFirst ? units : batch * units }

    /// For each row of a packed matrix the row of the layer's: units in blocks of 16, in each block the gates one after the
    /// other; negative where there is no such unit.
    func rowOrder(gates: Range<Int>) -> [Int32] {
        stride(from: 0, to: units, by: 16).flatMap { first in
            gates.flatMap { gate in
                (first..<(first + 16)).map { $0 < units ? Int32(gate * units + $0) : -1 }
            }
        }
    }

    /// Numbers per row in the order of packed rows, zero where there is no unit.
    func ordered(_ values: [Float], gates: Range<Int>) -> [Float] {
        rowOrder(gates: gates).map { $0 < 0 ? 0 : values[Int($0)] }
    }
}
