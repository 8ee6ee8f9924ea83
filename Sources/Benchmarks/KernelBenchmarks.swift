// SPDX-License-Identifier: Apache-2.0

import CKernels

/// The int8 kernels of every instruction set that this machine has, over shapes of common networks: billions of
/// multiplications a second, beside how many the machine makes when operands lie in the first-level cache.
struct KernelBenchmarks {
    private enum Form {
        case dense, depthwise, winograd
        /// Of int16 inputs and weights.
        case denseWords, depthwiseWords

        var isDepthwise: Bool { self == .depthwise || self == .depthwiseWords }
        var elementBytes: Int { self == .denseWords || self == .depthwiseWords ? 2 : 1 }
    }

    /// A layer over a square image, padded to keep its extent.
    private struct Shape {
        let name: String
        let form: Form
        let channels, filters, extent: Int
        var kernel = 1
        var stride = 1

        var taps: Int { kernel * kernel }
        var steps: Int { form.isDepthwise ? taps : taps * channels }
        var output: Int { (extent + 2 * (kernel / 2) - kernel) / stride + 1 }
        /// Multiplications of the definition, whatever the kernel makes of them.
        var work: Int { output * output * filters * steps }
    }

    private static let shapes = [
        Shape(name: "first 3x3 stride 2", form: .dense, channels: 3, filters: 32, extent: 224, kernel: 3, stride: 2),
        Shape(name: "1x1 of few channels", form: .dense, channels: 16, filters: 96, extent: 56),
        Shape(name: "1x1", form: .dense, channels: 384, filters: 64, extent: 14),
        Shape(name: "3x3", form: .dense, channels: 128, filters: 128, extent: 14, kernel: 3),
        Shape(name: "3x3 stride 2", form: .dense, channels: 64, filters: 64, extent: 28, kernel: 3, stride: 2),
        Shape(name: "3x3 Winograd", form: .winograd, channels: 64, filters: 64, extent: 28, kernel: 3),
        Shape(name: "fully connected", form: .dense, channels: 1280, filters: 1000, extent: 1),
        Shape(name: "depthwise 3x3", form: .depthwise, channels: 192, filters: 192, extent: 28, kernel: 3),
        Shape(
            name: "depthwise 3x3 of few channels", form: .depthwise, channels: 32, filters: 32, extent: 56, kernel: 3),
        Shape(
            name: "depthwise 3x3 stride 2", form: .depthwise, channels: 96, filters: 96, extent: 56, kernel: 3,
            stride: 2),
        Shape(name: "1x1 of 16 bits", form: .denseWords, channels: 64, filters: 64, extent: 56),
        Shape(
            name: "depthwise 3x3 of 16 bits", form: .depthwiseWords, channels: 64, filters: 64, extent: 56, kernel: 3),
    ]

    func run(_ bench: Bench) {
        var index: Int32 = 0
        while let table = int8_kernels_available(index) {
            run(table, bench)
            index += 1
        }
    }

    private func run(_ table: UnsafePointer<int8_kernels>, _ bench: Bench) {
        let kernels = String(cString: table.pointee.name)
        // Rounds of one tile; enough to forget the clock.
        let rounds = bench.isQuick ? 1000 : 1_000_000
        let ceiling = bench.samples("kernels \(kernels): ceiling", unit: "GMAC/s") {
            var work = 0
            let time = ContinuousClock().measure { work = table.pointee.peak(rounds) }
            return Bench.nanoseconds(time) / Double(work) * 1e9
        }
        for shape in Self.shapes {
            let name =
                "kernels \(kernels): \(shape.name) \(shape.channels)-\(shape.filters) \(shape.extent)x\(shape.extent)"
            guard bench.wants(name) else { continue }
            let layer = Layer(shape, table)
            let result = bench.samples(name, unit: "GMAC/s") {
                let clock = ContinuousClock()
                let start = clock.now
                let least = bench.isQuick ? Duration.microseconds(10) : .milliseconds(20)
                var calls = 0
                repeat {
                    layer.run()
                    calls += 1
                } while clock.now - start < least
                return Bench.nanoseconds(clock.now - start) / Double(calls * shape.work) * 1e9
            }
            if let result, let ceiling {
                bench.note("\(Int((ceiling.median / result.median * 100).rounded())) % of the ceiling")
            }
        }
    }

    /// A layer with memory of its own.
    private final class Layer {
        private let shape: Shape
        private let table: UnsafePointer<int8_kernels>
        private var blocks: [UnsafeMutableRawPointer] = []
        private var task = int8_convolution()
        private let input, output, scratch: UnsafeMutableRawPointer

