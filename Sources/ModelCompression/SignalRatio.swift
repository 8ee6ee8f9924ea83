// SPDX-License-Identifier: Apache-2.0

import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Power of a signal over the power of what is wrong with it.
struct SignalRatio: Sendable {
    private var signal: [Double] = []
    private var noise = 0.0
    private var sums: [Double] = []
    private var count = 0.0
    /// Whether the mean of each channel counts as signal. It does not help to tell one place of an image from another. Where
    /// channels have one number each, as the classes of a picture, it is the mean of all that does not help to tell them apart.
    private let countsMeans: Bool

    init(countsMeans: Bool = true) { self.countsMeans = countsMeans }

    mutating func include(reference: Tensor, result: Tensor) {
        guard reference.type == .float32, result.type == .float32, reference.shape == result.shape,
            reference.count > 0
        else { return }
        let shape = reference.shape
        let hasPlanes = shape.rank > 2 && shape.dimensions.dropFirst(2).reduce(1, *) > 1
        let channels = hasPlanes ? shape[1] : 1
        let images = hasPlanes ? shape[0] : 1
        let plane = shape.count / channels / images
        if signal.count != channels {
            signal = [Double](repeating: 0, count: channels)
            sums = signal
        }
        let (expected, actual) = (reference.elements(as: Float.self), result.elements(as: Float.self))
        for row in 0..<(images * channels) {
            var (power, sum, error) = (0.0, 0.0, 0.0)
            for index in (row * plane)..<((row + 1) * plane) {
                let (a, b) = (Double(expected[index]), Double(actual[index]))
                power += a * a
                sum += a
                error += (a - b) * (a - b)
            }
            signal[row % channels] += power
            sums[row % channels] += sum
            noise += error
        }
        count += Double(images * plane)
    }

    /// 10 log10(signal / noise); 150, which is float32's own, where there is no difference.
    var decibels: Double {
        var power = signal.reduce(0, +)
        if !countsMeans, count > 0 { power -= sums.reduce(0) { $0 + $1 * $1 / count } }
        guard noise > 0 else { return 150 }
        return 10 * log10(min(max(power / noise, 1e-15), 1e15))
    }
}
