// SPDX-License-Identifier: Apache-2.0
import CKernels
import Foundation
import Testing

/// Each kernel of each instruction set against loops written from the documented equations, bit for bit.
struct Int8KernelDefinitionTests {
    /// A table of kernels. `@unchecked Sendable`: tables are constants of the program.
    struct Kernels: @unchecked Sendable, CustomTestStringConvertible {
        let table: UnsafePointer<int8_kernels>
        var testDescription: String { String(cString: table.pointee.name) }

        static let all = (0..<8).compactMap { int8_kernels_available($0).map(Kernels.init) }
    }

    /// What lies behind the last pixel may be read, and is multiplied by zero.
    private static let slackBytes = 64

    enum Values { case random, extreme }

    enum Residual: CaseIterable { case none, before, after }

    /// KernelNumbers of a layer: inputs, weights, and what follows the sums.
    private struct Layer {
        let shape: LayerCase
        let input, residual, zeroPoints: [UInt8]
        /// [filter][channel][tap]; per channel [channel][tap].
        let weight: [Int8]
        let multiplier, bias, inverseScale, zero, residualScale, residualZero: [Float]
        /// What is part of the sums in the rounded form.
        let starts: [Int32]
        let low, high: [UInt8]
        let isDepthwise: Bool

        init(_ shape: LayerCase, _ values: Values, depthwise: Bool) {
            self.shape = shape
            isDepthwise = depthwise
            var numbers = KernelNumbers(seed: UInt64(shape.filters * 1000 + shape.channels))
            let inputCount = shape.height * shape.width * shape.inputPitch + Int8KernelDefinitionTests.slackBytes
            input = values == .random ? numbers.bytes(inputCount) : [UInt8](repeating: 255, count: inputCount)
            residual = numbers.bytes(shape.outputPixels * shape.outputPitch)
            zeroPoints =
                values == .random ? numbers.bytes(shape.channels) : [UInt8](repeating: 0, count: shape.channels)
            let inputsPerFilter = depthwise ? 1 : shape.channels
            var weight: [Int8] = []
            for filter in 0..<shape.filters {
                let steps =
                    depthwise
                    ? (0..<shape.taps).map { _ in Int8.random(in: .min ... .max, using: &numbers) }
                    : Layer.steps(shape.steps, values, filter, &numbers)
                // Steps run over taps, then channels; the weights over channels, then taps.
                for channel in 0..<inputsPerFilter {
                    for tap in 0..<shape.taps { weight.append(steps[tap * inputsPerFilter + channel]) }
                }
            }
            self.weight = weight
            multiplier = numbers.floats(shape.filters, in: 1e-4...1e-3)
            bias = numbers.floats(shape.filters, in: -1...1)
            inverseScale = numbers.floats(shape.filters, in: 30...100)
            zero = (0..<shape.filters).map { _ in Float(Int.random(in: 0...255, using: &numbers)) }
            high = (0..<shape.filters).map { _ in UInt8.random(in: 150...255, using: &numbers) }
            low = (0..<shape.filters).map { _ in UInt8.random(in: 0...100, using: &numbers) }
            starts = (0..<shape.filters).map { _ in Int32.random(in: -5000...5000, using: &numbers) }
            residualScale = numbers.floats(shape.filters, in: 0.01...0.02)
            residualZero = (0..<shape.filters).map { _ in Float(Int.random(in: 0...255, using: &numbers)) }
        }

        /// Weights within the lane limit; the extreme ones reach it, all lanes positive or all negative.
        private static func steps(_ count: Int, _ values: Values, _ filter: Int, _ numbers: inout KernelNumbers)
            -> [Int8]
        {
            if values == .extreme {
                // Four steps share a lane: 127 + 1 + 0 + 0 and -128 + 0 + 0 + 0.
                return (0..<count).map { step in
                    switch step % 8 {
                    case 0, 2: filter % 2 == 0 ? 127 : -128
                    case 5, 7: filter % 2 == 0 ? 1 : 0
                    default: 0
                    }
                }
            }
            return (0..<count).map { _ in Int8.random(in: -32...32, using: &numbers) }
        }

