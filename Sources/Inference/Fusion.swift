// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Rewrites a graph into one with fewer and larger nodes that computes the same up to rounding.
///
/// - Batch normalization becomes part of the convolution before it, or a depthwise 1x1 convolution.
/// - x^2 and x^0.5 become a product and a root.
/// - x * sigmoid(x) and x * hardSigmoid(x) become SiLU and HardSwish.
/// - An addition of two equal shapes becomes the residual of a convolution that nothing else reads.
/// - Channel shuffles become selections (`ChannelViews`), transposed convolutions others (`TransposedLayers`).
/// - Fully connected layers take the form of `DenseFusion`.
/// - An activation becomes part of the layer before it, padding with zeros part of the window behind it.
///
/// What stands between merged nodes must be plain `float32`, or padding, which is stored exactly: rounding of stored values is
/// never dropped.
package enum Fusion {
    package static func fused(_ graph: Graph) -> Graph {
        var work = Work(DenseFusion.fused(TransposedLayers.written(ChannelViews.selected(graph))))
        for node in work.graph.nodes { work.add(node) }
        return work.finished()
    }

    private struct Work {
        var graph: Graph
        /// Nil where a node was merged into a later one.
        var nodes: [Node?] = []
        /// Index in `nodes` of what computes a value.
        var producers: [ValueID: Int] = [:]
        /// How many nodes and graph outputs read a value.
        var uses: [ValueID: Int] = [:]

        init(_ graph: Graph) {
            self.graph = graph
            for id in graph.outputs { uses[id, default: 0] += 1 }
            for node in graph.nodes {
                for case let id? in node.inputs { uses[id, default: 0] += 1 }
            }
        }

        mutating func add(_ node: Node) {
            var node = node
            while let merged = merged(node) { node = merged }
            for case let id? in node.outputs { producers[id] = nodes.count }
            nodes.append(node)
        }

        func finished() -> Graph {
            var result = graph
            result.nodes = nodes.compactMap { $0 }
            result.removeUnused()
            return result
        }

        /// The node in a simpler form, having swallowed one before it; nil when there is nothing more to do.
        private mutating func merged(_ node: Node) -> Node? {
            switch node.operation {
            case .batchNormalization(let epsilon): normalized(node, epsilon)
            case .binary(.multiply, .none): gated(node)
            case .binary(.add, .none): residual(node)
            case .binary(.power, .none): multiplied(node)
            case .unary(let function): activated(node, function)
            case .convolution(let convolution): padded(node, convolution)
            case .averagePool(let pool): padded(node, pool)
            default: nil
            }
        }

        // MARK: Lookups

        /// The producer of a plain value that one reader alone reads.
        private func soleProducer(_ id: ValueID?, readers: Int = 1) -> (index: Int, node: Node)? {
            guard let id, uses[id] == readers, graph[id].type == .float32, let index = producers[id],
                let node = nodes[index], node.outputs.count == 1
            else { return nil }
            return (index, node)
        }

        private func floats(_ id: ValueID?) -> Tensor? {
            guard let id, let tensor = graph.constants[id], tensor.type == .float32 else { return nil }
            return tensor
        }

        /// Forgets a producer whose work `inputs` of a later node now stand for.
        private mutating func swallow(_ index: Int) {
            if let id = nodes[index]?.outputs.first, let id { uses[id] = 0 }
            nodes[index] = nil
        }

        // MARK: Rewrites

        /// w' = w * s, b' = (b - mean) * s + bias with s = 1 / sqrt(variance + epsilon) * scale
        private mutating func normalized(_ node: Node, _ epsilon: Float) -> Node? {
            guard let x = node.inputs[0], graph[x].type == .float32, let scale = floats(node.inputs[1]),
                let bias = floats(node.inputs[2]), let mean = floats(node.inputs[3]),
                let variance = floats(node.inputs[4])
            else { return nil }
            func array(_ tensor: Tensor) -> [Float] { tensor.array(of: Float.self) }
            let factors = zip(array(scale), array(variance)).map { (1 / ($1 + epsilon).squareRoot()) * $0 }
            let channels = factors.count
            if let (index, layer) = soleProducer(x), case .convolution(let convolution) = layer.operation,
                !layer.meansFloats, convolution.activation == .none, convolution.residual == nil,
                let weightID = layer.inputs[1],
                let weight = floats(weightID), channels == weight.shape[0],
                layer.inputs.count < 3 || layer.inputs[2] == nil || floats(layer.inputs[2]) != nil
            {
                let old = layer.inputs.count > 2 ? floats(layer.inputs[2]).map(array) : nil
                let depth = weight.count / max(channels, 1)
                var (weights, biases) = (array(weight), array(bias))
                let means = array(mean)
                for index in weights.indices { weights[index] *= factors[index / depth] }
                for channel in 0..<channels {
                    biases[channel] += ((old?[channel] ?? 0) - means[channel]) * factors[channel]
                }
                let newWeight = Tensor(weight.shape, weights)
                let newBias = Tensor([channels], biases)
                let name = graph[weightID].name
                let inputs = [
                    layer.inputs[0], graph.addConstant("\(name) normalized", newWeight),
                    graph.addConstant("\(name) bias", newBias),
                ]
                swallow(index)
                return Node(layer.name, .convolution(convolution), inputs: inputs, outputs: node.outputs)
            }
            guard graph[x].shape.rank == 4, channels > 0 else { return nil }
            let offsets = (0..<channels).map { array(bias)[$0] - array(mean)[$0] * factors[$0] }
            return Node(
                node.name, .convolution(Convolution(kernel: [1, 1], groups: channels)),
                inputs: [
                    x, graph.addConstant("\(node.name) factors", Tensor([channels, 1, 1, 1], factors)),
                    graph.addConstant("\(node.name) offsets", Tensor([channels], offsets)),
                ], outputs: node.outputs, meansFloats: node.meansFloats)
        }

        /// x * sigmoid(x), x * hardSigmoid(x)
        private mutating func gated(_ node: Node) -> Node? {
            for (gate, x) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
                guard let (index, producer) = soleProducer(gate), let x, producer.inputs[0] == x,
                    graph[x].type == .float32,
                    case .unary(let function) = producer.operation
                else { continue }
                let result: Unary
                switch function {
                case .sigmoid: result = .silu
                case .hardSigmoid(let slope, let offset) where abs(slope - 1 / 6) < 1e-6 && offset == 0.5:
                    result = .hardSwish
                default: continue
                }
                swallow(index)
                uses[x, default: 0] -= 1
                return Node(node.name, .unary(result), inputs: [x], outputs: node.outputs)
            }
            return nil
        }

        /// x^2, x^0.5
        private mutating func multiplied(_ node: Node) -> Node? {
            guard let x = node.inputs[0], graph[x].type == .float32, let y = node.outputs[0],
                graph[y].type == .float32, graph[x].shape == graph[y].shape, let exponent = floats(node.inputs[1]),
                exponent.count == 1
            else { return nil }
            switch exponent.array(of: Float.self)[0] {
            case 2:
                uses[x, default: 0] += 1
                return Node(node.name, .binary(.multiply), inputs: [x, x], outputs: node.outputs)
            case 0.5: return Node(node.name, .unary(.sqrt), inputs: [x], outputs: node.outputs)
            default: return nil
            }
        }

        private mutating func residual(_ node: Node) -> Node? {
            guard let output = node.outputs[0], graph[output].type == .float32 else { return nil }
            let pairs = [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])]
            // Of two convolutions the later one takes the sum.
            let candidates = pairs.compactMap { sum, other -> (Int, Node, ValueID)? in
                guard let (index, layer) = soleProducer(sum), let other, other != sum, graph[other].type == .float32,
                    graph[other].shape == graph[output].shape, graph.constants[other] == nil,
                    let x = layer.inputs[0], graph[x].type == .float32, !layer.meansFloats,
                    case .convolution(let convolution) = layer.operation, convolution.residual == nil
                else { return nil }
                return (index, layer, other)
            }
            guard let (index, layer, other) = candidates.max(by: { $0.0 < $1.0 }),
                case .convolution(var convolution) = layer.operation, let sum = layer.outputs[0],
                graph[sum].shape == graph[output].shape
            else { return nil }
            convolution.residual = convolution.activation == .none ? .beforeActivation : .afterActivation
            let inputs = [layer.inputs[0], layer.inputs[1], layer.inputs.count > 2 ? layer.inputs[2] : nil, other]
            swallow(index)
            return Node(layer.name, .convolution(convolution), inputs: inputs, outputs: node.outputs)
        }

        private mutating func activated(_ node: Node, _ function: Unary) -> Node? {
            guard let (index, layer) = soleProducer(node.inputs[0]), let activation = Activation(function),
                let output = node.outputs[0], graph[output].type == .float32
            else { return nil }
            let operation: Operator
            switch layer.operation {
            case .convolution(var convolution)
            where convolution.activation == .none && convolution.residual != .afterActivation:
                convolution.activation = activation
                operation = .convolution(convolution)
            case .gemm(var gemm) where gemm.activation == .none:
                gemm.activation = activation
                operation = .gemm(gemm)
            case .binary(let binary, .none) where !binary.isComparison && !binary.isLogic:
                operation = .binary(binary, activation: activation)
            default: return nil
            }
            swallow(index)
            return Node(
                layer.name, operation, inputs: layer.inputs, outputs: node.outputs, meansFloats: layer.meansFloats)
        }

        private mutating func padded(_ node: Node, _ convolution: Convolution) -> Node? {
            guard let (x, added) = swallowedPadding(node) else { return nil }
            var wider = convolution
            wider.pads = zip(convolution.pads, added).map(+)
            return Node(
                node.name, .convolution(wider), inputs: [x] + node.inputs.dropFirst(), outputs: node.outputs,
                meansFloats: node.meansFloats)
        }

        /// A mean over padding that another node has put there.
        private mutating func padded(_ node: Node, _ pool: Pool) -> Node? {
            guard pool.pads.allSatisfy({ $0 == 0 }), !pool.roundsUp, !node.meansFloats, let id = node.inputs[0],
                graph[id].quantization == nil, let (x, added) = swallowedPadding(node)
            else { return nil }
            var wider = pool
            wider.pads = added
            wider.countsPadding = true
            return Node(node.name, .averagePool(wider), inputs: [x], outputs: node.outputs)
        }

        /// What a node pads with zeros for this one alone along spatial axes, and how much: the begins, then the ends.
        private mutating func swallowedPadding(_ node: Node) -> (ValueID, [Int])? {
            guard let id = node.inputs[0], uses[id] == 1, let index = producers[id], let producer = nodes[index],
                case .pad(let pad) = producer.operation, pad.mode == .constant, let x = producer.inputs[0],
                graph[x].type == graph[id].type, graph[x].quantization == graph[id].quantization,
                graph[id].type == .float32 || graph[id].quantization != nil
            else { return nil }
            if producer.inputs.count > 1, let value = producer.inputs[1] {
                guard let constant = graph.constants[value], constant.count == 1,
                    let real = graph[value].realNumbers(constant),
                    real[0] == 0
                else { return nil }
            }
            let rank = graph[x].shape.rank
            guard pad.pads.count == 2 * rank, rank > 2, pad.pads.allSatisfy({ $0 >= 0 }),
                [pad.pads[0], pad.pads[1], pad.pads[rank], pad.pads[rank + 1]].allSatisfy({ $0 == 0 })
            else { return nil }
            swallow(index)
            return (x, Array(pad.pads[2..<rank]) + Array(pad.pads[(rank + 2)...]))
        }
    }
}

extension Activation {
    /// Nil for functions that layers do not end with.
    init?(_ function: Unary) {
        switch function {
        case .relu: self = .relu
        case .sigmoid: self = .sigmoid
        case .silu: self = .silu
        case .hardSwish: self = .hardSwish
        case .tanh: self = .tanh
        case .leakyRelu(let slope): self = .leakyRelu(slope: slope)
        case .hardSigmoid(let slope, let offset): self = .hardSigmoid(slope: slope, offset: offset)
        case .clip(let low, let high): self = low == 0 && high == 6 ? .relu6 : .clip(low: low, high: high)
        default: return nil
        }
    }
}
