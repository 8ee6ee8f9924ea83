// SPDX-License-Identifier: Apache-2.0

import CKernels
import TestSupport
import Testing

/// Every int8 kernel of every instruction set that this machine has, against the scalar one: the same bytes.
struct Int8KernelTests {
    /// One implementation of all kernels. `@unchecked Sendable`: a constant of the program.
    struct Kernels: @unchecked Sendable, CustomTestStringConvertible {
        let table: UnsafePointer<int8_kernels>
        var testDescription: String { String(cString: table.pointee.name) }

        static let all = (0..<8).compactMap { int8_kernels_available(Int32($0)).map(Kernels.init) }
        static var scalar: Kernels { all[all.count - 1] }
    }

    /// Shape of a layer and what follows it.
    struct Layer: Sendable, CustomTestStringConvertible {
        var height = 7
        var width = 9
        var channels: Int
        var filters: Int
        var kernel = 1
        var stride = 1
        var padding = 0
        var activation = float_clamp
        var isFloat = false
        var hasResidual = false
        /// Activations and weights at the ends of their ranges.
        var isExtreme = false

        var testDescription: String {
            "\(height)x\(width) C\(channels) K\(filters) k\(kernel) s\(stride) p\(padding) a\(activation.rawValue)"
                + (isFloat ? " float" : "") + (hasResidual ? " residual" : "") + (isExtreme ? " extreme" : "")
        }

        var outputHeight: Int { (height + 2 * padding - kernel) / stride + 1 }
        var outputWidth: Int { (width + 2 * padding - kernel) / stride + 1 }
    }

