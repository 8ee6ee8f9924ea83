// SPDX-License-Identifier: Apache-2.0
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Foundation
#endif

extension ReferenceEvaluator {
    /// y = (x - mean[c]) / sqrt(variance[c] + epsilon) * scale[c] + bias[c]
    static func batchNormalization(
        _ x: Tensor, _ scale: Tensor, _ bias: Tensor, _ mean: Tensor, _ variance: Tensor, epsilon: Float
    ) -> Tensor {
        let result = Tensor(.float32, x.shape)
        let plane = x.shape.dimensions.dropFirst(2).reduce(1, *)
        for index in 0..<(x.shape[0] * x.shape[1]) {
            let c = index % x.shape[1]
            let factor = scale.floats[c] / (variance.floats[c] + epsilon).squareRoot()
            let (from, to) = (x.floats + index * plane, result.floats + index * plane)
            for i in 0..<plane { to[i] = (from[i] - mean.floats[c]) * factor + bias.floats[c] }
        }
        return result
    }

    /// Mean and variance of `count` elements, accumulated in double.
    private static func moments(_ x: UnsafePointer<Float>, _ count: Int) -> (mean: Double, variance: Double) {
        guard count > 0 else { return (0, 0) }
        var sum = 0.0
        for i in 0..<count { sum += Double(x[i]) }
        let mean = sum / Double(count)
        var squares = 0.0
        for i in 0..<count { squares += (Double(x[i]) - mean) * (Double(x[i]) - mean) }
        return (mean, squares / Double(count))
    }

    /// y = (x - mean) / sqrt(variance + epsilon) * scale[c] + bias[c], statistics per n and group.
    static func groupNormalization(_ x: Tensor, _ scale: Tensor, _ bias: Tensor, groups: Int, epsilon: Float) -> Tensor
    {
        let result = Tensor(.float32, x.shape)
        guard groups > 0, x.count > 0 else { return result }
        let plane = x.shape.dimensions.dropFirst(2).reduce(1, *)
        let channels = x.shape[1] / groups
        for n in 0..<x.shape[0] {
            for group in 0..<groups {
                let start = (n * groups + group) * channels * plane
                let (mean, variance) = moments(x.floats + start, channels * plane)
                let deviation = (variance + Double(epsilon)).squareRoot()
                for c in 0..<channels {
                    let factor = Float(Double(scale.floats[group * channels + c]) / deviation)
                    let (from, to) = (x.floats + start + c * plane, result.floats + start + c * plane)
                    for i in 0..<plane {
                        to[i] = (from[i] - Float(mean)) * factor + bias.floats[group * channels + c]
                    }
                }
            }
        }
        return result
    }

    /// y = (x - mean) / sqrt(variance + epsilon) * scale + bias over `axis` and all after it; with the means and 1 / sqrt(...).
    static func layerNormalization(
        _ x: Tensor, _ scale: Tensor, _ bias: Tensor?, axis: Int, epsilon: Float, statistics: Shape
    ) -> [Tensor] {
        let result = Tensor(.float32, x.shape)
        let (means, inverses) = (Tensor(.float32, statistics), Tensor(.float32, statistics))
        let normalized = Array(x.shape.dimensions[axis...])
        let length = normalized.reduce(1, *)
        let scales = move(.expand(Shape(normalized)), [scale], [TensorType(.float32, Shape(normalized))])[0]
        let biases = bias.map { move(.expand(Shape(normalized)), [$0], [TensorType(.float32, Shape(normalized))])[0] }
        for row in 0..<statistics.count {
            let (from, to) = (x.floats + row * length, result.floats + row * length)
            let (mean, variance) = moments(from, length)
            let inverse = 1 / (variance + Double(epsilon)).squareRoot()
            means.floats[row] = Float(mean)
            inverses.floats[row] = Float(inverse)
            for i in 0..<length {
                to[i] = Float((Double(from[i]) - mean) * inverse) * scales.floats[i] + (biases?.floats[i] ?? 0)
            }
        }
        return [result, means, inverses]
    }

    /// y = x / (bias + alpha / size * sum of x² over `size` channels around c)^beta
    static func localResponseNormalization(_ attributes: LocalResponseNormalization, _ x: Tensor) -> Tensor {
        let result = Tensor(.float32, x.shape)
        let plane = x.shape.dimensions.dropFirst(2).reduce(1, *)
        let channels = x.shape[1]
        let before = (attributes.size - 1) / 2
        let after = attributes.size - 1 - before
        for n in 0..<x.shape[0] {
            for c in 0..<channels {
                for i in 0..<plane {
                    var squares: Float = 0
                    for other in max(0, c - before)...min(channels - 1, c + after) {
                        let value = x.floats[(n * channels + other) * plane + i]
                        squares += value * value
                    }
                    let index = (n * channels + c) * plane + i
                    let divisor = attributes.bias + attributes.alpha / Float(attributes.size) * squares
                    result.floats[index] = x.floats[index] / powf(divisor, attributes.beta)
                }
            }
        }
        return result
    }

    /// exp(x - max) / sum of exp(x - max) along an axis, or its logarithm.
    static func softmax(_ x: Tensor, axis: Int, logarithm: Bool) -> Tensor {
        let result = Tensor(.float32, x.shape)
        let length = x.shape[axis]
        let inner = x.shape.dimensions[(axis + 1)...].reduce(1, *)
        let outer = x.shape.dimensions[..<axis].reduce(1, *)
        guard length > 0 else { return result }
        for row in 0..<(outer * inner) {
            let start = row / inner * length * inner + row % inner
            let (from, to) = (x.floats + start, result.floats + start)
            var peak = -Float.infinity
            for i in 0..<length { peak = max(peak, from[i * inner]) }
            var sum: Float = 0
            for i in 0..<length {
                to[i * inner] = expf(from[i * inner] - peak)
                sum += to[i * inner]
            }
            for i in 0..<length {
                to[i * inner] = logarithm ? from[i * inner] - peak - logf(sum) : to[i * inner] / sum
            }
        }
        return result
    }
}
