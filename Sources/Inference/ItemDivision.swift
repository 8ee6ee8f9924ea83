// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension Graph {
    /// Layers whose inputs and outputs are larger than what a second-level cache has to spare are better computed for one
    /// item at a time.
    private static let cacheBytes = 1 << 19

    /// A network made for several items at a time as that for one of them, where this is faster, and how many there are.
    ///
    /// All layers of one item after the other, what they pass on stays in the cache. Only layers that read more weights than
    /// they pass on would rather have all items at once: matrix products behind no convolutions to speak of.
    func dividedIntoItems() -> (graph: Graph, count: Int) {
        let count = inputs.first.flatMap { self[$0].shape.dimensions.first } ?? 1
        guard count > 1, let item = forOneItem(of: count) else { return (self, 1) }
        var (passed, products, matrices) = (0, 0, 0)
        for node in nodes {
            let ends = node.inputs.compactMap { $0 }.filter { constants[$0] == nil } + node.outputs.compactMap { $0 }
            passed = max(passed, ends.reduce(0) { $0 + self[$1].shape.count * self[$1].type.sizeBytes })
            guard let weight = node.inputs.dropFirst().first.flatMap({ $0 }), constants[weight] != nil else { continue }
            switch node.operation {
            case .convolution, .convolutionInteger: products += self.products(of: node) / count
            case .gemm, .matMul, .matMulInteger: matrices += self[weight].shape.count
            default: break
            }
        }
        return passed > Self.cacheBytes && matrices < products / 10 ? (item, count) : (self, 1)
    }
}
