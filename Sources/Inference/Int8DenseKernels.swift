// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// The table of fully connected and recurrent int8 kernels of an instruction set.
///
/// `@unchecked Sendable`: the table is a constant of the program.
struct Int8DenseKernels: @unchecked Sendable {
    let table: UnsafePointer<int8_dense_kernels>

    static let best = Int8DenseKernels(table: int8_dense_kernels_best())

    /// All that this processor can run, the plain ones last.
    static var available: [Int8DenseKernels] {
        (0..<8).compactMap { int8_dense_kernels_available($0).map(Int8DenseKernels.init) }
    }

    var name: String { String(cString: table.pointee.name) }
}

/// The table of recurrent float kernels of an instruction set.
///
/// `@unchecked Sendable`: the table is a constant of the program.
struct FloatRecurrentKernels: @unchecked Sendable {
    let table: UnsafePointer<float_recurrent_kernels>

    static let best = FloatRecurrentKernels(table: float_recurrent_kernels_best())

    static var available: [FloatRecurrentKernels] {
        (0..<8).compactMap { float_recurrent_kernels_available($0).map(FloatRecurrentKernels.init) }
    }

    var name: String { String(cString: table.pointee.name) }

    /// That of the same instruction set as other kernels.
    static func like(_ kernels: FloatKernels) -> FloatRecurrentKernels {
        available.first { $0.name == kernels.name } ?? best
    }
}

/// A packed matrix of int8 weights, where the plan has it.
struct PackedMatrix: Sendable {
    let place: Place
    private let form: Shared<int8_matrix>

    /// - Parameters:
    ///   - order: the row of the matrix that stands at each packed row, negative for none; nil: as they are.
    ///   - tile: rows per tile, a multiple of 16, at most 64.
    init(_ matrix: IntegerMatrix, order: [Int32]? = nil, tile: Int = Int(int8_tile_rows), in builder: inout PlanBuilder)
    {
        let rows = order?.count ?? matrix.rows
        let weights = matrix.weights.elements(as: Int8.self).baseAddress
        let zeroPoints = [UInt8](repeating: matrix.zeroPoint, count: matrix.steps)
        place = builder.addConstant(byteCount: int8_matrix_bytes(rows, matrix.steps, tile)) {
            int8_matrix_pack(
                weights, matrix.rowStride, matrix.stepStride, zeroPoints, order, rows, matrix.steps, tile, $0)
        }
        var form = int8_matrix()
        form.rows = rows
        form.steps = matrix.steps
        form.tile = tile
        // Only AVX2 asks.
        form.lane_products =
            Int8DenseKernels.best.name == "avx2"
            ? int8_matrix_lane_products(weights, matrix.rowStride, matrix.stepStride, matrix.rows, matrix.steps) : 2
        self.form = Shared(form)
    }

    func bound(_ memory: Memory) -> int8_matrix {
        var result = form.value
        result.packed = UnsafeRawPointer(memory.pointer(place))
        return result
    }
}

extension PlanBuilder {
    /// A constant of float numbers.
    mutating func addFloats(_ values: [Float]) -> Place {
        addConstant(floats: values.count) { $0.update(from: values, count: values.count) }
    }
}