        func sum(_ pixel: Int, _ filter: Int) -> Int32 {
            shape.sum(pixel, filter, input, zeroPoints: zeroPoints, weight, isDepthwise: isDepthwise)
        }

        /// In real units, before it is rounded to 8 bits.
        func real(_ pixel: Int, _ filter: Int, _ residualKind: Residual, _ activation: float_epilogue) -> Float {
            let r = Float(residual[pixel * shape.outputPitch + filter]) - residualZero[filter]
            var f = bias[filter].addingProduct(Float(sum(pixel, filter)), multiplier[filter])
            if residualKind == .before { f = f.addingProduct(r, residualScale[filter]) }
            f = activated(f, activation)
            if residualKind == .after { f = f.addingProduct(r, residualScale[filter]) }
            return f
        }

        func byte(_ real: Float, _ filter: Int) -> UInt8 {
            let y = zero[filter].addingProduct(real, inverseScale[filter])
            return bounded(y, filter)
        }

        /// A multiplication and an addition from the sum to the stored number. Multiplier and bias of its own: all bytes
        /// occur, and numbers beyond both ends.
        func linearByte(_ pixel: Int, _ filter: Int, _ residualKind: Residual) -> UInt8 {
            var y = (bias[filter] * 200).addingProduct(Float(sum(pixel, filter)), multiplier[filter] * 50)
            if residualKind == .before {
                y = y.addingProduct(Float(residual[pixel * shape.outputPitch + filter]), residualScale[filter])
            }
            return bounded(y, filter)
        }

        /// The sum with its start by one multiplication, rounded, and then the zero point.
        func roundedByte(_ pixel: Int, _ filter: Int) -> UInt8 {
            let steps = Float(sum(pixel, filter) + starts[filter]) * (multiplier[filter] * 50)
            return bounded(steps.rounded(.toNearestOrEven) + zero[filter], filter)
        }

        private func bounded(_ y: Float, _ filter: Int) -> UInt8 {
            max(min(UInt8(max(min(y, 255), 0).rounded(.toNearestOrEven)), high[filter]), low[filter])
        }

        private enum Form { case linear, rounded, function, float }

        /// `hold` keeps the arrays alive.
        private func epilogue(
            _ form: Form, _ residualKind: Residual, _ activation: float_epilogue, _ hold: inout [AnyObject]
        ) -> int8_epilogue {
            func floats(_ values: [Float]) -> UnsafePointer<Float>? {
                let padded = Padded(values, slack: .nan)
                hold.append(padded)
                return padded.base
            }
            let lows = Padded(low, slack: 255)
            let highs = Padded(high, slack: 0)
            hold += [lows, highs]
            return int8_epilogue(
                multiplier: floats(form == .linear || form == .rounded ? multiplier.map { $0 * 50 } : multiplier),
                bias: floats(form == .linear ? bias.map { $0 * 200 } : form == .rounded ? bias.map { _ in 0 } : bias),
                activation: activation, inverse_scale: form == .function ? floats(inverseScale) : nil,
                zero: form == .linear ? nil : floats(zero),
                low: lows.base, high: form == .float ? nil : highs.base, residual_scale: floats(residualScale),
                residual_zero: floats(residualZero), residual_after_activation: residualKind == .after ? 1 : 0,
                residual_words: 0, is_bounded: 1, low_words: nil, high_words: nil, tie: nil, ties: nil)
        }

        private func activated(_ x: Float, _ e: float_epilogue) -> Float {
            switch e.activation {
            case float_clamp: return min(max(x, e.low), e.high)
            case float_leaky_relu: return max(x, 0).addingProduct(e.low, min(x, 0))
            case float_hard_sigmoid: return max(min(e.high.addingProduct(e.low, x), 1), 0)
            case float_hard_swish: return x * max(min(Float(0.5).addingProduct(x, 1 / Float(6)), 1), 0)
            case float_sigmoid: return Float(1 / (1 + exp(-Double(x))))
            case float_silu: return Float(Double(x) / (1 + exp(-Double(x))))
            default: return Float(tanh(Double(x)))
            }
        }

