// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

/// Smallest and largest number that each channel (axis 1) of a value took; one for all where there is no such axis.
struct ChannelRanges {
    struct Bounds: Equatable {
        var low: [Float]
        var high: [Float]
    }

    private var bounds: [ValueID: Bounds] = [:]

    /// Nil for a value that was never seen, or held nothing finite.
    subscript(id: ValueID) -> Bounds? { bounds[id] }

    mutating func include(_ values: [ValueID: Tensor]) {
        for (id, tensor) in values where tensor.type == .float32 { include(tensor, of: id) }
    }

    private mutating func include(_ tensor: Tensor, of id: ValueID) {
        let shape = tensor.shape
        let channels = shape.rank > 1 ? shape[1] : 1
        guard channels > 0, tensor.count > 0 else { return }
        let images = shape.rank > 1 ? shape[0] : 1
        let plane = tensor.count / channels / images
        var found =
            bounds[id]
            ?? Bounds(
                low: [Float](repeating: .infinity, count: channels),
                high: [Float](repeating: -.infinity, count: channels))
        let elements = tensor.elements(as: Float.self)
        for row in 0..<(images * channels) {
            var (low, high) = (Float.infinity, -Float.infinity)
            for element in elements[(row * plane)..<((row + 1) * plane)] where element.isFinite {
                low = min(low, element)
                high = max(high, element)
            }
            found.low[row % channels] = min(found.low[row % channels], low)
            found.high[row % channels] = max(found.high[row % channels], high)
        }
        bounds[id] = found
    }
}
