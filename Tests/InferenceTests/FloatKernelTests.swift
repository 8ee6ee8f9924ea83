// SPDX-License-Identifier: Apache-2.0
import CKernels
import Foundation
import Testing

/// Each kernel of each instruction set against double precision. Tolerance: the sums have at most a few hundred terms of
/// magnitude 1, so rounding of float32 stays below 1e-4 of 1 + |expected|.
struct FloatKernelTests {
    /// A table of kernels. `@unchecked Sendable`: tables are constants of the program.
    struct Kernels: @unchecked Sendable, CustomTestStringConvertible {
        let table: UnsafePointer<float_kernels>
        var testDescription: String { String(cString: table.pointee.name) }

        static let all = (0..<8).compactMap { float_kernels_available($0).map(Kernels.init) }
    }

    private static let activations: [float_epilogue] = [
        plainEpilogue,
        float_epilogue(activation: float_clamp, low: 0, high: 1),
        float_epilogue(activation: float_leaky_relu, low: 0.1, high: 0),
        float_epilogue(activation: float_sigmoid, low: 0, high: 0),
        float_epilogue(activation: float_silu, low: 0, high: 0),
        float_epilogue(activation: float_hard_sigmoid, low: 0.2, high: 0.5),
        float_epilogue(activation: float_hard_swish, low: 0, high: 0),
        float_epilogue(activation: float_tanh, low: 0, high: 0),
        float_epilogue(activation: float_abs, low: 0, high: 0),
        float_epilogue(activation: float_negate, low: 0, high: 0),
    ]

    private static func activated(_ x: Double, _ e: float_epilogue) -> Double {
        switch e.activation {
        case float_clamp: min(max(x, Double(e.low)), Double(e.high))
        case float_leaky_relu: max(x, 0) + Double(e.low) * min(x, 0)
        case float_sigmoid: 1 / (1 + exp(-x))
        case float_silu: x / (1 + exp(-x))
        case float_hard_sigmoid: max(min(Double(e.low) * x + Double(e.high), 1), 0)
        case float_hard_swish: x * max(min(x / 6 + 0.5, 1), 0)
        case float_tanh: tanh(x)
        case float_exp: exp(x)
        case float_abs: abs(x)
        case float_negate: -x
        case float_sqrt: x.squareRoot()
        default: 1 / x
        }
    }

    private enum Residual: CaseIterable { case none, before, after }

