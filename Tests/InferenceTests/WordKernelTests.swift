// SPDX-License-Identifier: Apache-2.0
import CKernels
import Testing

/// The kernels over int16 of each instruction set against loops written from the documented equations, bit for bit.
struct WordKernelTests {
    typealias Kernels = Int8KernelDefinitionTests.Kernels

    enum Values { case random, extreme }

    /// What is stored: uint8 or int16; and of results, float32 too.
    enum Stored: CaseIterable { case bytes, words, floats }

    /// What is added to the sums.
    enum Added: Int, CaseIterable { case nothing, bytes, words }

    /// Numbers of a layer. Weights are as large as the sums allow.
    private struct Layer {
        let shape: LayerCase
        let isDepthwise: Bool
        let takesWords: Bool
        let input, zeroPoints: [Int16]
        /// [filter][channel][tap]; per channel [channel][tap].
        let weight: [Int16]
        let multiplier, bias: [Float]
        let low, high: [Int16]
        /// What may be added, as far as bytes are too few for it, and in which units.
        let residual: [Int16]
        let residualScale: [Float]

        init(_ shape: LayerCase, _ values: Values, isDepthwise: Bool, takesWords: Bool) {
            self.shape = shape
            self.isDepthwise = isDepthwise
            self.takesWords = takesWords
            var numbers = KernelNumbers(seed: UInt64(shape.filters * 1000 + shape.channels))
            let range: ClosedRange<Int16> = takesWords ? -32768...32767 : 0...255
            func any(_ range: ClosedRange<Int16>) -> Int16 { Int16.random(in: range, using: &numbers) }
            func end(_ range: ClosedRange<Int16>) -> Int16 { any(0...1) == 0 ? range.lowerBound : range.upperBound }
            input = (0..<(shape.height * shape.width * shape.inputPitch)).map { _ in
                values == .random ? any(range) : end(range)
            }
            zeroPoints = (0..<shape.channels).map { _ in values == .random ? any(takesWords ? 0...4095 : 0...255) : 0 }
            let steps = isDepthwise ? shape.taps : shape.steps
            // Weights of dense layers over bytes are int8 within the lane limit.
            let most = Int16(isDepthwise || takesWords ? min(58000 / steps, 32767) : 32)
            weight = (0..<(shape.filters * steps)).map { _ in
                values == .random ? any(-most...most) : end(-most...most)
            }
            multiplier = numbers.floats(shape.filters, in: 1e-5...1e-4)
            bias = numbers.floats(shape.filters, in: -100...300)
            low = (0..<shape.filters).map { _ in any(0...60) }
            high = (0..<shape.filters).map { _ in any(100...255) }
            residual = (0..<(shape.outputPixels * shape.outputPitch)).map { _ in any(-32768...32767) }
            residualScale = numbers.floats(shape.filters, in: 1e-4...3e-3)
        }

        func added(_ adds: Added, _ pixel: Int, _ filter: Int) -> Float {
            let stored = residual[pixel * shape.outputPitch + filter]
            return adds == .bytes ? Float(UInt8(truncatingIfNeeded: stored)) : Float(stored)
        }

        func real(_ pixel: Int, _ filter: Int, adds: Added) -> Float {
            let sum = shape.sum(
                pixel, filter, input, zeroPoints: zeroPoints, weight, isDepthwise: isDepthwise)
            let real = bias[filter].addingProduct(Float(sum), multiplier[filter])
            return adds == .nothing ? real : real.addingProduct(added(adds, pixel, filter), residualScale[filter])
        }

        func bounds(_ makes: Stored, _ filter: Int) -> ClosedRange<Float> {
            // Of words, wider ones.
            let factor: Float = makes == .words ? 100 : 1
            return (Float(low[filter]) * factor)...(Float(high[filter]) * factor)
        }