        init(_ shape: Shape, _ table: UnsafePointer<int8_kernels>) {
            self.shape = shape
            self.table = table
            var blocks: [UnsafeMutableRawPointer] = []
            func block(_ byteCount: Int, _ value: (Int) -> UInt8 = { _ in 0 }) -> UnsafeMutableRawPointer {
                let all = byteCount + Int(INT8_SLACK)
                let memory = UnsafeMutableRawPointer.allocate(byteCount: all, alignment: 64)
                for index in 0..<all { memory.storeBytes(of: value(index), toByteOffset: index, as: UInt8.self) }
                blocks.append(memory)
                return memory
            }
            func floats(_ value: Float) -> UnsafePointer<Float> {
                let memory = block((shape.filters + Int(INT8_SLACK)) * 4).assumingMemoryBound(to: Float.self)
                memory.update(repeating: value, count: shape.filters + Int(INT8_SLACK))
                return UnsafePointer(memory)
            }
            let (channels, filters, taps) = (shape.channels, shape.filters, shape.taps)
            let pixelBytes = channels * shape.form.elementBytes
            input = block(shape.extent * shape.extent * pixelBytes) { UInt8(truncatingIfNeeded: $0 &* 37) }
            output = block(shape.output * shape.output * filters)
            // Small enough for the lanes of AVX2.
            let weights = block(filters * shape.steps) { UInt8(bitPattern: Int8(truncatingIfNeeded: $0 % 31 - 15)) }
                .assumingMemoryBound(to: Int8.self)
            let wordWeights = block(filters * shape.steps * 2).assumingMemoryBound(to: Int16.self)
            let zeroPoints = block(channels).assumingMemoryBound(to: UInt8.self)
            let wordZeroPoints = block(channels * 2).assumingMemoryBound(to: Int16.self)
            let outside = block(shape.kernel * pixelBytes).assumingMemoryBound(to: UInt8.self)
            let packed: UnsafeMutableRawPointer
            switch shape.form {
            case .dense:
                packed = block(int8_packed_bytes(table, filters, shape.steps))
                int8_pack_weights(table, weights, zeroPoints, nil, filters, channels, taps, packed)
                scratch = block(int8_patch_bytes(table, shape.steps))
            case .depthwise:
                packed = block(int8_packed_depthwise_bytes(table, channels, taps))
                int8_pack_depthwise(table, weights, 0, zeroPoints, nil, channels, taps, packed)
                scratch = block(0)
            case .denseWords:
                packed = block(int8_packed_bytes(table, filters, shape.steps * 2))
                int8_pack_words(table, wordWeights, wordZeroPoints, filters, channels, taps, packed)
                scratch = block(int8_patch_bytes(table, shape.steps * 2))
            case .depthwiseWords:
                packed = block(int8_packed_depthwise_words_bytes(table, channels))
                int8_pack_depthwise_words(table, wordWeights, wordZeroPoints, channels, packed)
                scratch = block(0)
            case .winograd:
                packed = block(int8_winograd_bytes(table, filters, channels))
                int8_pack_winograd(table, weights, zeroPoints, filters, channels, packed)
                scratch = block(int8_winograd_scratch_bytes(table, channels))
            }
            task.window = float_window(
                input_height: shape.extent, input_width: shape.extent, input_pitch: pixelBytes,
                output_height: shape.output, output_width: shape.output, output_pitch: filters,
                kernel_height: shape.kernel, kernel_width: shape.kernel, stride_y: shape.stride,
                stride_x: shape.stride, dilation_y: 1, dilation_x: 1, pad_top: shape.kernel / 2,
                pad_left: shape.kernel / 2)
            task.channels = pixelBytes
            task.takes_words = shape.form.elementBytes == 2 ? 1 : 0
            task.filters = filters
            task.weights = UnsafeRawPointer(packed)
            task.outside = UnsafePointer(outside)
            task.epilogue.multiplier = floats(0.01)
            task.epilogue.bias = floats(100)
            task.epilogue.low = UnsafePointer(block(filters).assumingMemoryBound(to: UInt8.self))
            let high = block(filters)
            high.initializeMemory(as: UInt8.self, repeating: 255, count: filters)
            task.epilogue.high = UnsafePointer(high.assumingMemoryBound(to: UInt8.self))
            task.epilogue.is_bounded = 1
            task.epilogue.activation = float_epilogue(activation: float_clamp, low: -.infinity, high: .infinity)
            self.blocks = blocks
        }

        deinit { for block in blocks { block.deallocate() } }

        func run() {
            let (x, pixels) = (input.assumingMemoryBound(to: UInt8.self), shape.output * shape.output)
            let kernels = table.pointee
            withUnsafePointer(to: task) { task in
                switch shape.form {
                case .dense, .denseWords:
                    kernels.convolution(
                        task, x, nil, output, scratch.assumingMemoryBound(to: UInt8.self), 0, pixels, 0, shape.filters)
                case .depthwise: kernels.depthwise(task, x, nil, output, 0, shape.output)
                case .depthwiseWords: kernels.depthwise_words(task, x, output, 0, shape.output)
                case .winograd:
                    let tiles = (shape.output + 3) / 4
                    kernels.winograd(task, x, nil, output, scratch, 0, tiles * tiles)
                }
            }
        }
    }
}
