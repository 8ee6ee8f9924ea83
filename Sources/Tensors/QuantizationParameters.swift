// SPDX-License-Identifier: Apache-2.0

/// Affine quantization: real = (stored - zeroPoint) * scale, stored = round-half-even(real / scale) + zeroPoint, saturated.
///
/// One scale and zero point for the whole tensor, or one per index of `axis`. (Jacob et al., 2018, arXiv:1712.05877.)
package struct QuantizationParameters: Hashable, Sendable, Codable {
    /// Each > 0 and finite.
    package var scales: [Float]
    /// As many as scales; within the range of the stored type.
    package var zeroPoints: [Int32]
    /// Axis of the per-channel form; nil when there is one scale.
    package var axis: Int?

    package init(scale: Float, zeroPoint: Int32) {
        self.init(scales: [scale], zeroPoints: [zeroPoint], axis: nil)
    }

    package init(scales: [Float], zeroPoints: [Int32], axis: Int?) {
        precondition(scales.count == zeroPoints.count && !scales.isEmpty)
        precondition(axis != nil || scales.count == 1)
        self.scales = scales
        self.zeroPoints = zeroPoints
        self.axis = axis
    }

    /// The parameters of some indices of `sliced`, the same for all of them unless `sliced` is
    /// the axis of the scales.
    package func sliced(_ range: Range<Int>, of sliced: Int) -> QuantizationParameters {
        guard axis == sliced, scales.count >= range.upperBound, !range.isEmpty else { return self }
        return QuantizationParameters(scales: Array(scales[range]), zeroPoints: Array(zeroPoints[range]), axis: axis)
    }

    /// The parameters of these indices of the channels (axis 1), in their order.
    package func selecting(_ channels: [Int]) -> QuantizationParameters {
        guard axis == 1, !channels.isEmpty, channels.allSatisfy(scales.indices.contains) else { return self }
        return QuantizationParameters(
            scales: channels.map { scales[$0] }, zeroPoints: channels.map { zeroPoints[$0] }, axis: axis
        ).compact
    }

    /// One scale for all where the indices of the axis have the same.
    package var compact: QuantizationParameters {
        guard axis != nil, scales.areEqual, zeroPoints.areEqual else { return self }
        return QuantizationParameters(scale: scales[0], zeroPoint: zeroPoints[0])
    }

    /// One scale per index of the axis; nil without indices, or if the scales stand along another axis.
    package func expanded(count: Int, axis: Int = 1) -> QuantizationParameters? {
        if self.axis == axis { return self }
        guard self.axis == nil, count > 0 else { return nil }
        return QuantizationParameters(
            scales: [Float](repeating: scales[0], count: count),
            zeroPoints: [Int32](repeating: zeroPoints[0], count: count), axis: axis)
    }
}

extension Array where Element: Equatable {
    /// Whether there are elements, all of them the same.
    package var areEqual: Bool { first.map { first in allSatisfy { $0 == first } } ?? false }
}
