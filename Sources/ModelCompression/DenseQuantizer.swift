// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Turns fully connected and recurrent layers of a graph into integer layers, in place. Other layers may be integer layers
/// already.
///
/// Values are stored as uint8 with one scale and zero point from the smallest and largest number seen; between two such
/// layers they stay so, also through operators that only move them.
struct DenseQuantizer {
    private let source: Graph
    private var layers: Set<Int> = []
    private var movers: Set<Int> = []
    /// Values that are read as uint8.
    private(set) var quantized: Set<ValueID> = []
    private let producers: [ValueID: Int]
    private var ranges: [ValueID: ClosedRange<Float>] = [:]

    // What is being built.
    private(set) var graph: Graph
    private var nodes: [Node] = []
    private var integers: [ValueID: ValueID] = [:]
    private var parameters: [ValueID: QuantizationParameters] = [:]
    let widths: DenseQuantization.Widths

    init(_ graph: Graph, widths: DenseQuantization.Widths = .init()) {
        source = graph
        self.graph = graph
        self.widths = widths
        producers = graph.producers
        for (index, node) in graph.nodes.enumerated() {
            if DenseQuantization.isLayer(node, graph) { layers.insert(index) }
            if DenseQuantization.isMover(node, graph) { movers.insert(index) }
        }
        dropMoversOfFloat()
        quantized = Set(layers.union(movers).compactMap { graph.nodes[$0].inputs[0] })
    }

    /// The values whose ranges have to be measured: what is stored, and what hidden states can be told from.
    var observed: Set<ValueID> { quantized.union(layers.compactMap { source.nodes[$0].outputs[0] }) }

    /// A mover works on integers if it gets them from a layer, perhaps through another mover, and hands them to one.
    private mutating func dropMoversOfFloat() {
        let consumers = source.consumers
        func works(_ index: Int) -> Bool { layers.contains(index) || movers.contains(index) }
        var changed = true
        while changed {
            changed = false
            for index in movers {
                let node = source.nodes[index]
                let comes = node.inputs[0].flatMap { producers[$0] }.map(works) ?? false
                let goes = node.outputs[0].flatMap { consumers[$0] }?.contains(where: works) ?? false
                if !comes || !goes {
                    movers.remove(index)
                    changed = true
                }
            }
        }
    }

    // MARK: Ranges

    mutating func include(_ values: [ValueID: Tensor]) {
        for (id, tensor) in values where tensor.type == .float32 {
            let finite = tensor.elements(as: Float.self).lazy.filter(\.isFinite)
            guard let first = finite.first else { continue }
            var (low, high) = (first, first)
            for element in finite { (low, high) = (min(low, element), max(high, element)) }
            include(low...high, of: id)
        }
    }

    private mutating func include(_ range: ClosedRange<Float>, of id: ValueID) {
        ranges[id] =
            ranges[id].map { min($0.lowerBound, range.lowerBound)...max($0.upperBound, range.upperBound) } ?? range
    }

    private mutating func chooseParameters() {
        for index in layers {
            let node = source.nodes[index]
            // A state that is given from outside may be any that such a layer can end in.
            guard case .recurrent = node.operation, node.inputs.count > 5, node.inputs[5] != nil,
                let y = node.outputs[0]
            else { continue }
            include(-1...1, of: y)
        }
        for id in observed where parameters[id] == nil {
            if let (_, known) = stored(id) {
                parameters[id] = known
            } else if let range = ranges[id] {
                parameters[id] = Self.parameters(covering: range)
            }
        }
        // Moved numbers are stored as they were.
        for index in movers.sorted() {
            guard let from = source.nodes[index].inputs[0], let to = source.nodes[index].outputs[0] else { continue }
            parameters[to] = parameters[from]
        }
    }

    /// The uint8 value that a float one was made of, if it has one scale.
    private func stored(_ id: ValueID) -> (ValueID, QuantizationParameters)? {
        guard let index = producers[id], case .dequantizeLinear = source.nodes[index].operation,
            let from = source.nodes[index].inputs[0], source[from].type == .uint8,
            let parameters = source[from].quantization, parameters.scales.count == 1
        else { return nil }
        return (from, parameters)
    }