    /// Largest difference over 1 + |expected|; infinite if a number between two pixels was written.
    private func layerDifference(
        _ kernels: Kernels, _ shape: LayerCase, depthwise: Bool, _ residualKind: Residual, _ epilogue: float_epilogue
    ) -> Double {
        let table = kernels.table
        var numbers = KernelNumbers(seed: UInt64(shape.filters * 100 + shape.channels))
        let input = numbers.floats(shape.height * shape.width * shape.inputPitch, in: -1...1)
        let residual = numbers.floats(shape.outputPixels * shape.outputPitch, in: -1...1)
        let inputsPerFilter = depthwise ? 1 : shape.channels
        let weight = numbers.floats(shape.filters * inputsPerFilter * shape.taps, in: -1...1)
        let bias = numbers.floats(shape.filters, in: -1...1)
        let packedCount =
            depthwise
            ? float_packed_depthwise_count(table, shape.channels, shape.taps)
            : float_packed_count(table, shape.filters, shape.steps)
        var packed = [Float](repeating: 0, count: packedCount)
        if depthwise {
            float_pack_depthwise(table, weight, bias, shape.channels, shape.taps, &packed)
        } else {
            float_pack_weights(table, weight, bias, shape.filters, shape.channels, shape.taps, &packed)
        }
        let zeros = [Float](repeating: 0, count: shape.kernel * shape.channels)
        var patches = [Float](repeating: .nan, count: Int(table.pointee.tile_pixels) * shape.steps)
        var output = [Float](repeating: -99, count: shape.outputPixels * shape.outputPitch)
        packed.withUnsafeBufferPointer { packed in
            zeros.withUnsafeBufferPointer { zeros in
                residual.withUnsafeBufferPointer { residual in
                    var task = float_convolution(
                        window: shape.window, channels: shape.channels, filters: shape.filters,
                        weights: packed.baseAddress, zeros: zeros.baseAddress, residual_pitch: shape.outputPitch,
                        residual_after_activation: residualKind == .after ? 1 : 0, epilogue: epilogue)
                    let added = residualKind == .none ? nil : residual.baseAddress
                    let end = depthwise ? shape.outputHeight : shape.outputPixels
                    for range in [0..<min(3, end), min(3, end)..<end] {
                        let (begin, end) = (range.lowerBound, range.upperBound)
                        if depthwise {
                            table.pointee.depthwise(&task, input, added, &output, begin, end)
                        } else {
                            table.pointee.convolution(&task, input, added, &output, &patches, begin, end)
                        }
                    }
                }
            }
        }
        var largest = 0.0
        for pixel in 0..<shape.outputPixels {
            for filter in 0..<shape.outputPitch {
                let index = pixel * shape.outputPitch + filter
                guard filter < shape.filters else {
                    if output[index] != -99 { return .infinity }
                    continue
                }
                var sum = Double(bias[filter])
                for tap in 0..<shape.taps {
                    guard let source = shape.source(pixel, tap) else { continue }
                    for channel in 0..<inputsPerFilter {
                        let x = input[source + (depthwise ? filter : channel)]
                        sum += Double(x) * Double(weight[(filter * inputsPerFilter + channel) * shape.taps + tap])
                    }
                }
                if residualKind == .before { sum += Double(residual[index]) }
                sum = Self.activated(sum, epilogue)
                if residualKind == .after { sum += Double(residual[index]) }
                let difference = abs(Double(output[index]) - sum) / (1 + abs(sum))
                largest = difference.isNaN ? .infinity : max(largest, difference)
            }
        }
        return largest
    }

    @Test(arguments: Kernels.all)
    func convolutionIsItsDefinition(_ kernels: Kernels) {
        for shape in LayerCase.dense {
            for residual in Residual.allCases {
                let difference = layerDifference(kernels, shape, depthwise: false, residual, plainEpilogue)
                #expect(difference < 1e-4, "\(shape), residual \(residual)")
            }
        }
    }

    @Test(arguments: Kernels.all)
    func depthwiseIsItsDefinition(_ kernels: Kernels) {
        for shape in LayerCase.perChannel {
            for residual in Residual.allCases {
                let difference = layerDifference(kernels, shape, depthwise: true, residual, plainEpilogue)
                #expect(difference < 1e-4, "\(shape), residual \(residual)")
            }
        }
    }

    @Test(arguments: Kernels.all)
    func layersApplyEveryActivation(_ kernels: Kernels) {
        let shape = LayerCase(channels: 19, filters: 19, kernel: 3, padding: 1, gap: 3)
        for activation in Self.activations {
            for residual in Residual.allCases {
                for depthwise in [false, true] {
                    let difference = layerDifference(kernels, shape, depthwise: depthwise, residual, activation)
                    #expect(difference < 1e-4, "\(activation), residual \(residual), depthwise \(depthwise)")
                }
            }
        }
    }

