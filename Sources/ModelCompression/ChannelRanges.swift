// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Range of each channel (axis 1) of a value, one for all where there is no such axis, from what a few examples showed.
///
/// The largest number of a few examples is not the largest there will be: channels that answer to what only some examples
/// hold go far beyond it. The largest numbers of examples follow Gumbel's law well, under which that of N examples is
/// expected at mean + deviation * ln(N) * sqrt(6) / pi (Gumbel, Statistics of Extremes, 1958). The range reaches there, within
/// a bound: every stretch makes the steps coarser. Channels that always reach the same number are not stretched.
struct ChannelRanges {
    struct Bounds: Equatable {
        var low: [Float]
        var high: [Float]
    }

    /// Examples that the range is to hold.
    private static let expectedExamples = 1000.0
    /// The most that a range is stretched by, in units of what was seen.
    private static let largestStretch: Float = 0.4

    /// Extreme numbers of examples on one side of zero.
    private struct Extremes {
        var count = 0.0
        var largest: Float = 0
        var sum = 0.0
        var squares = 0.0

        mutating func include(_ value: Float) {
            count += 1
            largest = max(largest, value)
            sum += Double(value)
            squares += Double(value) * Double(value)
        }

        var expected: Float {
            guard count > 1, largest > 0 else { return largest }
            let mean = sum / count
            let deviation = (max(squares - sum * mean, 0) / (count - 1)).squareRoot()
            let reach = mean + deviation * log(ChannelRanges.expectedExamples) * 6.0.squareRoot() / Double.pi
            return min(max(largest, Float(reach)), largest * (1 + ChannelRanges.largestStretch))
        }
    }

    private struct Channels {
        /// Of -x and of x, not below zero.
        var below: [Extremes]
        var above: [Extremes]
    }

    private var found: [ValueID: Channels] = [:]

    /// Nil for a value that was never seen. Zero is within.
    subscript(id: ValueID) -> Bounds? {
        found[id].map { Bounds(low: $0.below.map { -$0.expected }, high: $0.above.map(\.expected)) }
    }

    mutating func include(_ values: [ValueID: Tensor]) {
        for (id, tensor) in values where tensor.type == .float32 { include(tensor, of: id) }
    }

    private mutating func include(_ tensor: Tensor, of id: ValueID) {
        let shape = tensor.shape
        let channels = shape.rank > 1 ? shape[1] : 1
        guard channels > 0, tensor.count > 0 else { return }
        let images = shape.rank > 1 ? shape[0] : 1
        let plane = tensor.count / channels / images
        let none = [Extremes](repeating: Extremes(), count: channels)
        var ranges = found[id] ?? Channels(below: none, above: none)
        let elements = tensor.elements(as: Float.self)
        for row in 0..<(images * channels) {
            var (low, high) = (0 as Float, 0 as Float)
            for element in elements[(row * plane)..<((row + 1) * plane)] where element.isFinite {
                low = min(low, element)
                high = max(high, element)
            }
            ranges.below[row % channels].include(-low)
            ranges.above[row % channels].include(high)
        }
        found[id] = ranges
    }
}
