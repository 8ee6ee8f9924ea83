// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Which fully connected and recurrent layers become integer layers, and how fine their weights are.
enum DenseQuantization {
    /// How many products may be added in an int16 lane (`LaneRounding`): fewer cost time on processors without 8-bit dot
    /// products and keep finer weights. A recurrent layer reads its weights at every step, a dense one once.
    struct Widths: Hashable {
        var dense = 1
        var recurrent = 2

        /// From the fastest to the finest.
        static let all = [Widths(), Widths(dense: 0, recurrent: 1), Widths(dense: 0, recurrent: 0)]
    }

    /// What a network of such layers alone should keep, in dB: below it finer weights are tried.
    static let sufficientDecibels = 30.0
    /// More steps could overflow a sum of int32.
    private static let maximumSteps = 60_000

    static func isLayer(_ node: Node, _ graph: Graph) -> Bool {
        func isConstant(_ index: Int) -> Bool {
            guard index < node.inputs.count, let id = node.inputs[index] else { return true }
            return graph.constants[id]?.type == .float32
        }
        guard let x = node.inputs[0], graph.constants[x] == nil, graph[x].type == .float32,
            node.outputs.allSatisfy({ id in id.map { graph[$0].type == .float32 } ?? true }), node.inputs.count > 1,
            let weights = node.inputs[1], graph.constants[weights]?.type == .float32
        else { return false }
        switch node.operation {
        case .gemm(let gemm):
            return gemm.transposesB && !gemm.transposesA && gemm.alpha == 1 && gemm.beta == 1 && isConstant(2)
                && graph[weights].shape[1] <= maximumSteps
        case .recurrent(let recurrent):
            return recurrent.isPlain && recurrent.state == nil && isConstant(2) && isConstant(3)
                && (recurrent.cell == .lstm || recurrent.linearBeforeReset) && hasNoEnds(node)
                && max(graph[weights].shape[2], recurrent.hiddenSize) <= maximumSteps
        default: return false
        }
    }

    /// Neither sequences of their own length nor peepholes.
    private static func hasNoEnds(_ node: Node) -> Bool {
        [4, 7].allSatisfy { $0 >= node.inputs.count || node.inputs[$0] == nil }
    }

    /// Operators that move stored numbers on the way between such layers.
    static func isMover(_ node: Node, _ graph: Graph) -> Bool {
        guard node.outputs.count == 1, let output = node.outputs[0], let input = node.inputs[0],
            graph[input].type == .float32, graph[input].shape.rank != 4 || graph[output].shape.rank != 4
        else { return false }
        switch node.operation {
        case .reshape, .transpose, .slice: return true
        default: return false
        }
    }

    static func hasLayers(_ graph: Graph) -> Bool { graph.nodes.contains { isLayer($0, graph) } }
}
