// SPDX-License-Identifier: Apache-2.0
import Tensors

/// A window problem of one to three spatial axes, written with three: missing ones have extent one.
private struct Geometry {
    let input: [Int]
    let output: [Int]
    let kernel: [Int]
    let strides: [Int]
    let dilations: [Int]
    let begins: [Int]

    init(input: [Int], output: [Int], kernel: [Int], strides: [Int], dilations: [Int], pads: [Int]) {
        func fill(_ values: [Int], _ filler: Int) -> [Int] {
            [Int](repeating: filler, count: 3 - values.count) + values
        }
        self.input = fill(input, 1)
        self.output = fill(output, 1)
        self.kernel = fill(kernel, 1)
        self.strides = fill(strides, 1)
        self.dilations = fill(dilations, 1)
        begins = fill(Array(pads.prefix(input.count)), 0)
    }

    var inputCount: Int { input[0] * input[1] * input[2] }
    var outputCount: Int { output[0] * output[1] * output[2] }
    var kernelCount: Int { kernel[0] * kernel[1] * kernel[2] }

    /// Output positions along `axis` at which kernel position `tap` falls into the input.
    func range(_ axis: Int, tap: Int) -> Range<Int> {
        let offset = tap * dilations[axis] - begins[axis]
        let first = offset >= 0 ? 0 : (-offset + strides[axis] - 1) / strides[axis]
        let last = input[axis] - 1 - offset
        guard last >= 0 else { return 0..<0 }
        let end = min(output[axis], last / strides[axis] + 1)
        return first < end ? first..<end : 0..<0
    }

    /// Calls `body(tap, output offset, input offset, length)` for each kernel position and each row of output positions that
    /// it reaches; along a row the output advances by one and the input by `strides[2]`.
    func forEachTapRow(_ body: (Int, Int, Int, Int) -> Void) {
        for z in 0..<kernel[0] {
            for y in 0..<kernel[1] {
                for x in 0..<kernel[2] {
                    let columns = range(2, tap: x)
                    if columns.isEmpty { continue }
                    let tap = (z * kernel[1] + y) * kernel[2] + x
                    let inputX = columns.lowerBound * strides[2] + x * dilations[2] - begins[2]
                    for outputZ in range(0, tap: z) {
                        let inputZ = outputZ * strides[0] + z * dilations[0] - begins[0]
                        for outputY in range(1, tap: y) {
                            let inputY = outputY * strides[1] + y * dilations[1] - begins[1]
                            body(
                                tap, (outputZ * output[1] + outputY) * output[2] + columns.lowerBound,
                                (inputZ * input[1] + inputY) * input[2] + inputX, columns.count)
                        }
                    }
                }
            }
        }
    }
}

extension ReferenceEvaluator {
    /// y[n,k,o] = activation(bias[k] + sum over c, t of weight[k,c,t] * x[n, c, o * stride + t * dilation - pad]),
    /// with the residual added before or after the activation. Sums run over c, then t.
    static func convolution(
        _ convolution: Convolution, _ x: Tensor, _ weight: Tensor, bias: Tensor?, residual: Tensor?, shape: Shape
    ) -> Tensor {
        let result = Tensor(.float32, shape)
        let output = result.floats
        if let bias {
            let plane = shape.dimensions.dropFirst(2).reduce(1, *)
            for index in 0..<(shape[0] * shape[1]) {
                (output + index * plane).update(repeating: bias.floats[index % shape[1]], count: plane)
            }
        }
        accumulate(convolution, x, weight, into: result, Float.self)
        if let residual, convolution.residual == .beforeActivation {
            for index in 0..<result.count { output[index] += residual.floats[index] }
        }
        convolution.activation.apply(output, count: result.count)
        if let residual, convolution.residual == .afterActivation {
            for index in 0..<result.count { output[index] += residual.floats[index] }
        }
        return result
    }

    /// The same over integers: zero points are subtracted first, so that padding counts as zero.
    static func convolutionInteger(
        _ convolution: Convolution, _ x: Tensor, _ weight: Tensor, zeroX: Tensor?, zeroWeight: Tensor?, shape: Shape
    ) -> Tensor {
        let result = Tensor(.int32, shape)
        let perChannel = weight.count / max(weight.shape[0], 1)
        accumulate(
            convolution, centred(x, zeroX) { _ in 0 }, centred(weight, zeroWeight) { $0 / perChannel }, into: result,
            Int32.self)
        return result
    }

