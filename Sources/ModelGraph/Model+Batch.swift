// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Model {
    /// How many inputs, such as images, the network takes at a time: the first extent that all inputs and outputs share,
    /// else 1.
    package var inputsAtATime: Int {
        let extents = Set((graph.inputs + graph.outputs).map { graph[$0].shape.dimensions.first ?? 1 })
        guard extents.count == 1, let extent = extents.first else { return 1 }
        return max(extent, 1)
    }

    /// How often the network stands side by side in a run that takes so many inputs: once, if nobody says how many. Where
    /// they are no multiple of what it takes at a time, each counts as that.
    package func items(for inputs: Int?) -> Int {
        guard let inputs else { return 1 }
        return inputs % inputsAtATime == 0 ? inputs / inputsAtATime : inputs
    }
}
