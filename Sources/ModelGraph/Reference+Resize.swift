// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Resize {
    /// What one output position along an axis reads: input positions with weights, or nothing but the extrapolation value.
    package struct Tap: Sendable {
        package var positions: [Int]
        package var weights: [Float]
        package var isOutside = false
    }

    /// The taps of all output positions along `axis`, for an input of the given extent.
    package func taps(axis: Int, extent: Int) -> [Tap] {
        let scale = Double(scales[axis])
        return (0..<sizes[axis]).map { position in
            let x = coordinate(position, axis: axis, extent: extent)
            if coordinates == .cropAndResize && (x < 0 || x > Double(extent - 1)) {
                return Tap(positions: [0], weights: [0], isOutside: true)
            }
            switch mode {
            case .nearest: return Tap(positions: [min(max(nearest(x), 0), extent - 1)], weights: [1])
            case .linear:
                return tap(x, extent: extent, scale: antialiases ? min(scale, 1) : 1, reach: 1) { max(0, 1 - $0) }
            case .cubic:
                return tap(x, extent: extent, scale: antialiases ? min(scale, 1) : 1, reach: 2) {
                    cubicWeight($0, a: Double(cubicCoefficient))
                }
            }
        }
    }

    /// Position in the input that an output position comes from (ONNX `coordinate_transformation_mode`).
    private func coordinate(_ position: Int, axis: Int, extent: Int) -> Double {
        let (x, length) = (Double(position), Double(extent))
        // A factor that was rounded to float32 is meant as the ratio of the extents: positions half way depend on it.
        let (ratio, given) = (Double(sizes[axis]) / length, Double(scales[axis]))
        let scale = abs(ratio - given) <= given * 1e-6 ? ratio : given
        // The extent before rounding, as the specification has it.
        let resized = scale * length
        switch coordinates {
        case .asymmetric: return x / scale
        case .halfPixel: return (x + 0.5) / scale - 0.5
        case .pytorchHalfPixel: return sizes[axis] > 1 ? (x + 0.5) / scale - 0.5 : 0
        case .halfPixelSymmetric:
            let offset = length / 2 * (1 - Double(sizes[axis]) / resized)
            return offset + (x + 0.5) / scale - 0.5
        case .alignCorners: return sizes[axis] > 1 && resized > 1 ? x * (length - 1) / (resized - 1) : 0
        case .cropAndResize:
            guard let region else { return x }
            let (start, end) = (Double(region[axis]), Double(region[scales.count + axis]))
            guard sizes[axis] > 1 else { return (start + end) * (length - 1) / 2 }
            return start * (length - 1) + x * (end - start) * (length - 1) / Double(sizes[axis] - 1)
        }
    }

    private func nearest(_ x: Double) -> Int {
        let rounded =
            switch nearestRounding {
            case .floor: x.rounded(.down)
            case .ceil: x.rounded(.up)
            case .roundPreferFloor: (x - 0.5).rounded(.up)
            case .roundPreferCeil: (x + 0.5).rounded(.down)
            }
        // Coordinates are of the order of an extent, except for regions far outside.
        return Int(min(max(rounded, -1e15), 1e15))
    }

    /// Weights `kernel(distance * scale)` of the input positions around x, up to `reach / scale` away, made to sum to one.
    private func tap(_ x: Double, extent: Int, scale: Double, reach: Double, _ kernel: (Double) -> Double) -> Tap {
        let radius = min(reach / scale, Double(extent) + reach)
        let center = min(max(x, -radius - 1), Double(extent) + radius + 1)
        let first = Int((center - radius).rounded(.down)) + 1
        let last = Int((center + radius).rounded(.up)) - 1
        var weights = (first...max(first, last)).map { kernel(abs(Double($0) - center) * scale) }
        if excludesOutside {
            for index in weights.indices where !(0..<extent).contains(first + index) { weights[index] = 0 }
        }
        let sum = weights.reduce(0, +)
        return Tap(
            positions: weights.indices.map { min(max(first + $0, 0), extent - 1) },
            weights: weights.map { Float(sum == 0 ? 0 : $0 / sum) })
    }

    /// Keys, "Cubic convolution interpolation for digital image processing", 1981.
    private func cubicWeight(_ distance: Double, a: Double) -> Double {
        if distance <= 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
        if distance < 2 { return ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a }
        return 0
    }
}

extension ReferenceEvaluator {
    /// Interpolates axis after axis. Integers other than by `nearest` are interpolated in float32 and lose their
    /// fraction, as in ONNX's own definition.
    static func resize(_ resize: Resize, _ x: Tensor) -> Tensor {
        let taps = (0..<x.shape.rank).map { resize.taps(axis: $0, extent: x.shape[$0]) }
        if resize.mode == .nearest && resize.coordinates != .cropAndResize {
            var current = x
            for axis in 0..<x.shape.rank {
                let next = Tensor(x.type, current.shape.replacing(axis, with: resize.sizes[axis]))
                copyAlong(axis, taps[axis].map { $0.positions[0] }, from: current, to: next)
                current = next
            }
            return current
        }
        var current = cast(x, to: .float32)
        for axis in 0..<x.shape.rank {
            let identity = taps[axis].enumerated().allSatisfy { $1.positions == [$0] && !$1.isOutside }
            if identity && taps[axis].count == x.shape[axis] { continue }
            current = interpolated(current, axis, taps[axis], outside: resize.extrapolationValue)
        }
        guard x.type != .float32 else { return current }
        let result = Tensor(x.type, current.shape)
        x.type.dispatch(Truncated(x: current, result: result))
        return result
    }

    private struct Truncated: NumberWork {
        let x: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            for index in 0..<x.count {
                result.base(type)[index] = Element(truncating: Double(x.floats[index].rounded(.towardZero)))
            }
        }
    }

    private static func interpolated(_ x: Tensor, _ axis: Int, _ taps: [Resize.Tap], outside: Float) -> Tensor {
        let result = Tensor(.float32, x.shape.replacing(axis, with: taps.count))
        let inner = x.shape.dimensions[(axis + 1)...].reduce(1, *)
        let outer = x.shape.dimensions[..<axis].reduce(1, *)
        for row in 0..<outer {
            for (place, tap) in taps.enumerated() {
                let to = result.floats + (row * taps.count + place) * inner
                if tap.isOutside {
                    to.update(repeating: outside, count: inner)
                    continue
                }
                for (position, weight) in zip(tap.positions, tap.weights) where weight != 0 {
                    let from = x.floats + (row * x.shape[axis] + position) * inner
                    for i in 0..<inner { to[i] += weight * from[i] }
                }
            }
        }
        return result
    }
}

extension Shape {
    func replacing(_ axis: Int, with extent: Int) -> Shape {
        var result = dimensions
        result[axis] = extent
        return Shape(result)
    }
}