    @Test(arguments: Kernels.all, [float_pool_maximum, float_pool_average])
    func poolIsItsDefinition(_ kernels: Kernels, _ kind: float_pool_kind) {
        for shape in LayerCase.perChannel {
            var numbers = KernelNumbers(seed: UInt64(shape.channels))
            let input = numbers.floats(shape.height * shape.width * shape.inputPitch, in: -3...3)
            for countsPadding in [false, true] {
                var pool = float_pool(
                    window: shape.window, channels: shape.channels, kind: kind, counts_padding: countsPadding ? 1 : 0,
                    pad_bottom: shape.padding, pad_right: shape.padding)
                var output = [Float](repeating: -99, count: shape.outputPixels * shape.outputPitch)
                kernels.table.pointee.pool(&pool, input, &output, 0, shape.outputHeight)
                var largest: Float = 0
                for pixel in 0..<shape.outputPixels {
                    for channel in 0..<shape.channels {
                        let values = (0..<shape.taps).compactMap { shape.source(pixel, $0) }.map { input[$0 + channel] }
                        // Extents are rounded down, so every window ends within the padding.
                        let divisor = countsPadding ? shape.taps : values.count
                        let expected =
                            kind == float_pool_maximum
                            ? values.max() ?? -.infinity : values.reduce(0, +) / Float(max(divisor, 1))
                        let actual = output[pixel * shape.outputPitch + channel]
                        if actual != expected { largest = max(largest, abs(actual - expected)) }
                    }
                }
                #expect(largest < 1e-5, "\(shape), counts padding: \(countsPadding)")
            }
        }
    }

    @Test(arguments: Kernels.all)
    func elementwiseKernelsAreTheirDefinition(_ kernels: Kernels) {
        let binary: [(float_binary, (Double, Double) -> Double)] = [
            (float_add, { $0 + $1 }), (float_subtract, { $0 - $1 }), (float_multiply, { $0 * $1 }),
            (float_divide, { $0 / $1 }), (float_maximum, { max($0, $1) }), (float_minimum, { min($0, $1) }),
        ]
        for count in 1...40 {
            var numbers = KernelNumbers(seed: UInt64(count))
            let (rows, pitch) = (3, count + 2)
            let a = numbers.floats(rows * pitch, in: 0.1...8), b = numbers.floats(rows * pitch, in: 0.5...3)
            func check(_ y: [Float], _ expected: (Int, Int) -> Double, _ what: String) {
                var isRight = true
                for row in 0..<rows {
                    for i in 0..<pitch {
                        let value = i < count ? expected(row, i) : -99
                        isRight = isRight && abs(Double(y[row * pitch + i]) - value) <= 1e-5 * (1 + abs(value))
                    }
                }
                #expect(isRight, "\(what) of \(count) numbers")
            }
            let more = [float_exp, float_sqrt, float_reciprocal].map { float_epilogue(activation: $0, low: 0, high: 0) }
            for var epilogue in Self.activations + more {
                var y = [Float](repeating: -99, count: rows * pitch)
                kernels.table.pointee.unary(&epilogue, a, pitch, &y, pitch, rows, count)
                check(y, { Self.activated(Double(a[$0 * pitch + $1]), epilogue) }, "\(epilogue)")
            }
            var clamped = float_epilogue(activation: float_clamp, low: 0, high: 6)
            for (function, definition) in binary {
                for step in [0, 1] {
                    var y = [Float](repeating: -99, count: rows * pitch)
                    kernels.table.pointee.binary(
                        function, &clamped, a, pitch, 1, b, pitch, Int32(step), &y, pitch, rows, count)
                    check(
                        y,
                        { row, i in
                            let x = definition(Double(a[row * pitch + i]), Double(b[row * pitch + step * i]))
                            return min(max(x, 0), 6)
                        }, "\(function), step \(step),")
                }
            }
        }
    }

    @Test(arguments: Kernels.all)
    func matrixProductIsItsDefinition(_ kernels: Kernels) {
        for n in Array(1...40) + [64, 67, 130] {
            let (m, k) = (3, n % 7 + 1)
            var numbers = KernelNumbers(seed: UInt64(n))
            let a = numbers.floats(m * k, in: -1...1), b = numbers.floats(k * n, in: -1...1)
            var c = [Float](repeating: 0, count: m * n)
            kernels.table.pointee.matmul(a, b, &c, m, n, k)
            let largest = (0..<m * n).map { index in
                let sum = (0..<k).reduce(0.0) { $0 + Double(a[index / n * k + $1]) * Double(b[$1 * n + index % n]) }
                return abs(Double(c[index]) - sum)
            }.max()
            #expect((largest ?? 0) < 1e-5, "\(m)x\(k) times \(k)x\(n)")
        }
    }

