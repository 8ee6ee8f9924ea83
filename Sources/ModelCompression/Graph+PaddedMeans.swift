// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

extension Graph {
    /// The same network in which means of windows that count the padding are depthwise layers: in integers, padding stands for
    /// the zero point, which a layer knows and a mean does not.
    func withPaddedMeansAsLayers() -> Graph {
        var result = self
        for (index, node) in nodes.enumerated() {
            guard case .averagePool(let pool) = node.operation, pool.countsPadding, !pool.roundsUp,
                pool.kernel.count == 2, pool.pads.contains(where: { $0 > 0 }), let x = node.inputs[0],
                self[x].type == .float32, self[x].quantization == nil
            else { continue }
            let (channels, taps) = (self[x].shape[1], pool.kernel[0] * pool.kernel[1])
            let weights = Tensor(
                Shape([channels, 1] + pool.kernel), [Float](repeating: 1 / Float(taps), count: channels * taps))
            let layer = Convolution(
                kernel: pool.kernel, strides: pool.strides, dilations: pool.dilations, pads: pool.pads, groups: channels
            )
            result.nodes[index] = Node(
                node.name, .convolution(layer), inputs: [x, result.addConstant("\(node.name) shares", weights)],
                outputs: node.outputs)
        }
        return result
    }
}
