// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

/// Writes the quantized graph: the float graph's nodes in their order, on integers where the plan says so, with
/// conversions where integers and floats meet.
struct QuantizedGraphBuilder {
    /// A layer whose weights are integers, and what they stand for.
    struct Layer {
        /// Index of the node in the quantized graph.
        var node: Int
        /// The constant of its weights there, int8 [K, C, taps...].
        var weights: ValueID
        /// The numbers to be rounded, in the shape of the weights: multiplied by the scales of the channels that they meet
        /// where these are added up.
        var exact: [Float]
        var isDepthwise: Bool
    }

    /// Of magnitudes of the weights of a filter: times 32768 + 4095, that of inputs, it stays within int32 with some to spare for
    /// rounding (`int8_word_sums_hold`).
    private static let largestSumOfWordWeights: Float = 57000

    private let source: Graph
    private let plan: QuantizationPlan
    private let parameters: [ValueID: QuantizationParameters]
    private var graph: Graph
    /// The uint8 form of a value, and its float form.
    private var integers: [ValueID: ValueID] = [:]
    private var floats: [ValueID: ValueID] = [:]
    /// What layers that add channels up read instead of an integer value.
    private var unscaled: [ValueID: ValueID] = [:]
    private(set) var layers: [Layer] = []

    init(_ source: Graph, plan: QuantizationPlan, parameters: [ValueID: QuantizationParameters]) {
        self.source = source
        self.plan = plan
        self.parameters = parameters
        graph = Graph()
    }