    @Test(arguments: Kernels.all)
    func softmaxSumsToOne(_ kernels: Kernels) {
        for count in 1...40 {
            var numbers = KernelNumbers(seed: UInt64(count))
            let rows = 19
            let x = numbers.floats(rows * count, in: -100...100)
            var y = [Float](repeating: 0, count: rows * count)
            kernels.table.pointee.softmax(x, &y, rows, count)
            for row in 0..<rows {
                let values = x[row * count..<(row + 1) * count].map { Double($0) }
                let highest = values.max() ?? 0
                let total = values.reduce(0) { $0 + exp($1 - highest) }
                let largest = values.enumerated().map { abs(exp($1 - highest) / total - Double(y[row * count + $0])) }
                    .max()
                #expect((largest ?? 1) < 1e-6, "\(count) numbers")
            }
        }
    }

    @Test(arguments: Kernels.all)
    func pixelsBecomeNumbers(_ kernels: Kernels) {
        let mean: [Float] = [123.675, 116.28, 103.53, 0], scale: [Float] = [0.017, 0.0175, 0.0174, 1]
        for (channels, stride) in [(1, 1), (3, 3), (3, 4), (4, 4)] {
            for count in 1...40 {
                var numbers = KernelNumbers(seed: UInt64(count))
                let input = numbers.bytes(count * stride)
                var y = [Float](repeating: 0, count: count * channels)
                kernels.table.pointee.pixels(input, stride, mean, scale, &y, count, channels)
                let expected = (0..<count * channels).map { index in
                    let channel = index % channels
                    return (Float(input[index / channels * stride + channel]) - mean[channel]) * scale[channel]
                }
                #expect(y == expected, "\(count) pixels of \(channels) channels, stride \(stride)")
            }
        }
    }

    @Test func sameWorkInOtherPiecesGivesTheSameBits() {
        for kernels in Kernels.all {
            var numbers = KernelNumbers(seed: 5)
            let shape = LayerCase(channels: 11, filters: 21, kernel: 3, padding: 1)
            let input = numbers.floats(shape.height * shape.width * shape.inputPitch, in: -1...1)
            let weight = numbers.floats(shape.filters * shape.steps, in: -1...1)
            var packed = [Float](repeating: 0, count: float_packed_count(kernels.table, shape.filters, shape.steps))
            float_pack_weights(kernels.table, weight, nil, shape.filters, shape.channels, shape.taps, &packed)
            let zeros = [Float](repeating: 0, count: shape.kernel * shape.channels)
            var patches = [Float](repeating: 0, count: Int(kernels.table.pointee.tile_pixels) * shape.steps)
            let results = [1, 5, shape.outputPixels].map { piece in
                var output = [Float](repeating: 0, count: shape.outputPixels * shape.outputPitch)
                packed.withUnsafeBufferPointer { packed in
                    zeros.withUnsafeBufferPointer { zeros in
                        var task = float_convolution(
                            window: shape.window, channels: shape.channels, filters: shape.filters,
                            weights: packed.baseAddress, zeros: zeros.baseAddress, residual_pitch: 0,
                            residual_after_activation: 0, epilogue: plainEpilogue)
                        for begin in stride(from: 0, to: shape.outputPixels, by: piece) {
                            kernels.table.pointee.convolution(
                                &task, input, nil, &output, &patches, begin, min(begin + piece, shape.outputPixels))
                        }
                    }
                }
                return output.map(\.bitPattern)
            }
            #expect(results.allSatisfy { $0 == results[0] }, "\(kernels.testDescription)")
        }
    }
}