        func run(_ kernels: Kernels, makes: Stored, adds: Added, output: UnsafeMutableRawPointer) {
            let table = kernels.table
            let element = takesWords ? 2 : 1
            let stored = Padded(bytes(input), slack: 0xA5)
            let outside = Padded(bytes((0..<shape.kernel).flatMap { _ in zeroPoints }), slack: 0xA5)
            let packed = Padded(packed(table), slack: 0xA5)
            let factors = Padded(multiplier, slack: .nan)
            let offsets = Padded(bias, slack: .nan)
            let scale: Int16 = makes == .words ? 100 : 1
            let lowWords = Padded(low.map { $0 * scale }, slack: 0)
            let highWords = Padded(high.map { $0 * scale }, slack: 0)
            let lowBytes = Padded(low.map { UInt8($0) }, slack: 0)
            let highBytes = Padded(high.map { UInt8($0) }, slack: 0)
            var task = int8_convolution()
            task.window = shape.window
            task.window.input_pitch *= element
            task.channels = shape.channels * element
            task.filters = shape.filters
            task.takes_words = takesWords ? 1 : 0
            task.weights = UnsafeRawPointer(packed.base)
            task.outside = outside.base
            task.epilogue.multiplier = factors.base
            task.epilogue.bias = offsets.base
            task.epilogue.activation = plainEpilogue
            let second = Padded(
                adds == .bytes
                    ? residual.map { UInt8(truncatingIfNeeded: $0) } : residual.withUnsafeBytes { Array($0) },
                slack: 0xA5)
            let secondScale = Padded(residualScale, slack: .nan)
            task.residual_pitch = shape.outputPitch * (adds == .words ? 2 : 1)
            task.epilogue.residual_scale = secondScale.base
            task.epilogue.residual_words = adds == .words ? 1 : 0
            task.epilogue.is_bounded = 1
            switch makes {
            case .bytes: (task.epilogue.low, task.epilogue.high) = (lowBytes.base, highBytes.base)
            case .words: (task.epilogue.low_words, task.epilogue.high_words) = (lowWords.base, highWords.base)
            case .floats: break
            }
            let held: [AnyObject] = [
                stored, outside, packed, factors, offsets, lowWords, highWords, lowBytes, highBytes, second,
                secondScale,
            ]
            withExtendedLifetime(held) {
                let end = isDepthwise ? shape.outputHeight : shape.outputPixels
                var patches = [UInt8](repeating: 0xA5, count: int8_patch_bytes(table, shape.steps * element))
                // In two parts, the first of an odd number of rows.
                for range in [0..<min(3, end), min(3, end)..<end] {
                    if isDepthwise {
                        table.pointee.depthwise_words(&task, stored.base, output, range.lowerBound, range.upperBound)
                    } else {
                        table.pointee.convolution(
                            &task, stored.base, adds == .nothing ? nil : second.base, output, &patches,
                            range.lowerBound, range.upperBound, 0,
                            shape.filters)
                    }
                }
            }
        }

        private func packed(_ table: UnsafePointer<int8_kernels>) -> [UInt8] {
            let dense = int8_packed_bytes(table, shape.filters, shape.steps * (takesWords ? 2 : 1))
            var result = [UInt8](
                repeating: 0, count: isDepthwise ? int8_packed_depthwise_words_bytes(table, shape.channels) : dense)
            if isDepthwise {
                int8_pack_depthwise_words(table, weight, zeroPoints, shape.channels, &result)
            } else if takesWords {
                int8_pack_words(
                    table, weight, zeroPoints, shape.filters, shape.channels, shape.taps, &result)
            } else {
                int8_pack_weights(
                    table, weight.map { Int8($0) }, zeroPoints.map { UInt8($0) }, nil, shape.filters, shape.channels,
                    shape.taps, &result)
            }
            return result
        }

        private func bytes(_ numbers: [Int16]) -> [UInt8] {
            takesWords ? numbers.withUnsafeBytes { Array($0) } : numbers.map { UInt8($0) }
        }
    }