        /// What the kernels make of it: bytes in two ranges cut at `cut` (pixels, or rows), bytes of the linear and of the rounded
        /// form in two ranges of filters, and floats. The first ranges are computed as if bounded, as they are, the others are not.
        func run(
            _ kernels: Kernels, _ residualKind: Residual, _ activation: float_epilogue, cut: Int
        ) -> (bytes: [UInt8], linear: [UInt8], rounded: [UInt8], floats: [Float]) {
            let table = kernels.table
            let outside = Padded((0..<shape.kernel).flatMap { _ in zeroPoints }, slack: 0xA5)
            let (weights, started) = (packed(table, nil), packed(table, starts))
            var hold: [AnyObject] = [outside, weights, started]
            var patches = [UInt8](repeating: 0xA5, count: int8_patch_bytes(table, shape.steps))
            let end = isDepthwise ? shape.outputHeight : shape.outputPixels
            var bytes = [UInt8](repeating: 0xEE, count: shape.outputPixels * shape.outputPitch)
            var (linear, rounded) = (bytes, bytes)
            var floats = [Float](repeating: -99, count: bytes.count)
            var task = int8_convolution()
            task.window = shape.window
            task.channels = shape.channels
            task.filters = shape.filters
            task.weights = UnsafeRawPointer(weights.base)
            task.outside = outside.base
            task.residual_pitch = shape.outputPitch
            residual.withUnsafeBufferPointer { residual in
                let added = residualKind == .none ? nil : residual.baseAddress
                task.epilogue = epilogue(.function, residualKind, activation, &hold)
                for range in [0..<min(cut, end), min(cut, end)..<end] {
                    call(table, &task, added, &bytes, &patches, range, 0..<shape.filters)
                    task.epilogue.is_bounded = 0
                }
                task.epilogue = epilogue(.linear, residualKind, activation, &hold)
                let half = min(Int(table.pointee.width) * 2, shape.filters)
                let parts = isDepthwise ? [0..<shape.filters] : [0..<half, half..<shape.filters]
                for filters in parts {
                    call(
                        table, &task, residualKind == .before ? added : nil, &linear, &patches, 0..<end, filters)
                    task.epilogue.is_bounded = 0
                }
                var integers = task
                integers.weights = UnsafeRawPointer(started.base)
                integers.epilogue = epilogue(.rounded, residualKind, activation, &hold)
                for filters in parts {
                    call(table, &integers, nil, &rounded, &patches, 0..<end, filters)
                    integers.epilogue.is_bounded = 0
                }
                task.epilogue = epilogue(.float, residualKind, activation, &hold)
                call(table, &task, added, &floats, &patches, 0..<end, 0..<shape.filters)
            }
            return withExtendedLifetime(hold) { (bytes, linear, rounded, floats) }
        }

        private func packed(_ table: UnsafePointer<int8_kernels>, _ starts: [Int32]?) -> Padded<UInt8> {
            var packed = [UInt8](
                repeating: 0,
                count: isDepthwise
                    ? int8_packed_depthwise_bytes(table, shape.channels, shape.taps)
                    : int8_packed_bytes(table, shape.filters, shape.steps))
            if isDepthwise {
                int8_pack_depthwise(table, weight, 0, zeroPoints, starts, shape.channels, shape.taps, &packed)
            } else {
                int8_pack_weights(
                    table, weight, zeroPoints, starts, shape.filters, shape.channels, shape.taps, &packed)
            }
            return Padded(packed, slack: 0xA5)
        }

        private func call(
            _ table: UnsafePointer<int8_kernels>, _ task: inout int8_convolution, _ residual: UnsafePointer<UInt8>?,
            _ output: UnsafeMutableRawPointer, _ patches: inout [UInt8], _ range: Range<Int>, _ filters: Range<Int>
        ) {
            if isDepthwise {
                table.pointee.depthwise(&task, input, residual, output, range.lowerBound, range.upperBound)
            } else {
                table.pointee.convolution(
                    &task, input, residual, output, &patches, range.lowerBound, range.upperBound, filters.lowerBound,
                    filters.upperBound)
            }
        }
    }

