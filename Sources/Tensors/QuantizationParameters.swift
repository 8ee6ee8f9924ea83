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
}