    /// Every output, and no element in the gaps between pixels.
    private func check(_ layer: Layer, _ kernels: Kernels, makes: Stored, adds: Added = .nothing) {
        let shape = layer.shape
        let count = shape.outputPixels * shape.outputPitch
        func wrong<Element: Equatable>(_ untouched: Element, _ expected: (Int, Int) -> Element) -> Int {
            var output = [Element](repeating: untouched, count: count)
            output.withUnsafeMutableBytes { bytes in
                if let base = bytes.baseAddress { layer.run(kernels, makes: makes, adds: adds, output: base) }
            }
            return output.indices.count { index in
                let (pixel, column) = index.quotientAndRemainder(dividingBy: shape.outputPitch)
                return output[index] != (column < shape.filters ? expected(pixel, column) : untouched)
            }
        }
        func bounded(_ pixel: Int, _ filter: Int) -> Float {
            let bounds = layer.bounds(makes, filter)
            let nearest = layer.real(pixel, filter, adds: adds).rounded(.toNearestOrEven)
            return max(min(nearest, bounds.upperBound), bounds.lowerBound)
        }
        let differences =
            switch makes {
            case .bytes: wrong(0xEE as UInt8) { UInt8(bounded($0, $1)) }
            case .words: wrong(-99 as Int16) { Int16(bounded($0, $1)) }
            case .floats: wrong(-99 as Float) { layer.real($0, $1, adds: adds) }
            }
        #expect(differences == 0, "\(shape), words \(layer.takesWords) to \(makes), added \(adds)")
    }

    @Test(arguments: Kernels.all, [Values.random, .extreme])
    func convolutionEqualsItsDefinition(_ kernels: Kernels, _ values: Values) {
        for shape in LayerCase.dense {
            for makes in Stored.allCases {
                check(Layer(shape, values, isDepthwise: false, takesWords: true), kernels, makes: makes)
            }
            check(Layer(shape, values, isDepthwise: false, takesWords: false), kernels, makes: .words)
        }
    }

    @Test(arguments: Kernels.all)
    func residualsOfEitherFormAreAdded(_ kernels: Kernels) {
        for shape in LayerCase.dense {
            for takesWords in [true, false] {
                let layer = Layer(shape, .random, isDepthwise: false, takesWords: takesWords)
                for makes in [Stored.bytes, .words] {
                    check(layer, kernels, makes: makes, adds: .bytes)
                    check(layer, kernels, makes: makes, adds: .words)
                }
            }
        }
    }

    @Test(arguments: Kernels.all)
    func theLargestWordsOfWindowsAreFound(_ kernels: Kernels) {
        for channels in [1, 7, 16, 35] {
            let shape = LayerCase(
                channels: channels, filters: channels, height: 5, width: 8, kernel: 3, stride: 2, padding: 1, gap: 3)
            var numbers = KernelNumbers(seed: UInt64(channels))
            let input = (0..<(shape.height * shape.width * shape.inputPitch)).map { _ in
                Int16.random(in: -32768 ... -1, using: &numbers)
            }
            var pool = float_pool()
            pool.window = shape.window
            pool.window.input_pitch *= 2
            pool.channels = channels
            var output = [Int16](repeating: 99, count: shape.outputPixels * shape.outputPitch)
            let stored = Padded(input, slack: 32767)
            withExtendedLifetime(stored) {
                kernels.table.pointee.max_pool_words(&pool, stored.base, &output, 0, 1)
                kernels.table.pointee.max_pool_words(&pool, stored.base, &output, 1, shape.outputHeight)
            }
            for pixel in 0..<shape.outputPixels {
                for channel in 0..<shape.outputPitch {
                    let window = (0..<shape.taps).compactMap { shape.source(pixel, $0) }.map { input[$0 + channel] }
                    let expected = channel < channels ? window.max() : 99
                    #expect(output[pixel * shape.outputPitch + channel] == expected)
                }
            }
        }
    }

    @Test(arguments: Kernels.all, [Values.random, .extreme])
    func depthwiseEqualsItsDefinition(_ kernels: Kernels, _ values: Values) {
        var shapes = LayerCase.perChannel.filter { $0.kernel == 3 && $0.dilation == 1 }
        shapes += [48, 53, 64].map {
            LayerCase(channels: $0, filters: $0, height: 7, width: 11, kernel: 3, padding: 1, gap: 3)
        }
        for shape in shapes {
            for makes in Stored.allCases {
                for takesWords in [true, false] {
                    check(Layer(shape, values, isDepthwise: true, takesWords: takesWords), kernels, makes: makes)
                }
            }
        }
    }

    @Test func sumsThatFitAreToldFromThoseThatDoNot() {
        let fitting = [Int16](repeating: 582, count: 100)
        #expect(int8_word_sums_hold(fitting + fitting.map { -$0 }, 2, 100) == 1)
        #expect(int8_word_sums_hold(fitting + fitting.map { $0 + 1 }, 2, 100) == 0)
    }
}
