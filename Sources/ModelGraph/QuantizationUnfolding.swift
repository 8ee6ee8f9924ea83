// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Graph {
    /// The same network in which the nodes of the given indices work on float between conversions. What they compute stays:
    /// that is what an operator on quantized values means. An engine asks for it where it has no kernel for the integers.
    package func unfolded(_ indices: Set<Int>) -> Graph {
        var result = self
        var floats: [ValueID: ValueID] = [:]
        result.nodes = []
        for (index, node) in nodes.enumerated() {
            guard indices.contains(index) else {
                result.nodes.append(node)
                continue
            }
            var node = node
            node.inputs = node.inputs.map { id in
                guard let id, self[id].quantization != nil else { return id }
                if let known = floats[id] { return known }
                let float = result.addValue(Value(name: self[id].name, type: .float32, shape: self[id].shape))
                result.nodes.append(
                    Node("\(self[id].name) as float", .dequantizeLinear, inputs: [id], outputs: [float]))
                floats[id] = float
                return float
            }
            var conversions: [Node] = []
            node.outputs = node.outputs.map { id in
                guard let id, self[id].quantization != nil else { return id }
                let float = result.addValue(Value(name: self[id].name, type: .float32, shape: self[id].shape))
                conversions.append(
                    Node("\(self[id].name) stored", .quantizeLinear, inputs: [float], outputs: [id]))
                return float
            }
            result.nodes += [node] + conversions
        }
        return result
    }

    /// Whether a node computes on quantized values, which it could do in float between conversions.
    package func isUnfoldable(_ node: Node) -> Bool {
        if node.operation.movesStoredNumbers(node, in: self) { return false }
        return switch node.operation {
        case .quantizeLinear, .dequantizeLinear, .reinterpret: false
        // Its state is stored between the steps.
        case .recurrent(let recurrent) where recurrent.state != nil: false
        default: (node.inputs + node.outputs).contains { id in id.map { self[$0].quantization != nil } ?? false }
        }
    }

    /// The same network in which constants that are dequantized, or read by a layer over float, are float themselves.
    package func withFloatConstants() -> Graph {
        guard constants.keys.contains(where: { self[$0].quantization != nil }) else { return self }
        var result = self
        var floats: [ValueID: ValueID] = [:]
        func float(_ id: ValueID) -> ValueID {
            if let known = floats[id] { return known }
            guard let tensor = constants[id], let quantization = self[id].quantization else { return id }
            let made = result.addConstant(self[id].name, ReferenceEvaluator.dequantize(tensor, quantization))
            floats[id] = made
            return made
        }
        result.nodes = nodes.compactMap { node in
            var node = node
            if case .dequantizeLinear = node.operation, let x = node.inputs[0], let y = node.outputs[0],
                constants[x] != nil, !outputs.contains(y)
            {
                floats[y] = float(x)
                return nil
            }
            node.inputs = node.inputs.map { id in id.map { floats[$0] ?? $0 } }
            let isFloat = (node.inputs + node.outputs).allSatisfy { id in
                id.map { result.constants[$0] != nil || result[$0].quantization == nil } ?? true
            }
            if isFloat { node.inputs = node.inputs.map { id in id.map(float) } }
            return node
        }
        result.removeUnused()
        return result
    }
}
