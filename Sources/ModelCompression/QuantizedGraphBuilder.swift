// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

/// Writes the quantized graph: the float graph's nodes in their order, on integers where the plan says so, with
/// conversions where integers and floats meet.
struct QuantizedGraphBuilder {
    private let source: Graph
    private let plan: QuantizationPlan
    private let parameters: [ValueID: QuantizationParameters]
    private var graph: Graph
    /// The uint8 form of a value, and its float form.
    private var integers: [ValueID: ValueID] = [:]
    private var floats: [ValueID: ValueID] = [:]

    init(_ source: Graph, plan: QuantizationPlan, parameters: [ValueID: QuantizationParameters]) {
        self.source = source
        self.plan = plan
        self.parameters = parameters
        graph = Graph()
    }

    mutating func build() throws -> Graph {
        for id in source.inputs {
            let copy = graph.addValue(source[id])
            graph.inputs.append(copy)
            floats[id] = copy
        }
        for (index, node) in source.nodes.enumerated() {
            if plan.layers.contains(index) {
                addLayer(node, index)
            } else if plan.carriers.contains(index) {
                addCarrier(node)
            } else {
                addFloat(node)
            }
        }
        graph.outputs = source.outputs.map { float($0) }
        graph.removeUnused()
        try graph.validate()
        return graph
    }

    // MARK: Nodes

    private mutating func addLayer(_ node: Node, _ index: Int) {
        guard case .convolution(let convolution) = node.operation, let input = node.inputs[0],
            let weight = node.inputs[1],
            let output = node.outputs[0]
        else { return }
        let isWinograd = convolution.gainsFromWinograd(channels: source[input].shape[1], output: source[output].shape)
        let limitsLanes = convolution.groups == 1 && !isWinograd
        var inputs: [ValueID?] = [integer(input), addWeights(weight, limitsLanes: limitsLanes)]
        inputs.append(node.inputs.count > 2 ? node.inputs[2].map { float($0) } : nil)
        if convolution.residual != nil, let residual = node.inputs[3] {
            inputs.append(plan.quantized.contains(residual) ? integer(residual) : float(residual))
        }
        let result = plan.storesIntegers(index) ? addInteger(output) : addFloat(output)
        graph.nodes.append(
            Node(
                node.name, node.operation, inputs: inputs, outputs: [result],
                kernel: convolution.groups == 1
                    ? KernelHint(laneProducts: limitsLanes ? 2 : 1, winograd: isWinograd) : nil))
    }

    private mutating func addCarrier(_ node: Node) {
        let inputs = node.inputs.map { $0.map { integer($0) } }
        let outputs = node.outputs.map { $0.map { plan.quantized.contains($0) ? addInteger($0) : addFloat($0) } }
        graph.nodes.append(Node(node.name, node.operation, inputs: inputs, outputs: outputs))
    }

    private mutating func addFloat(_ node: Node) {
        let inputs = node.inputs.map { $0.map { float($0) } }
        let outputs = node.outputs.map { $0.map { addFloat($0) } }
        graph.nodes.append(Node(node.name, node.operation, inputs: inputs, outputs: outputs, kernel: node.kernel))
    }

    // MARK: Values

    private mutating func addFloat(_ id: ValueID) -> ValueID {
        let copy = graph.addValue(source[id])
        floats[id] = copy
        return copy
    }

    private mutating func addInteger(_ id: ValueID) -> ValueID {
        var value = source[id]
        value.type = .uint8
        value.quantization = parameters[id]
        if source.outputs.contains(id) || source.inputs.contains(id) { value.name += "_quantized" }
        let copy = graph.addValue(value)
        integers[id] = copy
        return copy
    }

    /// The value as uint8, converted from float if it is there only so.
    private mutating func integer(_ id: ValueID) -> ValueID {
        if let known = integers[id] { return known }
        let from = float(id)
        let to = addInteger(id)
        graph.nodes.append(Node("quantize \(source[id].name)", .quantizeLinear, inputs: [from], outputs: [to]))
        return to
    }

    /// The value as it was, converted from uint8 if it is there only so.
    private mutating func float(_ id: ValueID) -> ValueID {
        if let known = floats[id] { return known }
        if let constant = source.constants[id] {
            let copy = graph.addConstant(source[id].name, constant)
            floats[id] = copy
            return copy
        }
        let copy = addFloat(id)
        if let from = integers[id] {
            graph.nodes.append(
                Node("dequantize \(source[id].name)", .dequantizeLinear, inputs: [from], outputs: [copy]))
        }
        return copy
    }

    /// Weights [K, C, kh, kw] as int8 with a scale per output channel.
    private mutating func addWeights(_ id: ValueID, limitsLanes: Bool) -> ValueID {
        if let known = integers[id] { return known }
        guard let tensor = source.constants[id] else { return float(id) }
        let shape = tensor.shape
        let (filters, channels) = (shape[0], shape[1])
        let taps = shape.count / max(filters * channels, 1)
        let values = tensor.elements(as: Float.self)
        let result = Tensor(.int8, shape)
        let stored = result.mutableElements(as: Int8.self)
        var scales: [Float] = []
        for filter in 0..<filters {
            let start = filter * channels * taps
            // In the order of the kernel's steps: taps, then channels.
            let ordered = (0..<channels * taps).map { step in values[start + step % channels * taps + step / channels] }
            let rounded = WeightRounding.round(ordered, limitsLanes: limitsLanes)
            scales.append(rounded.scale)
            for step in ordered.indices {
                stored[start + step % channels * taps + step / channels] = rounded.weights[step]
            }
        }
        let parameters = QuantizationParameters(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)
        let copy = graph.addConstant(source[id].name, result, quantization: parameters)
        integers[id] = copy
        return copy
    }
}
