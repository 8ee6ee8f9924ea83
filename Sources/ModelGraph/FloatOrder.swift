// SPDX-License-Identifier: Apache-2.0

/// The order in which the terms of a sum of products are added up where a network means float32 arithmetic: that of the matrix
/// products of ONNX Runtime on x86 processors (MLAS), which is what networks between conversions (QDQ) are compared with.
///
/// Sources: `MlasSgemmOperation` in onnxruntime/core/mlas/lib/sgemm.cpp, `MlasConvOperation` in convolve.cpp, and the kernels
/// for one row in x86_64/SgemmKernelM1Avx.S and SgemmKernelM1TransposeBAvx.S. The steps of a convolution are
/// [channel][ky][kx], the bias is added to the sum.
package enum FloatOrder: Hashable, Sendable {
    /// So many terms each are summed from zero by fused multiply-adds; these sums are added up.
    case blocks(Int)
    /// The rounded products of four steps are added up, and these sums in turn; of what is left two steps, then one.
    case fours
    /// Rounded products are added to eight sums in turn; how these are added up depends on the row.
    case lanes

    /// - Parameters:
    ///   - filters: of a group.
    ///   - pixels: of an output image.
    ///   - steps: terms of a sum.
    package static func convolution(filters: Int, pixels: Int, steps: Int) -> FloatOrder {
        if filters == 1 { return .fours }
        return pixels == 1 ? .lanes : product(columns: pixels, steps: steps)
    }

    /// Of a matrix [rows, steps] times [steps, columns], of which the second lies as it is written here, or transposed. Nil for
    /// one column, which is made in another order.
    package static func product(rows: Int, columns: Int, steps: Int, isTransposed: Bool) -> FloatOrder? {
        if rows == 1 { return isTransposed ? .lanes : .fours }
        return columns == 1 && !isTransposed ? nil : product(columns: columns, steps: steps)
    }

    /// Panels hold 128 by 128 elements of the second matrix, or less steps of more columns, or more steps of less columns.
    private static func product(columns: Int, steps: Int) -> FloatOrder {
        var (width, block) = (128, 128)
        if columns < steps {
            while width > 16 && width / 2 >= columns { (width, block) = (width / 2, block * 2) }
        }
        return .blocks(block)
    }
}

/// The order in which a window is added up for its mean (`MlasPool` in onnxruntime/core/mlas/lib/pooling.cpp, and ONNX Runtime's
/// own loop from operator set 19 on).
package enum FloatPoolOrder: Sendable {
    /// The columns of a window, then their sums.
    case columns
    /// All positions, row by row.
    case rows
    /// Row by row four positions at a time go to four sums, of which the first and third, the second and fourth, and these two are
    /// added up; then what is left.
    case lanes

    /// - Parameter pool: over images of these extents.
    package init(_ pool: Pool, input: [Int]) {
        let isGlobal = pool.kernel == input && pool.pads.allSatisfy { $0 == 0 } && pool.strides.allSatisfy { $0 == 1 }
        // Rows fit a buffer of 2048 elements.
        let width = (input.last ?? 0) + (pool.pads.last ?? 0) + (pool.pads[pool.kernel.count - 1])
        if pool.addsRows {
            self = .rows
        } else if isGlobal {
            self = .lanes
        } else if pool.kernel.count > 1, pool.strides[pool.kernel.count - 1] <= 2, width <= 2045,
            pool.kernel.allSatisfy({ $0 <= 32 })
        {
            self = .columns
        } else {
            self = .rows
        }
    }
}
