// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Model {
    /// The same network as one that takes frames: image inputs are `float32` with channels second, outputs are not quantized.
    /// Files of other kinds have images with channels last, or as integers; names stay.
    package func takingFrames() -> Model {
        var result = self
        var changed = false
        for name in preprocessing.keys.sorted() {
            guard let id = result.graph.input(named: name) else { continue }
            let value = result.graph[id]
            let isLast = InterpretationGuess.hasChannelsLast(value.shape)
            if isLast || value.quantization != nil { result.graph.convertImage(id, isLast: isLast) } else { continue }
            changed = true
        }
        if preprocessing.isEmpty { return self }
        for id in graph.outputs where graph[id].quantization != nil {
            result.graph.convertOutput(id)
            changed = true
        }
        guard changed else { return self }
        result.graph = QuantizationFolding.folded(result.graph).mergingTransposes()
        return result
    }
}

extension Graph {
    /// Puts a `float32` input with channels second before an input of four axes, which it takes the name of.
    fileprivate mutating func convertImage(_ id: ValueID, isLast: Bool) {
        let value = self[id]
        let shape: Shape = isLast ? [value.shape[0], value.shape[3], value.shape[1], value.shape[2]] : value.shape
        let input = addValue(Value(name: value.name, type: .float32, shape: shape))
        inputs = inputs.map { $0 == id ? input : $0 }
        var last = input
        var front: [Node] = []
        if value.quantization != nil {
            let stored = isLast ? addValue(Value(name: value.name, type: value.type, shape: shape)) : id
            self[stored].quantization = value.quantization
            front.append(Node("\(value.name) stored", .quantizeLinear, inputs: [last], outputs: [stored]))
            last = stored
        }
        if isLast {
            front.append(
                Node(
                    "\(value.name) channels last", .transpose(permutation: [0, 2, 3, 1]), inputs: [last], outputs: [id])
            )
        }
        nodes = front + nodes
    }

    fileprivate mutating func convertOutput(_ id: ValueID) {
        let output = addValue(Value(name: self[id].name, type: .float32, shape: self[id].shape))
        nodes.append(Node("\(self[id].name) as float", .dequantizeLinear, inputs: [id], outputs: [output]))
        outputs = outputs.map { $0 == id ? output : $0 }
    }

    /// The same network in which no transposition follows another one.
    package func mergingTransposes() -> Graph {
        var result = self
        let ends = Set(outputs)
        /// Where a transposed value comes from, and how its axes are ordered.
        var origins: [ValueID: (source: ValueID, permutation: [Int])] = [:]
        var same: [ValueID: ValueID] = [:]
        result.nodes = nodes.compactMap { node in
            var node = node
            node.inputs = node.inputs.map { id in id.map { same[$0] ?? $0 } }
            guard case .transpose(var permutation) = node.operation, var source = node.inputs[0],
                let output = node.outputs[0], self[source].type == self[output].type,
                self[source].quantization == self[output].quantization
            else { return node }
            if let origin = origins[source] {
                permutation = permutation.map { origin.permutation[$0] }
                source = origin.source
            }
            origins[output] = (source, permutation)
            if permutation == Array(permutation.indices) && !ends.contains(output) {
                same[output] = source
                return nil
            }
            return Node(node.name, .transpose(permutation: permutation), inputs: [source], outputs: [output])
        }
        result.removeUnused()
        return result
    }
}
