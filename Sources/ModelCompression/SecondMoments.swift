// SPDX-License-Identifier: Apache-2.0

/// Second moments of a layer's inputs: sum over samples of x[i] * x[j], of which only j <= i is kept.
struct SecondMoments: Sendable {
    let count: Int
    private(set) var values: [Double]

    init(count: Int) {
        self.count = count
        values = [Double](repeating: 0, count: count * count)
    }

    subscript(i: Int, j: Int) -> Double {
        get { i >= j ? values[i * count + j] : values[j * count + i] }
        set { values[max(i, j) * count + min(i, j)] = newValue }
    }

    /// Adds the products of a window with itself.
    mutating func addWindow(_ window: UnsafeMutableBufferPointer<Float>) {
        for i in 0..<count {
            for j in 0...i { values[i * count + j] += Double(window[i] * window[j]) }
        }
    }

    /// Adds sums of products, [count][count].
    mutating func add(_ sums: UnsafeBufferPointer<Float>) {
        precondition(sums.count == values.count)
        for index in values.indices { values[index] += Double(sums[index]) }
    }
}

/// Lower triangular matrices, row by row in full squares.
enum TriangularMatrix {
    /// A = L L^T of a symmetric matrix, in place, reading and writing the lower half (Cholesky).
    ///
    /// - Returns: false if the matrix is not positive definite.
    static func factor(_ matrix: inout [Double], _ n: Int) -> Bool {
        matrix.withUnsafeMutableBufferPointer { a in
            for i in 0..<n {
                for j in 0...i {
                    let sum = a[i * n + j] - dot(a, i * n, j * n, j)
                    if i == j {
                        guard sum > 0, sum.isFinite else { return false }
                        a[i * n + i] = sum.squareRoot()
                    } else {
                        a[i * n + j] = sum / a[j * n + j]
                    }
                }
            }
            return true
        }
    }

    /// L^-1 in place.
    static func invert(_ matrix: inout [Double], _ n: Int) {
        matrix.withUnsafeMutableBufferPointer { a in
            var row = [Double](repeating: 0, count: n)
            row.withUnsafeMutableBufferPointer { row in
                // Row i of the inverse: -1 / L[i][i] * sum over k < i of L[i][k] * inverse row k, and 1 / L[i][i].
                for i in 0..<n {
                    for j in 0..<i { row[j] = 0 }
                    for k in 0..<i {
                        let factor = a[i * n + k]
                        if factor == 0 { continue }
                        for j in 0...k { row[j] += factor * a[k * n + j] }
                    }
                    let pivot = 1 / a[i * n + i]
                    for j in 0..<i { a[i * n + j] = -pivot * row[j] }
                    a[i * n + i] = pivot
                }
            }
        }
    }

    private static func dot(_ a: UnsafeMutableBufferPointer<Double>, _ i: Int, _ j: Int, _ count: Int) -> Double {
        var sums = SIMD8<Double>.zero
        var k = 0
        while k + 8 <= count {
            var (x, y) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
            for lane in 0..<8 {
                x[lane] = a[i + k + lane]
                y[lane] = a[j + k + lane]
            }
            sums += x * y
            k += 8
        }
        var sum = sums.sum()
        while k < count {
            sum += a[i + k] * a[j + k]
            k += 1
        }
        return sum
    }
}
