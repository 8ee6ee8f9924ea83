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
        guard let weights = node.inputs[1], graph.constants[weights]?.type == .float32 else { return false }
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

    /// A state that is given from outside may be any that such a layer can end in.
    static func includeGivenStates(_ graph: Graph, in ranges: inout ValueRanges) {
        for node in graph.nodes {
            guard case .recurrent = node.operation, isLayer(node, graph), let y = node.outputs[0],
                node.inputs.count > 5, node.inputs[5] != nil
            else { continue }
            ranges.include(-1...1, of: y)
        }
    }

    /// The values from which the range of a hidden state is known.
    static func states(_ graph: Graph) -> Set<ValueID> {
        Set(
            graph.nodes.compactMap { node in
                if case .recurrent = node.operation, isLayer(node, graph) { node.outputs[0] } else { nil }
            })
    }
}

extension QuantizedGraphBuilder {
    mutating func addDense(_ node: Node, _ gemm: Gemm) {
        guard let input = node.inputs[0], let weights = node.inputs[1], let output = node.outputs[0] else { return }
        var inputs: [ValueID?] = [integer(input), addRows(weights, products: widths.dense)]
        if node.inputs.count > 2, let bias = node.inputs[2] { inputs.append(float(bias)) }
        let result = plan.quantized.contains(output) ? addInteger(output) : addFloat(output)
        graph.nodes.append(
            Node(
                node.name, node.operation, inputs: inputs, outputs: [result],
                kernel: KernelHint(laneProducts: widths.dense)))
    }

    /// A layer of two directions becomes two layers, so that each row of weights has a scale of its own.
    mutating func addRecurrent(_ node: Node, _ recurrent: Recurrent) {
        guard let x = node.inputs[0] else { return }
        let x8 = integer(x)
        let y = node.outputs[0]
        var attributes = recurrent
        attributes.state = y.map { parameters[$0] ?? state($0) } ?? QuantizationPlan.parameters(covering: -1...1)
        let storesIntegers = y.map(plan.quantized.contains) ?? false
        guard recurrent.directions == 2 else {
            let inputs = [x8] + recurrentInputs(node, direction: nil)
            var outputs = node.outputs
            outputs[0] = y.map { storesIntegers ? addInteger($0) : addFloat($0) }
            for index in outputs.indices.dropFirst() { outputs[index] = node.outputs[index].map { addFloat($0) } }
            append(node.name, attributes, inputs, outputs)
            return
        }
        var parts: [[ValueID?]] = []
        for (direction, way) in [Recurrent.Direction.forward, .reverse].enumerated() {
            attributes.direction = way
            attributes.functions = Array(recurrent.functions.prefix(recurrent.functions.count / 2))
            let outputs = node.outputs.enumerated().map { index, id -> ValueID? in
                guard let id else { return nil }
                var value = source[id]
                value.name += " \(way.rawValue)"
                value.shape = half(value.shape, index, recurrent)
                if index == 0, storesIntegers {
                    value.type = .uint8
                    value.quantization = attributes.state
                }
                return graph.addValue(value)
            }
            append(
                "\(node.name) \(way.rawValue)", attributes, [x8] + recurrentInputs(node, direction: direction), outputs)
            parts.append(outputs)
        }
        for (index, id) in node.outputs.enumerated() {
            guard let id else { continue }
            let whole = index == 0 && storesIntegers ? addInteger(id) : addFloat(id)
            graph.nodes.append(
                Node(
                    "\(node.name) both", .concat(axis: directionAxis(index, recurrent)),
                    inputs: parts.map { $0[index] }, outputs: [whole]))
        }
    }

    private mutating func append(_ name: String, _ attributes: Recurrent, _ inputs: [ValueID?], _ outputs: [ValueID?]) {
        graph.nodes.append(
            Node(
                name, .recurrent(attributes), inputs: inputs, outputs: outputs,
                kernel: KernelHint(laneProducts: widths.recurrent)))
    }

    /// Scale and zero point of a state that is stored nowhere else.
    private func state(_ y: ValueID) -> QuantizationParameters {
        let range = ranges[y]
        return QuantizationPlan.parameters(covering: range.lowerBound < range.upperBound ? range : -1...1)
    }

    /// Axis of the directions in y (`index` 0) or a state.
    private func directionAxis(_ index: Int, _ recurrent: Recurrent) -> Int {
        index == 0 ? (recurrent.batchFirst ? 2 : 1) : (recurrent.batchFirst ? 1 : 0)
    }

    private func half(_ shape: Shape, _ index: Int, _ recurrent: Recurrent) -> Shape {
        var extents = shape.dimensions
        extents[directionAxis(index, recurrent)] = 1
        return Shape(extents)
    }

    /// Everything after x: weights, recurrence, bias, nothing, initial states; of one direction if there are two.
    private mutating func recurrentInputs(_ node: Node, direction: Int?) -> [ValueID?] {
        guard case .recurrent(let recurrent) = node.operation else { return [] }
        return node.inputs.enumerated().dropFirst().map { index, id in
            guard let id else { return nil }
            switch index {
            case 1, 2: return addRows(id, products: widths.recurrent, direction: direction)
            case 3:
                guard let direction, let tensor = source.constants[id] else { return float(id) }
                return graph.addConstant(source[id].name, tensor.part(direction))
            default:
                guard let direction else { return float(id) }
                let axis = directionAxis(1, recurrent)
                var (starts, shape) = ([Int](repeating: 0, count: 3), source[id].shape.dimensions)
                starts[axis] = direction
                shape[axis] = 1
                let whole = float(id)
                let part = graph.addValue(
                    Value(name: "\(source[id].name) \(direction)", type: .float32, shape: Shape(shape)))
                graph.nodes.append(
                    Node(
                        "\(node.name) initial", .slice(Slice(starts: starts, steps: [1, 1, 1], sizes: shape)),
                        inputs: [whole], outputs: [part]))
                return part
            }
        }
    }

    /// Weights [..., N, K] as int8 with a scale per row n, of one direction if there are two.
    private mutating func addRows(_ id: ValueID, products: Int, direction: Int? = nil) -> ValueID {
        guard let whole = source.constants[id] else { return float(id) }
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
