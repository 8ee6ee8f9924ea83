// SPDX-License-Identifier: Apache-2.0

import Inference
import ModelGraph
import Tensors

/// What a quantized convolution reads: windows over the stored inputs of many pictures, as numbers less the zero points.
struct LayerInputs: Sendable {
    /// Steps that share a second-moment matrix at most. Larger layers are cut into groups of channels: the matrices of a
    /// layer with 4608 steps would cost minutes, and the correlations between far channels are small.
    private static let largestBlock = 1152
    /// Windows that are sampled, in units of the steps of a block, and at least.
    private static let windowsPerStep = 12
    private static let fewestWindows = 4096
    /// Windows in a block of products: sums of 255 * 255 stay below 2^24, so that they are exact in float32.
    private static let blockWindows = 256

    private let convolution: Convolution
    private let channels: Int
    private let height: Int
    private let width: Int
    private let output: (height: Int, width: Int)
    private let zeroPoints: [Float]
    private let tensors: [Tensor]

    /// - Parameters:
    ///   - input: the value that the layer reads, uint8 [N, C, H, W].
    ///   - tensors: what it was for each picture.
    init?(_ convolution: Convolution, input: Value, output: Shape, tensors: [Tensor]) {
        guard input.shape.rank == 4, input.type == .uint8,
            let parameters = input.quantization?.expanded(count: input.shape[1])
        else { return nil }
        self.convolution = convolution
        channels = input.shape[1]
        height = input.shape[2]
        width = input.shape[3]
        self.output = (output[2], output[3])
        zeroPoints = parameters.zeroPoints.map(Float.init)
        self.tensors = tensors
    }

    private var taps: Int { convolution.kernel[0] * convolution.kernel[1] }

    /// The rounding of a layer that adds channels up.
    func dense() throws -> OptimalRounding? {
        let perBlock = max(Self.largestBlock / taps / 8 * 8, 8)
        let groups = stride(from: 0, to: channels, by: perBlock).map { $0..<min($0 + perBlock, channels) }
        let blocks = try groups.map { group in
            let steps = (0..<taps).flatMap { tap in group.map { tap * channels + $0 } }
            return (steps: steps, moments: try moments(group))
        }
        return OptimalRounding(blocks, limitsLanes: true)
    }

    /// The rounding of a channel of a layer with one filter per channel.
    func depthwise(_ channel: Int) -> OptimalRounding? {
        var window = [Float](repeating: 0, count: taps)
        var moments = SecondMoments(count: taps)
        let places = places(Self.fewestWindows)
        window.withUnsafeMutableBufferPointer { window in
            for place in places {
                read(place, channel..<(channel + 1), into: window, at: 0, stride: 1)
                moments.addWindow(window)
            }
        }
        return OptimalRounding([(Array(0..<taps), moments)], limitsLanes: false)
    }

    /// H of the channels, steps in the kernel's order.
    private func moments(_ group: Range<Int>) throws -> SecondMoments {
        let count = taps * group.count
        let size = Self.blockWindows
        let places = places(max(Self.fewestWindows, Self.windowsPerStep * count))
        var moments = SecondMoments(count: count)
        // Sums of products of 256 windows at a time are a matrix product of the windows with themselves.
        let product = try MatrixProduct(rows: count, depth: size)
        for start in stride(from: 0, to: places.count, by: size) {
            let part = places[start..<min(start + size, places.count)]
            product.left.update(repeating: 0)
            for (index, place) in part.enumerated() { read(place, group, into: product.left, at: index, stride: size) }
            try product.run()
            moments.add(product.result)
        }
        return moments
    }

    /// A window: of which picture, and its output pixel.
    private struct Place {
        var picture: Int
        var y: Int
        var x: Int
    }

    /// About `count` windows, spread evenly over all pictures: a whole number of pixels apart that has no common factor with
    /// the width, or all.
    private func places(_ count: Int) -> [Place] {
        let pixels = output.height * output.width
        let perPicture = min(max((count + tensors.count - 1) / max(tensors.count, 1), 1), pixels)
        return tensors.indices.flatMap { picture in
            (0..<perPicture).map { index in
                // Every picture at other places: shifted by the golden ratio.
                let shift = Double(picture) * 0.618_033_988_749_895
                let fraction = (Double(index) + shift - shift.rounded(.down)) / Double(perPicture)
                let pixel = min(Int(fraction * Double(pixels)), pixels - 1)
                return Place(picture: picture, y: pixel / output.width, x: pixel % output.width)
            }
        }
    }

    /// Writes a window of some channels, taps row by row, then channels; zero outside of the image.
    private func read(
        _ place: Place, _ group: Range<Int>, into target: UnsafeMutableBufferPointer<Float>, at offset: Int, stride: Int
    ) {
        let stored = tensors[place.picture].elements(as: UInt8.self)
        let (kernelHeight, kernelWidth) = (convolution.kernel[0], convolution.kernel[1])
        var index = offset
        for ky in 0..<kernelHeight {
            let y = place.y * convolution.strides[0] - convolution.pads[0] + ky * convolution.dilations[0]
            for kx in 0..<kernelWidth {
                let x = place.x * convolution.strides[1] - convolution.pads[1] + kx * convolution.dilations[1]
                let isInside = y >= 0 && y < height && x >= 0 && x < width
                for channel in group {
                    target[index] =
                        isInside ? Float(stored[(channel * height + y) * width + x]) - zeroPoints[channel] : 0
                    index += stride
                }
            }
        }
    }
}

/// a [K, S] times its transpose, through the engine's kernels.
private final class MatrixProduct {
    private let session: Session
    private let rows: Int
    private let depth: Int

    init(rows: Int, depth: Int) throws {
        self.rows = rows
        self.depth = depth
        var builder = GraphBuilder()
        let a = try builder.addInput("a", .float32, [rows, depth])
        let transposed = try builder.add("transpose", .transpose(permutation: [1, 0]), [a], outputs: ["b"])
        let product = try builder.add("product", .matMul, [a, transposed[0]], outputs: ["y"])
        session = try CompiledModel(
            Model(name: "moments", graph: builder.finish(outputs: product.compactMap { $0 }))
        ).makeSession()
    }

    var left: UnsafeMutableBufferPointer<Float> { session.inputBytes(0).bindMemory(to: Float.self) }

    var result: UnsafeBufferPointer<Float> { session.output(0) }

    func run() throws { try session.run() }
}