    private static func accumulate<Element: Number>(
        _ convolution: Convolution, _ x: Tensor, _ weight: Tensor, into result: Tensor, _ type: Element.Type
    ) {
        let geometry = Geometry(
            input: Array(x.shape.dimensions.dropFirst(2)), output: Array(result.shape.dimensions.dropFirst(2)),
            kernel: convolution.kernel, strides: convolution.strides, dilations: convolution.dilations,
            pads: convolution.pads)
        let (channels, filters) = (x.shape[1], result.shape[1])
        let depth = channels / convolution.groups
        let filtersPerGroup = filters / convolution.groups
        let (inputCount, outputCount, kernelCount) = (
            geometry.inputCount, geometry.outputCount, geometry.kernelCount
        )
        let step = geometry.strides[2]
        let (input, weights, output) = (x.base(type), weight.base(type), result.base(type))
        for n in 0..<x.shape[0] {
            for k in 0..<filters {
                let plane = output + (n * filters + k) * outputCount
                for c in 0..<depth {
                    let source = input + (n * channels + k / filtersPerGroup * depth + c) * inputCount
                    let taps = weights + (k * depth + c) * kernelCount
                    geometry.forEachTapRow { tap, to, from, length in
                        let factor = taps[tap]
                        let (row, values) = (plane + to, source + from)
                        if step == 1 {
                            for i in 0..<length { row[i] = .sum(row[i], .product(factor, values[i])) }
                        } else {
                            for i in 0..<length { row[i] = .sum(row[i], .product(factor, values[i * step])) }
                        }
                    }
                }
            }
        }
    }

    /// The gradient of a convolution: each input element adds its kernel to the output, `pads` are cut off.
    static func transposedConvolution(
        _ convolution: TransposedConvolution, _ x: Tensor, _ weight: Tensor, bias: Tensor?, shape: Shape
    ) -> Tensor {
        let result = Tensor(.float32, shape)
        // Seen from the output, it is a convolution with input and output exchanged.
        let geometry = Geometry(
            input: Array(shape.dimensions.dropFirst(2)), output: Array(x.shape.dimensions.dropFirst(2)),
            kernel: convolution.kernel, strides: convolution.strides, dilations: convolution.dilations,
            pads: convolution.pads)
        let (channels, filters) = (x.shape[1], shape[1])
        let depth = channels / convolution.groups
        let filtersPerGroup = weight.shape[1]
        let (outputCount, inputCount, kernelCount) = (
            geometry.inputCount, geometry.outputCount, geometry.kernelCount
        )
        let step = geometry.strides[2]
        for n in 0..<x.shape[0] {
            for k in 0..<filters {
                let plane = result.floats + (n * filters + k) * outputCount
                if let bias { plane.update(repeating: bias.floats[k], count: outputCount) }
                let group = k / filtersPerGroup
                for c in 0..<depth {
                    let channel = group * depth + c
                    let source = x.floats + (n * channels + channel) * inputCount
                    let taps = weight.floats + (channel * filtersPerGroup + k % filtersPerGroup) * kernelCount
                    geometry.forEachTapRow { tap, from, to, length in
                        let factor = taps[tap]
                        for i in 0..<length { plane[to + i * step] += factor * source[from + i] }
                    }
                }
            }
        }
        return result
    }

    /// x - zero point as int32; `channel` says which of several zero points an element has.
    static func centred(_ x: Tensor, _ zero: Tensor?, channel: (Int) -> Int) -> Tensor {
        let result = Tensor(.int32, x.shape)
        let output = result.base(Int32.self)
        let zeros = zero?.integers ?? [0]
        for (index, value) in (x.integers ?? []).enumerated() {
            output[index] = Int32(value - zeros[zeros.count == 1 ? 0 : channel(index)])
        }
        return result
    }

    // MARK: Matrix products

    static func matMul(_ a: Tensor, _ b: Tensor, shape: Shape) -> Tensor {
        let result = Tensor(a.type, shape)
        a.type.dispatch(MatMulWork(a: a, b: b, result: result))
        return result
    }