    /// Every output, and no byte in the gaps between pixels.
    private func check(_ layer: Layer, _ kernels: Kernels, _ residual: Residual, _ activation: float_epilogue) {
        let shape = layer.shape
        let result = layer.run(kernels, residual, activation, cut: 3)
        var wrong = 0
        for pixel in 0..<shape.outputPixels {
            for column in 0..<shape.outputPitch {
                let index = pixel * shape.outputPitch + column
                if column >= shape.filters {
                    let isKept =
                        [result.bytes, result.linear, result.rounded].allSatisfy { $0[index] == 0xEE }
                        && result.floats[index] == -99
                    wrong += isKept ? 0 : 1
                    continue
                }
                let real = layer.real(pixel, column, residual, activation)
                let isSame =
                    result.floats[index] == real && result.bytes[index] == layer.byte(real, column)
                    && result.linear[index] == layer.linearByte(pixel, column, residual)
                    && result.rounded[index] == layer.roundedByte(pixel, column)
                wrong += isSame ? 0 : 1
            }
        }
        #expect(wrong == 0, "\(shape), residual \(residual)")
    }

    @Test(arguments: Kernels.all, [Values.random, .extreme])
    func convolutionEqualsItsDefinition(_ kernels: Kernels, _ values: Values) {
        for shape in LayerCase.dense {
            let layer = Layer(shape, values, depthwise: false)
            for residual in Residual.allCases { check(layer, kernels, residual, plainEpilogue) }
        }
    }

    @Test(arguments: Kernels.all, [Values.random, .extreme])
    func depthwiseEqualsItsDefinition(_ kernels: Kernels, _ values: Values) {
        for shape in LayerCase.perChannel {
            let layer = Layer(shape, values, depthwise: true)
            for residual in Residual.allCases { check(layer, kernels, residual, plainEpilogue) }
        }
    }

    @Test(arguments: Kernels.all)
    func exactActivationsEqualTheirDefinition(_ kernels: Kernels) {
        let layer = Layer(LayerCase(channels: 9, filters: 19, kernel: 3, padding: 1), .random, depthwise: false)
        let other = Layer(LayerCase(channels: 19, filters: 19, kernel: 3, padding: 1), .random, depthwise: true)
        for activation in [
            float_epilogue(activation: float_clamp, low: 0, high: 1),
            float_epilogue(activation: float_leaky_relu, low: 0.1, high: 0),
            float_epilogue(activation: float_hard_sigmoid, low: 0.2, high: 0.5),
            float_epilogue(activation: float_hard_swish, low: 0, high: 0),
        ] {
            for residual in Residual.allCases {
                check(layer, kernels, residual, activation)
                check(other, kernels, residual, activation)
            }
        }
    }

    /// Exponentials differ from libm's in the last places, so the definition holds to 6e-7 of the value, but every
    /// instruction set must have the same bits.
    @Test(arguments: [float_sigmoid, float_silu, float_tanh])
    func smoothActivationsHaveTheSameBitsEverywhere(_ function: float_activation) {
        let activation = float_epilogue(activation: function, low: 0, high: 0)
        for (shape, depthwise) in [
            (LayerCase(channels: 21, filters: 37, kernel: 3, padding: 1), false),
            (LayerCase(channels: 37, filters: 37, kernel: 3, padding: 1), true),
        ] {
            let layer = Layer(shape, .random, depthwise: depthwise)
            let results = Kernels.all.map { layer.run($0, .after, activation, cut: 5) }
            for result in results {
                #expect(result.bytes == results[0].bytes)
                #expect(result.linear == results[0].linear)
                #expect(result.floats.map(\.bitPattern) == results[0].floats.map(\.bitPattern))
            }
            var largest: Float = 0
            for pixel in 0..<shape.outputPixels {
                for filter in 0..<shape.filters {
                    let expected = layer.real(pixel, filter, .after, activation)
                    let stored = Int(results[0].bytes[pixel * shape.outputPitch + filter])
                    #expect(abs(stored - Int(layer.byte(expected, filter))) <= 1)
                    let difference = abs(results[0].floats[pixel * shape.outputPitch + filter] - expected)
                    largest = max(largest, difference / max(1, abs(expected)))
                }
            }
            #expect(largest < 6e-7)
        }
    }