    /// uint8 over the range, which is widened to contain zero.
    static func parameters(covering range: ClosedRange<Float>) -> QuantizationParameters {
        let (low, high) = (min(range.lowerBound, 0), max(range.upperBound, 0))
        let scale = max((high - low) / 255, 1e-8)
        return QuantizationParameters(scale: scale, zeroPoint: Int32(min(max((-low / scale).rounded(), 0), 255)))
    }

    // MARK: Building

    /// The graph with integer layers. Ranges of `observed` must have been included.
    mutating func build() throws -> Graph {
        chooseParameters()
        for (index, node) in source.nodes.enumerated() {
            if layers.contains(index) {
                switch node.operation {
                case .recurrent(let recurrent): addRecurrent(node, recurrent)
                default: addDense(node)
                }
            } else if movers.contains(index), let x = node.inputs[0], let y = node.outputs[0] {
                nodes.append(Node(node.name, node.operation, inputs: [integer(x)], outputs: [addInteger(y)]))
                addFloat(y)
            } else {
                nodes.append(node)
            }
        }
        graph.nodes = nodes
        graph.removeUnused()
        try graph.validate()
        return graph
    }

    private mutating func addInteger(_ id: ValueID) -> ValueID {
        var value = source[id]
        value.type = .uint8
        value.quantization = parameters[id] ?? Self.parameters(covering: -1...1)
        value.name += " stored"
        let result = graph.addValue(value)
        integers[id] = result
        return result
    }

    /// The value as uint8, converted from float if it is there only so.
    private mutating func integer(_ id: ValueID) -> ValueID {
        if let known = integers[id] ?? stored(id)?.0 { return known }
        let result = addInteger(id)
        nodes.append(Node("quantize \(source[id].name)", .quantizeLinear, inputs: [id], outputs: [result]))
        return result
    }

    /// The float value of integers, which is removed again if nobody reads it.
    private mutating func addFloat(_ id: ValueID) {
        nodes.append(
            Node("dequantize \(source[id].name)", .dequantizeLinear, inputs: [integers[id]], outputs: [id]))
    }

    private mutating func addDense(_ node: Node) {
        guard let x = node.inputs[0], let weights = node.inputs[1], let y = node.outputs[0] else { return }
        let inputs = [integer(x), addRows(weights, products: widths.dense)] + node.inputs.dropFirst(2)
        let result = quantized.contains(y) ? addInteger(y) : y
        nodes.append(
            Node(
                node.name, node.operation, inputs: inputs, outputs: [result],
                kernel: KernelHint(laneProducts: widths.dense)))
        if result != y { addFloat(y) }
    }

    // MARK: Recurrent layers

    /// A layer of two directions becomes two layers, so that each row of weights has a scale of its own.
    private mutating func addRecurrent(_ node: Node, _ recurrent: Recurrent) {
        guard let x = node.inputs[0] else { return }
        let stored = integer(x)
        let y = node.outputs[0]
        var attributes = recurrent
        attributes.state = y.flatMap { parameters[$0] } ?? Self.parameters(covering: -1...1)
        let storesIntegers = y.map(quantized.contains) ?? false
        if recurrent.directions == 1 {
            var outputs = node.outputs
            if storesIntegers { outputs[0] = y.map { addInteger($0) } }
            append(node.name, attributes, [stored] + recurrentInputs(node, recurrent, direction: nil), outputs)
        } else {
            var parts: [[ValueID?]] = []
            for (direction, way) in [Recurrent.Direction.forward, .reverse].enumerated() {
                attributes.direction = way
                attributes.functions = Array(recurrent.functions.prefix(recurrent.functions.count / 2))
                let outputs = node.outputs.enumerated().map { index, id in
                    id.map { addPart($0, index, way, recurrent, storesIntegers ? attributes.state : nil) }
                }
                append(
                    "\(node.name) \(way.rawValue)", attributes,
                    [stored] + recurrentInputs(node, recurrent, direction: direction), outputs)
                parts.append(outputs)
            }
            for (index, id) in node.outputs.enumerated() {
                guard let id else { continue }
                let whole = index == 0 && storesIntegers ? addInteger(id) : id
                nodes.append(
                    Node(
                        "\(node.name) both", .concat(axis: directionAxis(index, recurrent)),
                        inputs: parts.map { $0[index] }, outputs: [whole]))
            }
        }
        if storesIntegers, let y { addFloat(y) }
    }