    /// The graph, in which nothing that is unused has been removed yet, and with weights rounded to the nearest.
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
        try graph.validate()
        return graph
    }

    // MARK: Nodes

    private mutating func addLayer(_ node: Node, _ index: Int) {
        guard case .convolution(let convolution) = node.operation, let input = node.inputs[0],
            let weight = node.inputs[1].flatMap({ source.constants[$0] }), let output = node.outputs[0]
        else { return }
        let isDepthwise = convolution.groups > 1
        let isWinograd = convolution.gainsFromWinograd(channels: source[input].shape[1], output: source[output].shape)
        let stored = integer(input)
        let takesWords = plan.words.contains(input)
        let hasWords = takesWords || plan.words.contains(output)
        let hasWordWeights = takesWords || (hasWords && isDepthwise)
        let weights =
            hasWordWeights
            ? addWordWeights(weight, isDepthwise: isDepthwise, input: graph[stored].quantization)
            : addWeights(weight, isDepthwise: isDepthwise, input: graph[stored].quantization)
        var inputs: [ValueID?] = [isDepthwise ? stored : withoutScales(stored), weights]
        inputs.append(node.inputs.count > 2 ? node.inputs[2].flatMap { source.constants[$0] }.map { addBias($0) } : nil)
        if convolution.residual != nil, let residual = node.inputs[3] { inputs.append(integer(residual)) }
        let result = plan.storesIntegers(index) ? addInteger(output) : addFloat(output)
        if !hasWordWeights { layers[layers.count - 1].node = graph.nodes.count }
        graph.nodes.append(
            Node(
                node.name, node.operation, inputs: inputs, outputs: [result],
                kernel: isDepthwise && !hasWords
                    ? nil : KernelHint(laneProducts: hasWordWeights ? 0 : 2, winograd: isWinograd && !hasWords)))
    }

    /// The same stored numbers with scale 1 in place of scales per channel.
    private mutating func withoutScales(_ id: ValueID) -> ValueID {
        if let known = unscaled[id] { return known }
        guard let parameters = graph[id].quantization, parameters.axis != nil else { return id }
        var value = graph[id]
        value.quantization = QuantizationParameters(
            scales: parameters.scales.map { _ in 1 }, zeroPoints: parameters.zeroPoints, axis: 1)
        let copy = graph.addValue(value)
        graph.nodes.append(Node("", .reinterpret, inputs: [id], outputs: [copy]))
        unscaled[id] = copy
        return copy
    }

    private mutating func addCarrier(_ node: Node) {
        let inputs = node.inputs.map { $0.map { integer($0) } }
        let outputs = node.outputs.map { $0.map { plan.quantized.contains($0) ? addInteger($0) : addFloat($0) } }
        graph.nodes.append(Node(node.name, node.operation, inputs: inputs, outputs: outputs))
    }

    private mutating func addFloat(_ node: Node) {
        var inputs = node.inputs.map { $0.map { float($0) } }
        if case .convolution = node.operation, let weight = node.inputs[1].flatMap({ source.constants[$0] }) {
            // They are in float because they are sensitive, or have no kernel for integers: 16 bits cost nothing there.
            inputs[1] = addStoredWeights(weight) ?? inputs[1]
        }
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
        value.type = plan.words.contains(id) ? .int16 : .uint8
        value.quantization = parameters[id]
        if source.outputs.contains(id) || source.inputs.contains(id) { value.name += "_quantized" }
        let copy = graph.addValue(value)
        integers[id] = copy
        return copy
    }

    /// The value as integers, converted from float if it is there only so.
    private mutating func integer(_ id: ValueID) -> ValueID {
        if let known = integers[id] { return known }
        let from = float(id)
        let to = addInteger(id)
        graph.nodes.append(Node("quantize \(source[id].name)", .quantizeLinear, inputs: [from], outputs: [to]))
        return to
    }

    /// The value as it was, converted from integers if it is there only so.
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
    private mutating func addWeights(
        _ tensor: Tensor, isDepthwise: Bool, input: QuantizationParameters?
    ) -> ValueID {
        let exact = exactWeights(tensor, isDepthwise: isDepthwise, input: input)
        let rounded = WeightRounding.round(exact, tensor.shape, limitsLanes: !isDepthwise)
        let id = graph.addConstant("", rounded.weights, quantization: rounded.parameters)
        layers.append(Layer(node: 0, weights: id, exact: exact, isDepthwise: isDepthwise))
        return id
    }

    /// Weights [K, C, kh, kw] of a layer over int16, as int16 with a scale per output channel: so fine that it does not matter how
    /// they are rounded, and such that no sum leaves int32.
    private mutating func addWordWeights(
        _ tensor: Tensor, isDepthwise: Bool, input: QuantizationParameters?
    ) -> ValueID {
        var exact = exactWeights(tensor, isDepthwise: isDepthwise, input: input)
        let length = exact.count / tensor.shape[0]
        var scales: [Float] = []
        for start in stride(from: 0, to: exact.count, by: length) {
            let filter = exact[start..<(start + length)]
            let scale = max(
                filter.reduce(0) { max($0, abs($1)) } / 32767,
                filter.reduce(0) { $0 + abs($1) } / Self.largestSumOfWordWeights, 1e-20)
            scales.append(scale)
            for index in filter.indices { exact[index] = (exact[index] / scale).rounded(.toNearestOrEven) }
        }
        let stored = Tensor(tensor.shape, exact.map { Int16(max(-32767, min(32767, $0))) })
        return graph.addConstant(
            "", stored,
            quantization: QuantizationParameters(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0))
    }

    /// Weights in steps of what they meet: multiplied by the scales of the channels where these are added up.
    private func exactWeights(_ tensor: Tensor, isDepthwise: Bool, input: QuantizationParameters?) -> [Float] {
        let (shape, channels) = (tensor.shape, tensor.shape[1])
        let taps = shape.count / max(shape[0] * channels, 1)
        var exact = tensor.array(of: Float.self)
        if !isDepthwise, let scales = input?.scales, input?.axis != nil {
            for index in exact.indices { exact[index] *= scales[index / taps % channels] }
        }
        return exact
    }

    /// Weights of a layer that computes in float, as int16 with a scale per output channel; nil if they are few.
    private mutating func addStoredWeights(_ tensor: Tensor) -> ValueID? {
        let values = tensor.type == .float32 ? tensor.array(of: Float.self) : []
        guard tensor.shape.rank > 2, values.count >= 64, values.allSatisfy(\.isFinite) else { return nil }
        let length = values.count / tensor.shape[0]
        let scales = (0..<tensor.shape[0]).map { filter in
            max(values[(filter * length)..<((filter + 1) * length)].reduce(0) { max($0, abs($1)) } / 32767, 1e-20)
        }
        return addInt16(
            tensor, QuantizationParameters(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0))
    }

    /// A bias as int16 with one scale: half the space, and finer than any activation by far.
    private mutating func addBias(_ tensor: Tensor) -> ValueID {
        let largest = tensor.elements(as: Float.self).reduce(0) { max($0, abs($1)) }
        guard largest > 0, largest.isFinite else { return graph.addConstant("", tensor) }
        return addInt16(tensor, QuantizationParameters(scale: largest / 32767, zeroPoint: 0))
    }

    private mutating func addInt16(_ tensor: Tensor, _ parameters: QuantizationParameters) -> ValueID {
        graph.addConstant(
            "", ReferenceEvaluator.quantize(tensor, parameters, to: .int16), quantization: parameters)
    }
}