    @Test(arguments: Kernels.all)
    func maximumPoolEqualsItsDefinition(_ kernels: Kernels) {
        for shape in LayerCase.perChannel {
            var numbers = KernelNumbers(seed: UInt64(shape.channels))
            let input = numbers.bytes(shape.height * shape.width * shape.inputPitch + Self.slackBytes)
            var output = [UInt8](repeating: 0, count: shape.outputPixels * shape.outputPitch)
            var expected = output
            for pixel in 0..<shape.outputPixels {
                for channel in 0..<shape.channels {
                    let values = (0..<shape.taps).compactMap { shape.source(pixel, $0) }.map { input[$0 + channel] }
                    expected[pixel * shape.outputPitch + channel] = values.max() ?? 0
                }
            }
            var pool = float_pool(
                window: shape.window, channels: shape.channels, kind: float_pool_maximum, counts_padding: 0,
                pad_bottom: 0, pad_right: 0)
            kernels.table.pointee.max_pool(&pool, input, &output, 0, 1)
            kernels.table.pointee.max_pool(&pool, input, &output, 1, shape.outputHeight)
            #expect(output == expected, "\(shape)")
        }
    }

    @Test(arguments: Kernels.all)
    func averagePoolEqualsItsDefinition(_ kernels: Kernels) {
        for shape in LayerCase.perChannel {
            var numbers = KernelNumbers(seed: UInt64(shape.channels))
            let input = numbers.bytes(shape.height * shape.width * shape.inputPitch)
            let multiplier = numbers.floats(shape.channels, in: 0.5...1.5)
            let bias = numbers.floats(shape.channels, in: -50...50)
            var output = [UInt8](repeating: 0, count: shape.outputPixels * shape.outputPitch)
            var expected = output
            for pixel in 0..<shape.outputPixels {
                for channel in 0..<shape.channels {
                    let values = (0..<shape.taps).compactMap { shape.source(pixel, $0) }.map { input[$0 + channel] }
                    let sum = values.reduce(0) { $0 + Int($1) }
                    let mean = Float(sum) * (values.isEmpty ? 0 : 1 / Float(values.count))
                    let y = bias[channel].addingProduct(mean, multiplier[channel])
                    expected[pixel * shape.outputPitch + channel] = UInt8(min(max(y, 0), 255).rounded(.toNearestOrEven))
                }
            }
            var pool = float_pool(
                window: shape.window, channels: shape.channels, kind: float_pool_average, counts_padding: 0,
                pad_bottom: 0, pad_right: 0)
            kernels.table.pointee.average_pool(&pool, multiplier, bias, input, &output, 0, shape.outputHeight)
            #expect(output == expected, "\(shape)")
        }
    }