    private struct MatMulWork: NumberWork {
        let a: Tensor
        let b: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let left = a.shape.rank == 1 ? [1, a.shape[0]] : a.shape.dimensions
            let right = b.shape.rank == 1 ? [b.shape[0], 1] : b.shape.dimensions
            let (rows, inner, columns) = (left[left.count - 2], left[left.count - 1], right[right.count - 1])
            let lead = a.shape.rank == 1 ? 0 : a.shape.rank - 2
            let leadB = b.shape.rank == 1 ? 0 : b.shape.rank - 2
            let batch = Array(result.shape.dimensions.prefix(max(lead, leadB)))
            let strideA = broadcastStrides(Shape(Array(left.dropLast(2))), to: batch).map { $0 * rows * inner }
            let strideB = broadcastStrides(Shape(Array(right.dropLast(2))), to: batch).map { $0 * inner * columns }
            let strideC = denseStrides(batch).map { $0 * rows * columns }
            let (x, y, z) = (a.base(type), b.base(type), result.base(type))
            // Rows of an added axis of one are the matrices.
            forEachRow(batch + [1], strideA, strideB, strideC) { startA, startB, startC in
                for i in 0..<rows {
                    let row = z + startC + i * columns
                    for k in 0..<inner {
                        let factor = x[startA + i * inner + k]
                        let other = y + startB + k * columns
                        for j in 0..<columns { row[j] = .sum(row[j], .product(factor, other[j])) }
                    }
                }
            }
        }
    }

    static func matMulInteger(_ a: Tensor, _ b: Tensor, zeroA: Tensor?, zeroB: Tensor?, shape: Shape) -> Tensor {
        let inner = max(a.shape.dimensions.last ?? 1, 1)
        let rows = a.shape.rank > 1 ? max(a.shape[a.shape.rank - 2], 1) : 1
        let columns = b.shape.rank > 1 ? max(b.shape[b.shape.rank - 1], 1) : 1
        return matMul(
            centred(a, zeroA) { $0 / inner % rows }, centred(b, zeroB) { $0 % columns }, shape: shape)
    }

    static func gemm(_ gemm: Gemm, _ a: Tensor, _ b: Tensor, _ c: Tensor?, shape: Shape) throws -> Tensor {
        func turned(_ x: Tensor) throws -> Tensor { try evaluate(.transpose(permutation: [1, 0]), [x])[0] }
        let product = matMul(gemm.transposesA ? try turned(a) : a, gemm.transposesB ? try turned(b) : b, shape: shape)
        let output = product.floats
        if gemm.alpha != 1 { for index in 0..<product.count { output[index] *= gemm.alpha } }
        if let c {
            let strides = broadcastStrides(c.shape, to: shape.dimensions)
            for i in 0..<shape[0] {
                for j in 0..<shape[1] {
                    output[i * shape[1] + j] += gemm.beta * c.floats[i * strides[0] + j * strides[1]]
                }
            }
        }
        gemm.activation.apply(output, count: product.count)
        return product
    }

    // MARK: Pooling

    /// The largest element of each window; padding never wins. Indices count within the whole tensor.
    static func maxPool(_ pool: Pool, _ x: Tensor, shape: Shape) -> [Tensor] {
        let result = Tensor(x.type, shape)
        let indices = Tensor(.int64, shape)
        x.type.dispatch(MaxPoolWork(pool: pool, x: x, result: result, indices: indices))
        return [result, indices]
    }

    private struct MaxPoolWork: NumberWork {
        let pool: Pool
        let x: Tensor
        let result: Tensor
        let indices: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let geometry = Geometry(
                input: Array(x.shape.dimensions.dropFirst(2)), output: Array(result.shape.dimensions.dropFirst(2)),
                kernel: pool.kernel, strides: pool.strides, dilations: pool.dilations, pads: pool.pads)
            let (input, output, positions) = (x.base(type), result.base(type), indices.base(Int64.self))
            let (inputCount, outputCount, step) = (
                geometry.inputCount, geometry.outputCount, geometry.strides[2]
            )
            let extents = geometry.input
            for plane in 0..<(x.shape[0] * x.shape[1]) {
                let source = input + plane * inputCount
                let best = output + plane * outputCount
                let found = positions + plane * outputCount
                best.update(repeating: .lowest, count: outputCount)
                found.update(repeating: -1, count: outputCount)
                geometry.forEachTapRow { _, to, from, length in
                    for i in 0..<length where found[to + i] < 0 || source[from + i * step] > best[to + i] {
                        best[to + i] = source[from + i * step]
                        found[to + i] = Int64(from + i * step)
                    }
                }
                for index in 0..<outputCount {
                    var position = max(Int(found[index]), 0)
                    if pool.columnMajorIndices {
                        let (z, rest) = position.quotientAndRemainder(dividingBy: extents[1] * extents[2])
                        let (y, x) = rest.quotientAndRemainder(dividingBy: extents[2])
                        position = (x * extents[1] + y) * extents[0] + z
                    }
                    found[index] = Int64(plane * inputCount + position)
                }
            }
        }
    }

    /// The mean of each window over the elements that lie in the input, or over the padded input if `countsPadding`.
    static func averagePool(_ pool: Pool, _ x: Tensor, shape: Shape) -> Tensor {
        let result = Tensor(.float32, shape)
        let geometry = Geometry(
            input: Array(x.shape.dimensions.dropFirst(2)), output: Array(shape.dimensions.dropFirst(2)),
            kernel: pool.kernel, strides: pool.strides, dilations: pool.dilations, pads: pool.pads)
        let (inputCount, outputCount, step) = (geometry.inputCount, geometry.outputCount, geometry.strides[2])
        var divisors = [Float](repeating: 0, count: outputCount)
        if pool.countsPadding {
            // The divisor counts positions of the padded input: a window that `roundsUp` lets reach further has fewer.
            let ends = [Int](repeating: 0, count: 3 - pool.kernel.count) + pool.pads.suffix(pool.kernel.count)
            let padded = Geometry(
                input: (0..<3).map { geometry.input[$0] + geometry.begins[$0] + ends[$0] }, output: geometry.output,
                kernel: geometry.kernel, strides: geometry.strides, dilations: geometry.dilations,
                pads: [0, 0, 0, 0, 0, 0])
            padded.forEachTapRow { _, to, _, length in for i in 0..<length { divisors[to + i] += 1 } }
        } else {
            geometry.forEachTapRow { _, to, _, length in for i in 0..<length { divisors[to + i] += 1 } }
        }
        for plane in 0..<(x.shape[0] * x.shape[1]) {
            let (source, sums) = (x.floats + plane * inputCount, result.floats + plane * outputCount)
            geometry.forEachTapRow { _, to, from, length in
                for i in 0..<length { sums[to + i] += source[from + i * step] }
            }
            for index in 0..<outputCount where divisors[index] > 0 { sums[index] /= divisors[index] }
        }
        return result
    }
}
