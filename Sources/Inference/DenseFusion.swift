// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Brings fully connected layers of float32 into one form: `gemm` with weights [N, K], a bias and an activation.
///
/// - A product with a constant matrix, a constant row added to it and an activation after that become one node; values of
///   more than two axes are read as rows.
/// - `alpha` and `beta` become part of weights and bias, batch normalization of rows too.
///
/// What stands between merged nodes must be plain `float32` that nothing else reads.
enum DenseFusion {
    static func fused(_ graph: Graph) -> Graph {
        var work = Work(graph)
        return work.run()
    }

    /// A layer that is being put together.
    private struct Layer {
        var name: String
        var x: ValueID
        var y: ValueID
        /// [N, K]
        var weights: [Float]
        var columns: Int
        var depth: Int
        var bias: [Float]
        var activation = Activation.none
    }

    private struct Work {
        var graph: Graph
        private let consumers: [ValueID: [Int]]
        private let outputs: Set<ValueID>
        /// Nodes that became part of another one.
        private var merged: Set<Int> = []

        init(_ graph: Graph) {
            self.graph = graph
            consumers = graph.consumers
            outputs = Set(graph.outputs)
        }

        mutating func run() -> Graph {
            var nodes: [Node] = []
            for (index, node) in graph.nodes.enumerated() where !merged.contains(index) {
                guard var layer = layer(node) else {
                    nodes.append(node)
                    continue
                }
                while let next = soleReader(layer.y), absorb(graph.nodes[next], into: &layer) { merged.insert(next) }
                nodes += written(layer)
            }
            graph.nodes = nodes
            graph.removeUnused()
            return graph
        }

        private func floats(_ id: ValueID?) -> Tensor? {
            guard let id, let tensor = graph.constants[id], tensor.type == .float32, graph[id].quantization == nil
            else {
                return nil
            }
            return tensor
        }

        /// The index of the only node that reads a plain value, once.
        private func soleReader(_ id: ValueID) -> Int? {
            guard !outputs.contains(id), graph[id].type == .float32, let readers = consumers[id], readers.count == 1,
                graph.nodes[readers[0]].inputs.filter({ $0 == id }).count == 1
            else { return nil }
            return readers[0]
        }

        private func layer(_ node: Node) -> Layer? {
            // Others are computed in an order of their own.
            guard !node.meansFloats, let x = node.inputs[0], let id = node.inputs.count > 1 ? node.inputs[1] : nil,
                let y = node.outputs[0],
                let weights = floats(id), weights.shape.rank == 2, weights.count > 0, graph.constants[x] == nil,
                graph[x].type == .float32, graph[x].shape.rank >= 2, graph[y].shape.rank >= 2, graph[y].shape.count > 0
            else { return nil }
            let isTransposed: Bool
            var (alpha, beta) = (1 as Float, 1 as Float)
            var activation = Activation.none
            var added: [Float]?
            switch node.operation {
            case .matMul: isTransposed = false
            case .gemm(let gemm):
                guard !gemm.transposesA else { return nil }
                (isTransposed, alpha, beta) = (gemm.transposesB, gemm.alpha, gemm.beta)
                activation = gemm.activation
                if node.inputs.count > 2, let bias = node.inputs[2] {
                    guard let row = row(bias, columns: graph[y].shape[1]) else { return nil }
                    added = row
                }
            default: return nil
            }
            let (columns, depth) =
                isTransposed ? (weights.shape[0], weights.shape[1]) : (weights.shape[1], weights.shape[0])
            let values = weights.array(of: Float.self)
            var result = Layer(
                name: node.name, x: x, y: y, weights: values, columns: columns, depth: depth,
                bias: (added ?? [Float](repeating: 0, count: columns)).map { $0 * beta }, activation: activation)
            if !isTransposed {
                for k in 0..<depth {
                    for n in 0..<columns { result.weights[n * depth + k] = values[k * columns + n] }
                }
            }
            if alpha != 1 { for index in result.weights.indices { result.weights[index] *= alpha } }
            return result
        }

        /// A constant that broadcasts as one row of `columns` numbers.
        private func row(_ id: ValueID?, columns: Int) -> [Float]? {
            guard let tensor = floats(id), tensor.count == 1 || tensor.shape.dimensions.last == tensor.count,
                tensor.count == 1 || tensor.count == columns
            else { return nil }
            let values = tensor.array(of: Float.self)
            return values.count == columns ? values : [Float](repeating: values[0], count: columns)
        }

        private func absorb(_ node: Node, into layer: inout Layer) -> Bool {
            guard node.outputs.count == 1, let y = node.outputs[0], graph[y].type == .float32,
                layer.activation == .none
            else { return false }
            switch node.operation {
            case .binary(.add, let activation):
                let other = node.inputs[0] == layer.y ? node.inputs[1] : node.inputs[0]
                guard graph[y].shape == graph[layer.y].shape, let row = row(other, columns: layer.columns) else {
                    return false
                }
                for index in row.indices { layer.bias[index] += row[index] }
                layer.activation = activation
            case .unary(let function):
                guard let activation = Activation(function) else { return false }
                layer.activation = activation
            case .batchNormalization(let epsilon):
                // Channels are the columns only in rows.
                guard graph[y].shape.rank == 2, node.inputs[0] == layer.y, let scale = floats(node.inputs[1]),
                    let bias = floats(node.inputs[2]), let mean = floats(node.inputs[3]),
                    let variance = floats(node.inputs[4])
                else { return false }
                for n in 0..<layer.columns {
                    let factor =
                        scale.elements(as: Float.self)[n]
                        / (variance.elements(as: Float.self)[n] + epsilon).squareRoot()
                    layer.bias[n] =
                        (layer.bias[n] - mean.elements(as: Float.self)[n]) * factor + bias.elements(as: Float.self)[n]
                    for k in 0..<layer.depth { layer.weights[n * layer.depth + k] *= factor }
                }
            default: return false
            }
            layer.y = y
            return true
        }

        private mutating func written(_ layer: Layer) -> [Node] {
            let weights = graph.addConstant(
                "\(layer.name) weights", Tensor([layer.columns, layer.depth], layer.weights))
            let bias = graph.addConstant("\(layer.name) bias", Tensor([layer.columns], layer.bias))
            let operation = Operator.gemm(Gemm(transposesB: true, activation: layer.activation))
            let shape = graph[layer.y].shape
            if shape.rank == 2 {
                return [Node(layer.name, operation, inputs: [layer.x, weights, bias], outputs: [layer.y])]
            }
            let rows = shape.count / layer.columns
            let from = graph.addValue(
                Value(name: "\(layer.name) rows", type: .float32, shape: [rows, layer.depth]))
            let to = graph.addValue(
                Value(name: "\(layer.name) products", type: .float32, shape: [rows, layer.columns]))
            return [
                Node("\(layer.name) rows", .reshape([rows, layer.depth]), inputs: [layer.x], outputs: [from]),
                Node(layer.name, operation, inputs: [from, weights, bias], outputs: [to]),
                Node("\(layer.name) shape", .reshape(shape), inputs: [to], outputs: [layer.y]),
            ]
        }
    }
}