    /// Rows of 1 to 40 numbers, three of them, four bytes apart.
    @Test(arguments: Kernels.all)
    func conversionsEqualTheirDefinition(_ kernels: Kernels) {
        let table = kernels.table.pointee
        for count in 1...40 {
            var numbers = KernelNumbers(seed: UInt64(count))
            let (rows, pitch) = (3, count + 4)
            let a = numbers.bytes(rows * pitch), b = numbers.bytes(rows * pitch)
            let scale = numbers.floats(count, in: 0.01...0.1), inverse = numbers.floats(count, in: 5...50)
            let zero = (0..<count).map { _ in Float(Int.random(in: 0...255, using: &numbers)) }
            let zeroA = (0..<count).map { _ in Float(Int.random(in: 0...255, using: &numbers)) }
            // Some of them far out of range.
            let reals = numbers.floats(rows * pitch, in: -20...20).enumerated().map { $0 % 11 == 0 ? $1 * 1e30 : $1 }
            var bytes = [[UInt8]](repeating: [UInt8](repeating: 9, count: rows * pitch), count: 3)
            var expected = bytes
            var floats = [Float](repeating: 9, count: rows * pitch)
            var expectedFloats = floats
            func byte(_ y: Float) -> UInt8 { UInt8(min(max(y, 0), 255).rounded(.toNearestOrEven)) }
            for row in 0..<rows {
                for c in 0..<count {
                    let i = row * pitch + c
                    expected[0][i] = byte(zero[c].addingProduct(Float(a[i]), scale[c] * 10))
                    let second = (Float(b[i]) - zero[c]) * (scale[c] * 2)
                    let sum = min(max(second.addingProduct(Float(a[i]) - zeroA[c], scale[c]), 0), 6)
                    expected[1][i] = byte(zero[c].addingProduct(sum, inverse[c]))
                    expected[2][i] = byte((reals[i] / scale[c]).rounded(.toNearestOrEven) + zero[c])
                    expectedFloats[i] = (Float(a[i]) - zero[c]) * scale[c]
                }
            }
            table.requantize(scale.map { $0 * 10 }, zero, a, pitch, &bytes[0], pitch, rows, count)
            let arrays = [inverse, zero, scale.map { $0 * 2 }].map { Padded($0, slack: .nan) }
            var epilogue = int8_epilogue()
            epilogue.activation = float_epilogue(activation: float_clamp, low: 0, high: 6)
            epilogue.inverse_scale = arrays[0].base
            epilogue.zero = arrays[1].base
            epilogue.residual_scale = arrays[2].base
            epilogue.residual_zero = arrays[1].base
            table.add(&epilogue, scale, zeroA, a, pitch, b, pitch, &bytes[1], pitch, rows, count)
            withExtendedLifetime(arrays) {}
            table.quantize(scale, zero, reals, pitch, &bytes[2], pitch, rows, count)
            table.dequantize(scale, zero, a, pitch, &floats, pitch, rows, count)
            #expect(bytes == expected, "\(count) numbers")
            #expect(floats == expectedFloats, "\(count) numbers")
        }
    }

    /// Planes of 1 to 150 pixels, pixels of up to 4 channels, one byte apart.
    @Test(arguments: Kernels.all)
    func planesBecomePixels(_ kernels: Kernels) {
        for (channels, pixels) in [(1, 1), (2, 15), (3, 16), (3, 17), (3, 150), (4, 64), (4, 65)] {
            var numbers = KernelNumbers(seed: UInt64(pixels))
            let x = numbers.floats(channels * pixels, in: -20...20)
            let scale = numbers.floats(channels, in: 0.01...0.1)
            let zero = (0..<channels).map { Float($0 * 60) }
            var y = [UInt8](repeating: 9, count: pixels * (channels + 1))
            var expected = y
            for pixel in 0..<pixels {
                for c in 0..<channels {
                    let real = (x[c * pixels + pixel] / scale[c]).rounded(.toNearestOrEven) + zero[c]
                    expected[pixel * (channels + 1) + c] = UInt8(min(max(real, 0), 255))
                }
            }
            kernels.table.pointee.quantize_planes(scale, zero, x, pixels, &y, channels + 1, pixels, channels)
            #expect(y == expected, "\(channels) channels, \(pixels) pixels")
        }
    }

    @Test func laneLimitIsTheLargestThatCannotOverflow() {
        // Steps 0, 1, 4 and 5 of eight share an int16 lane: 255 * 128 = 32640 fits, 255 * 129 does not.
        #expect(int8_lane_limit_holds([127, 1, 0, 0, 0, 0, 0, 0], 8) == 1)
        #expect(int8_lane_limit_holds([127, 0, 0, 0, 1, 1, 0, 0], 8) == 0)
        #expect(int8_lane_limit_holds([127, 0, 127, 0, -128, 0, -128, 0], 8) == 1)
        #expect(int8_lane_limit_holds([-128, 0, 0, 0, 0, -1, 0, 0], 8) == 0)
        #expect(int8_lane_limit_holds([0, 0, 0, 0, 0, 0, 0, 0, 127, 127], 10) == 0)
        #expect(int8_lane_limit_holds([0, 0, 0, 0, 127, 0, 0, 0, 127], 9) == 1)
    }
}