    /// Output `index` of one direction.
    private mutating func addPart(
        _ id: ValueID, _ index: Int, _ way: Recurrent.Direction, _ recurrent: Recurrent,
        _ state: QuantizationParameters?
    ) -> ValueID {
        var value = source[id]
        value.name += " \(way.rawValue)"
        var extents = value.shape.dimensions
        extents[directionAxis(index, recurrent)] = 1
        value.shape = Shape(extents)
        if index == 0, let state {
            value.type = .uint8
            value.quantization = state
        }
        return graph.addValue(value)
    }

    private mutating func append(_ name: String, _ attributes: Recurrent, _ inputs: [ValueID?], _ outputs: [ValueID?]) {
        nodes.append(
            Node(
                name, .recurrent(attributes), inputs: inputs, outputs: outputs,
                kernel: KernelHint(laneProducts: widths.recurrent)))
    }

    /// Axis of the directions in y (`index` 0) or a state.
    private func directionAxis(_ index: Int, _ recurrent: Recurrent) -> Int {
        index == 0 ? (recurrent.batchFirst ? 2 : 1) : (recurrent.batchFirst ? 1 : 0)
    }

    /// Everything after x: weights, recurrence, bias, nothing, initial states; of one direction if there are two.
    private mutating func recurrentInputs(_ node: Node, _ recurrent: Recurrent, direction: Int?) -> [ValueID?] {
        node.inputs.enumerated().dropFirst().map { index, id in
            guard let id else { return nil }
            if index <= 2 { return addRows(id, products: widths.recurrent, direction: direction) }
            guard let direction else { return id }
            if let tensor = source.constants[id], index == 3 {
                return graph.addConstant(source[id].name, tensor.part(direction))
            }
            let axis = directionAxis(1, recurrent)
            var (starts, shape) = ([Int](repeating: 0, count: 3), source[id].shape.dimensions)
            starts[axis] = direction
            shape[axis] = 1
            let part = graph.addValue(
                Value(name: "\(source[id].name) \(direction)", type: .float32, shape: Shape(shape)))
            nodes.append(
                Node(
                    "\(node.name) initial", .slice(Slice(starts: starts, steps: [1, 1, 1], sizes: shape)), inputs: [id],
                    outputs: [part]))
            return part
        }
    }

    /// Weights [..., N, K] as int8 with a scale per row n, of one direction if there are two.
    private mutating func addRows(_ id: ValueID, products: Int, direction: Int? = nil) -> ValueID {
        guard let whole = source.constants[id] else { return id }
        let tensor = direction.map { whole.part($0) } ?? whole
        let shape = tensor.shape
        let (axis, steps) = (shape.rank - 2, shape[shape.rank - 1])
        let rows = shape[axis]
        let values = tensor.array(of: Float.self)
        let result = Tensor(.int8, shape)
        let stored = result.mutableElements(as: Int8.self)
        var scales: [Float] = []
        for row in 0..<rows {
            let rounded = LaneRounding.round(Array(values[(row * steps)..<((row + 1) * steps)]), products: products)
            scales.append(rounded.scale)
            for (step, weight) in rounded.weights.enumerated() { stored[row * steps + step] = weight }
        }
        return graph.addConstant(
            source[id].name, result,
            quantization: QuantizationParameters(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: axis))
    }
}

extension Tensor {
    /// Index `index` of the outermost axis, which stays with an extent of one.
    fileprivate func part(_ index: Int) -> Tensor {
        let size = count / shape[0]
        return Tensor(
            Shape([1] + shape.dimensions.dropFirst()),
            Array(array(of: Float.self)[(index * size)..<((index + 1) * size)]))
    }
}