    /// Every tail of channels, filters and pixels around the widths of the vectors, and each activation.
    static let layers: [Layer] = {
        var layers: [Layer] = []
        for channels in [1, 3, 4, 5, 7, 8, 12, 16, 33] {
            for filters in [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 70] {
                layers.append(Layer(channels: channels, filters: filters))
            }
        }
        for width in 1...10 { layers.append(Layer(height: 1, width: width, channels: 8, filters: 40)) }
        for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (5, 1, 2), (2, 2, 0), (7, 2, 3)] {
            layers.append(Layer(channels: 4, filters: 20, kernel: kernel, stride: stride, padding: padding))
            layers.append(
                Layer(channels: 19, filters: 33, kernel: kernel, stride: stride, padding: padding, isFloat: true))
        }
        for activation in [
            float_clamp, float_leaky_relu, float_sigmoid, float_silu, float_hard_sigmoid, float_hard_swish, float_tanh,
        ] {
            layers.append(Layer(channels: 16, filters: 37, activation: activation))
            layers.append(Layer(channels: 16, filters: 37, activation: activation, isFloat: true, hasResidual: true))
        }
        // Windows read in place, windows over the edge, and blocks of several tiles.
        for (channels, filters) in [(8, 64), (16, 24), (40, 33)] {
            for stride in [1, 2] {
                layers.append(
                    Layer(
                        height: 23, width: 19, channels: channels, filters: filters, kernel: 3, stride: stride,
                        padding: 1))
            }
        }
        layers.append(Layer(height: 24, width: 24, channels: 16, filters: 16))
        layers.append(Layer(channels: 64, filters: 33, kernel: 3, padding: 1, isExtreme: true))
        layers.append(Layer(channels: 255, filters: 16, isExtreme: true))
        return layers
    }()

    @Test(arguments: Kernels.all, layers)
    func convolutionGivesTheSameBytesAsScalar(kernels: Kernels, layer: Layer) {
        #expect(Convolution(layer, seed: 1).run(kernels) == Convolution(layer, seed: 1).run(.scalar))
    }

    @Test(arguments: Kernels.all, [1, 5, 8, 15, 16, 17, 40, 64, 97])
    func depthwiseGivesTheSameBytesAsScalar(kernels: Kernels, channels: Int) {
        for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (5, 1, 2)] {
            let layer = Layer(
                channels: channels, filters: channels, kernel: kernel, stride: stride, padding: padding,
                activation: channels % 2 == 0 ? float_silu : float_clamp)
            let work = Convolution(layer, isDepthwise: true, seed: 2)
            #expect(work.run(kernels) == work.run(.scalar))
        }
    }

    @Test func scalarConvolutionIsTheDefinition() {
        let layer = Layer(channels: 5, filters: 6, kernel: 3, stride: 2, padding: 1, isFloat: true)
        let work = Convolution(layer, seed: 3)
        let bytes = work.run(.scalar)
        let actual = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        let expected = work.definition()
        for (a, b) in zip(actual, expected) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
        #expect(actual.count == expected.count)
    }

    @Test func laneLimitIsFoundWhereAnInt16LaneCouldOverflow() {
        func holds(_ weights: [Int8]) -> Bool { int8_lane_limit_holds(weights, weights.count) != 0 }
        #expect(holds([64, 64, 127, 1, 0, 0, 0, 0]))
        #expect(!holds([64, 64, 0, 0, 1, 0, 0, 0]))
        #expect(holds([64, 64, 0, 0, -64, -64, 0, 0]))
        #expect(!holds([0, 0, -65, -64, 0, 0, 0, 0]))
        #expect(holds([64, 64, 0, 0, 0, 0, 0, 0, 64, 64]))
    }

    /// A layer with its numbers.
    struct Convolution {
        private let layer: Layer
        private let isDepthwise: Bool
        private var input: [UInt8]
        private var weights: [Int8]
        private let zeroPoints: [UInt8]
        private var multiplier: [Float] = []
        private var bias: [Float] = []
        private var residual: [UInt8]

        init(_ layer: Layer, isDepthwise: Bool = false, seed: UInt64) {
            self.layer = layer
            self.isDepthwise = isDepthwise
            var random = Random(state: seed)
            let taps = layer.kernel * layer.kernel
            input = (0..<layer.height * layer.width * layer.channels).map { _ in
                layer.isExtreme ? (random.next(2) == 0 ? 0 : 255) : UInt8(random.next(256))
            }
            input += (0..<64).map { _ in UInt8(random.next(256)) }
            zeroPoints = (0..<layer.channels).map { _ in UInt8(random.next(256)) }
            // Within the lane limit: four weights of at most 32 in each lane.
            let bound = isDepthwise ? 127 : 32
            let perFilter = isDepthwise ? taps : taps * layer.channels
            weights = (0..<layer.filters * perFilter).map { _ in
                layer.isExtreme ? (random.next(2) == 0 ? -32 : 32) : Int8(random.next(2 * bound + 1) - bound)
            }
            for _ in 0..<layer.filters {
                multiplier.append(Float(random.next(1000) + 1) * 1e-6)
                bias.append(Float(random.next(2000) - 1000) * 1e-3)
            }
            residual = (0..<layer.outputHeight * layer.outputWidth * layer.filters).map { _ in UInt8(random.next(256)) }
        }

        func run(_ kernels: Kernels) -> [UInt8] {
            let table = kernels.table.pointee
            let taps = layer.kernel * layer.kernel
            let steps = taps * layer.channels
            let pixels = layer.outputHeight * layer.outputWidth
            var packed = [UInt8](
                repeating: 0,
                count: isDepthwise
                    ? int8_packed_depthwise_bytes(kernels.table, layer.channels, taps)
                    : int8_packed_bytes(kernels.table, layer.filters, steps))
            if isDepthwise {
                int8_pack_depthwise(kernels.table, weights, 0, zeroPoints, nil, layer.channels, taps, &packed)
            } else {
                int8_pack_weights(
                    kernels.table, weights, zeroPoints, nil, layer.filters, layer.channels, taps, &packed)
            }
            let outside = Padded((0..<layer.kernel).flatMap { _ in zeroPoints }, slack: 0)
            let weights = Padded(packed, slack: 0)
            func repeated(_ value: Float) -> Padded<Float> {
                Padded([Float](repeating: value, count: layer.filters), slack: 0)
            }
            let arrays = [
                Padded(multiplier, slack: 0), Padded(bias, slack: 0), repeated(40), repeated(128), repeated(0.01),
                repeated(100),
            ]
            let low = Padded([UInt8](repeating: 0, count: layer.filters), slack: 0)
            let high = Padded([UInt8](repeating: 255, count: layer.filters), slack: 0)
            var output = [UInt8](repeating: 7, count: pixels * layer.filters * (layer.isFloat ? 4 : 1))
            var patches = [UInt8](repeating: 0, count: int8_patch_bytes(kernels.table, steps))
            var task = int8_convolution()
            task.window = float_window(
                input_height: layer.height, input_width: layer.width, input_pitch: layer.channels,
                output_height: layer.outputHeight, output_width: layer.outputWidth, output_pitch: layer.filters,
                kernel_height: layer.kernel, kernel_width: layer.kernel, stride_y: layer.stride,
                stride_x: layer.stride, dilation_y: 1, dilation_x: 1, pad_top: layer.padding,
                pad_left: layer.padding)
            task.channels = layer.channels
            task.filters = layer.filters
            task.weights = UnsafeRawPointer(weights.base)
            task.outside = outside.base
            task.residual_pitch = layer.filters
            task.epilogue = int8_epilogue(
                multiplier: arrays[0].base, bias: arrays[1].base,
                activation: float_epilogue(
                    activation: layer.activation, low: layer.activation == float_clamp ? -2 : 0.2,
                    high: layer.activation == float_clamp ? 2 : 0.5),
                inverse_scale: arrays[2].base, zero: arrays[3].base, low: low.base,
                high: layer.isFloat ? nil : high.base, residual_scale: arrays[4].base, residual_zero: arrays[5].base,
                residual_after_activation: 0, residual_words: 0, is_bounded: 1, low_words: nil, high_words: nil,
                tie: nil, ties: nil)
            let added = layer.hasResidual ? residual : nil
            if isDepthwise {
                table.depthwise(&task, input, added, &output, 0, layer.outputHeight)
            } else {
                // In two parts, as threads would do it.
                table.convolution(&task, input, added, &output, &patches, 0, pixels / 2, 0, layer.filters)
                table.convolution(&task, input, added, &output, &patches, pixels / 2, pixels, 0, layer.filters)
            }
            withExtendedLifetime((outside, weights, arrays, low, high)) {}
            return output
        }

        /// The same in double, from the definition; without activation bounds being reached.
        func definition() -> [Float] {
            var result: [Float] = []
            for y in 0..<layer.outputHeight {
                for x in 0..<layer.outputWidth {
                    for filter in 0..<layer.filters {
                        var sum = 0
                        for c in 0..<layer.channels {
                            for ky in 0..<layer.kernel {
                                for kx in 0..<layer.kernel {
                                    let (iy, ix) = (
                                        y * layer.stride + ky - layer.padding, x * layer.stride + kx - layer.padding
                                    )
                                    guard (0..<layer.height).contains(iy), (0..<layer.width).contains(ix) else {
                                        continue
                                    }
                                    let value = Int(input[(iy * layer.width + ix) * layer.channels + c])
                                    let weight = weights[
                                        ((filter * layer.channels + c) * layer.kernel + ky) * layer.kernel + kx]
                                    sum += (value - Int(zeroPoints[c])) * Int(weight)
                                }
                            }
                        }
                        let value = Float(Double(sum) * Double(multiplier[filter]) + Double(bias[filter]))
                        result.append(min(max(value, -2), 2))
                    }
                }
            }
            return result
        }
    }

    struct Random {
        private var generator: SeededGenerator

        init(state: UInt64) { generator = SeededGenerator(state: state) }

        mutating func next(_ bound: Int) -> Int { Int(generator.next() % UInt64(bound)) }
    }
}
