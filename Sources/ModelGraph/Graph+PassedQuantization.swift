// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Operator {
    /// Whether stored numbers pass the operator as they are, channel by channel.
    package var passesChannels: Bool {
        switch self {
        case .maxPool, .concat, .split, .slice, .selectChannels: true
        case .resize(let resize): resize.mode == .nearest
        default: false
        }
    }
}

extension Graph {
    /// The parameters that a node's output has if it stores the numbers of the inputs as they are: channels of a
    /// concatenation, a split, a selection, a slice of whole channels, a maximum or nearest resize keep theirs (what a linear
    /// resize gives fits them too); those of `reinterpret` are the zero points of the input with scale 1, as layers read them
    /// whose weights hold the scales.
    ///
    /// - Returns: nil if the parameters do not follow from the inputs'.
    package func passedQuantization(_ node: Node, to position: Int) -> QuantizationParameters? {
        guard let first = node.inputs.first, let input = first, let parameters = self[input].quantization else {
            return nil
        }
        switch node.operation {
        case .reinterpret:
            return QuantizationParameters(
                scales: parameters.scales.map { _ in 1 }, zeroPoints: parameters.zeroPoints, axis: parameters.axis)
        case .maxPool: return position == 0 ? parameters : nil
        // Weights that sum to one keep to the range.
        case .resize(let resize): return resize.mode != .cubic ? parameters : nil
        case .slice(let slice):
            // Parameters from a file have not been checked yet.
            guard let axis = parameters.axis else { return parameters }
            guard slice.sizes.indices.contains(axis), axis < self[input].shape.rank else { return nil }
            return slice.sizes[axis] == self[input].shape[axis] && slice.steps[axis] == 1 ? parameters : nil
        case .split(let axis, let sizes):
            let start = sizes.prefix(position).reduce(0, +)
            return parameters.sliced(start..<(start + sizes[position]), of: axis)
        case .selectChannels(let channels): return parameters.selecting(channels)
        case .concat(let axis): return joined(node.inputs.compactMap { $0 }, axis: axis)
        default: return nil
        }
    }

    private func joined(_ parts: [ValueID], axis: Int) -> QuantizationParameters? {
        let parameters = parts.compactMap { self[$0].quantization }
        guard parameters.count == parts.count, let first = parameters.first else { return nil }
        if parameters.allSatisfy({ $0 == first && $0.axis != axis }) { return first }
        guard parameters.allSatisfy({ $0.axis == nil || $0.axis == axis }) else { return nil }
        let expanded = zip(parts, parameters).compactMap { id, parameters in
            parameters.expanded(count: self[id].shape[axis], axis: axis)
        }
        guard expanded.count == parts.count else { return nil }
        return QuantizationParameters(
            scales: expanded.flatMap(\.scales), zeroPoints: expanded.flatMap(\.zeroPoints), axis: axis
        ).compact
    }
}
