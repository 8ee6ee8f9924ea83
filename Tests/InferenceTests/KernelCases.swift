// SPDX-License-Identifier: Apache-2.0
import CKernels
import TestSupport

/// Repeatable pseudo-random numbers: splitmix64 (Steele, Lea and Flood, 2014).
struct KernelNumbers: RandomNumberGenerator {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(state: seed) }

    mutating func next() -> UInt64 { generator.next() }

    mutating func floats(_ count: Int, in range: ClosedRange<Float>) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}

/// A window that moves over an image, and how many channels go in and come out.
struct LayerCase: Sendable, CustomStringConvertible {
    var channels: Int
    var filters: Int
    var height = 6
    var width = 7
    var kernel = 1
    var stride = 1
    var padding = 0
    var dilation = 1
    /// Elements between the channels of one pixel and those of the next.
    var gap = 0

    var taps: Int { kernel * kernel }
    var steps: Int { taps * channels }
    var inputPitch: Int { channels + gap }
    var outputPitch: Int { filters + gap }
    var outputHeight: Int { (height + 2 * padding - (kernel - 1) * dilation - 1) / stride + 1 }
    var outputWidth: Int { (width + 2 * padding - (kernel - 1) * dilation - 1) / stride + 1 }
    var outputPixels: Int { outputHeight * outputWidth }

    var description: String {
        "\(height)x\(width)x\(channels) to \(filters), kernel \(kernel), stride \(stride), padding \(padding), "
            + "dilation \(dilation), gap \(gap)"
    }

    var window: float_window {
        float_window(
            input_height: height, input_width: width, input_pitch: inputPitch, output_height: outputHeight,
            output_width: outputWidth, output_pitch: outputPitch, kernel_height: kernel, kernel_width: kernel,
            stride_y: stride, stride_x: stride, dilation_y: dilation, dilation_x: dilation, pad_top: padding,
            pad_left: padding)
    }

    /// Index of the first channel of the pixel that a tap reads; nil outside of the image.
    func source(_ outputPixel: Int, _ tap: Int) -> Int? {
        let y = outputPixel / outputWidth * stride - padding + tap / kernel * dilation
        let x = outputPixel % outputWidth * stride - padding + tap % kernel * dilation
        guard (0..<height).contains(y), (0..<width).contains(x) else { return nil }
        return (y * width + x) * inputPitch
    }

    /// The sum of an output from its definition: (x - zero point) * weight, in integers.
    ///
    /// - Parameter weight: [filter][channel][tap]; per channel [channel][tap].
    func sum<Stored: BinaryInteger, Weight: BinaryInteger>(
        _ pixel: Int, _ filter: Int, _ input: [Stored], zeroPoints: [Stored], _ weight: [Weight], isDepthwise: Bool
    ) -> Int32 {
        var sum: Int32 = 0
        for tap in 0..<taps {
            guard let source = source(pixel, tap) else { continue }
            for channel in isDepthwise ? filter..<(filter + 1) : 0..<channels {
                let w = weight[(isDepthwise ? filter : filter * channels + channel) * taps + tap]
                sum += (Int32(input[source + channel]) - Int32(zeroPoints[channel])) * Int32(w)
            }
        }
        return sum
    }

    /// Every tail of channels, filters and pixels of vectors of up to 16, and every kind of window.
    static let dense: [LayerCase] = {
        var cases = (1...35).map { LayerCase(channels: ($0 * 7) % 34 + 1, filters: $0, gap: $0 % 2 * 5) }
        cases += (1...20).map { LayerCase(channels: $0, filters: 17, height: 1, width: $0, gap: $0 % 3) }
        for (kernel, stride, padding, dilation) in [
            (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 0, 1), (5, 1, 2, 1), (3, 1, 2, 2), (2, 2, 0, 1), (1, 2, 0, 1),
            (1, 1, 1, 1),
            (7, 2, 3, 1),
        ] {
            for (channels, filters, gap) in [(3, 16, 0), (4, 33, 0), (9, 7, 3), (16, 8, 0)] {
                cases.append(
                    LayerCase(
                        channels: channels, filters: filters, height: 8, width: 9, kernel: kernel, stride: stride,
                        padding: padding, dilation: dilation, gap: gap))
            }
        }
        return cases
    }()

    /// The same for layers with one filter per channel.
    static let perChannel: [LayerCase] = {
        var cases = (1...35).map {
            LayerCase(channels: $0, filters: $0, kernel: 3, stride: $0 % 2 + 1, padding: 1, gap: $0 % 3)
        }
        for (kernel, stride, padding, dilation) in [
            (5, 1, 2, 1), (5, 2, 2, 1), (3, 1, 2, 2), (2, 1, 0, 1), (7, 1, 3, 1),
        ] {
            cases.append(
                LayerCase(
                    channels: 19, filters: 19, height: 9, width: 8, kernel: kernel, stride: stride, padding: padding,
                    dilation: dilation, gap: 2))
        }
        cases.append(LayerCase(channels: 5, filters: 5, height: 2, width: 1, kernel: 5, padding: 2))
        // Rows of several groups of outputs, and of a part of one.
        for (width, kernel, stride, dilation) in [
            (21, 5, 1, 1), (12, 5, 1, 1), (37, 5, 2, 1), (6, 5, 1, 1), (26, 3, 1, 2),
        ] {
            cases.append(
                LayerCase(
                    channels: 11, filters: 11, height: 6, width: width, kernel: kernel, stride: stride, padding: 2,
                    dilation: dilation, gap: 1))
        }
        return cases
    }()
}

let plainEpilogue = float_epilogue(activation: float_clamp, low: -.infinity, high: .infinity)

/// Numbers in memory of their own, followed by as much as kernels may read.
final class Padded<Element: BitwiseCopyable> {
    private let memory: UnsafeMutableBufferPointer<Element>
    var base: UnsafePointer<Element>? { UnsafePointer(memory.baseAddress) }

    init(_ values: [Element], slack: Element) {
        memory = .allocate(capacity: values.count + Int(INT8_SLACK))
        memory.initialize(repeating: slack)
        _ = memory.update(fromContentsOf: values)
    }

    deinit { memory.deallocate() }
}
