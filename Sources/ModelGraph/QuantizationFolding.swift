// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Turns a network that is written as float operators between conversions into one that works on stored integers.
///
/// - `dequantize -> operator -> quantize` becomes the operator on quantized values, where integers have kernels. By the
///   meaning of quantized values both compute the same.
/// - `dequantize -> quantize` becomes one conversion, or nothing where the parameters are the same.
/// - Activations of `int8` become `uint8` with a zero point that is greater by 128, weights of `uint8` become
///   `int8`, where they fit with the zero point zero: the same numbers. What the network's inputs and outputs store stays.
package enum QuantizationFolding {
    package static func folded(_ graph: Graph) -> Graph {
        guard graph.values.contains(where: { $0.quantization != nil }) else { return graph }
        var folding = Folding(graph)
        folding.foldOperators()
        // What is stored alike after that needs no conversion.
        var second = Folding(StorageForm(folding.graph).normalized())
        second.foldOperators()
        return second.graph
    }
}

private struct Folding {
    var graph: Graph
    /// Index of the node that computes a value.
    private var producers: [ValueID: Int]
    /// Nodes that read a value, once per input.
    private var readers: [ValueID: [Int]] = [:]
    private let outputs: Set<ValueID>
    /// Values that are the same as another one.
    private var same: [ValueID: ValueID] = [:]
    /// Conversions whose work the operator before them does.
    private var removed = Set<Int>()

    init(_ graph: Graph) {
        self.graph = graph
        producers = graph.producers
        outputs = Set(graph.outputs)
        for (index, node) in graph.nodes.enumerated() {
            for case let id? in node.inputs { readers[id, default: []].append(index) }
        }
    }

    mutating func foldOperators() {
        for index in graph.nodes.indices {
            graph.nodes[index].inputs = graph.nodes[index].inputs.map { id in id.map { same[$0] ?? $0 } }
            let node = graph.nodes[index]
            switch node.operation {
            case .quantizeLinear: requantize(index)
            case .convolution, .gemm, .matMul: foldLayer(index)
            case .batchNormalization: markFloats(index)
            case .averagePool, .globalPool, .maxPool, .unary, .concat, .pad: foldWhole(index)
            case .binary(.add, _): foldWhole(index)
            case let operation where operation.movesElements: foldWhole(index)
            default: break
            }
        }
        graph.nodes = graph.nodes.enumerated().filter { !removed.contains($0.offset) }.map(\.element)
        graph.removeUnused()
    }

    /// What a float value was dequantized from.
    private func source(_ id: ValueID) -> ValueID? {
        guard let index = producers[id], case .dequantizeLinear = graph.nodes[index].operation else { return nil }
        return graph.nodes[index].inputs[0]
    }

    /// A quantized value, or what a float one was dequantized from.
    private func stored(_ id: ValueID) -> ValueID? { graph[id].quantization == nil ? source(id) : id }

    private func isByte(_ id: ValueID) -> Bool {
        graph[id].quantization != nil && (graph[id].type == .uint8 || graph[id].type == .int8)
    }

    /// The only quantized form in which a float value is used. One that is stored already was rounded to that.
    private func target(_ id: ValueID) -> ValueID? {
        guard graph[id].quantization == nil, !outputs.contains(id), let users = readers[id], let first = users.first
        else { return nil }
        let targets = users.compactMap { index -> ValueID? in
            guard case .quantizeLinear = graph.nodes[index].operation else { return nil }
            return graph.nodes[index].outputs[0]
        }
        guard targets.count == users.count, let target = graph.nodes[first].outputs[0], isByte(target),
            targets.allSatisfy({
                graph[$0].type == graph[target].type && graph[$0].quantization == graph[target].quantization
            }), users.count == 1 || targets.dropFirst().allSatisfy({ !outputs.contains($0) })
        else { return nil }
        return target
    }

    /// Conversions of what is stored already.
    private mutating func requantize(_ index: Int) {
        guard let output = graph.nodes[index].outputs[0], let input = graph.nodes[index].inputs[0] else { return }
        guard !removed.contains(index), let origin = stored(input), graph.constants[origin] == nil else { return }
        let isSame =
            graph[origin].type == graph[output].type && graph[origin].quantization == graph[output].quantization
        if isSame && !outputs.contains(output) {
            same[output] = origin
            removed.insert(index)
        } else if isByte(origin) && isByte(output) && graph[origin].quantization?.axis == nil
            && graph[output].quantization?.axis == nil
        {
            // One table does it; with scales per channel two kernels do, by way of float.
            graph.nodes[index].inputs[0] = origin
        }
    }

    /// A layer behind a conversion means floats, also where it stays one over floats.
    private mutating func markFloats(_ index: Int) {
        guard let x = graph.nodes[index].inputs[0].flatMap(source), graph.constants[x] == nil else { return }
        graph.nodes[index].meansFloats = true
    }

    /// A layer may give float, at the end of a network.
    private mutating func foldLayer(_ index: Int) {
        let node = graph.nodes[index]
        markFloats(index)
        guard let x = node.inputs[0].flatMap(stored), isByte(x), graph.constants[x] == nil else { return }
        // Weights and a second operand must be quantized too; a bias may be float.
        guard node.inputs.count > 1, let weight = node.inputs[1].flatMap(stored), isByte(weight),
            node.inputs.count < 4 || node.inputs[3] == nil
        else { return }
        graph.nodes[index].inputs[0] = x
        graph.nodes[index].inputs[1] = weight
        if node.inputs.count > 2, let bias = node.inputs[2].flatMap(source) { graph.nodes[index].inputs[2] = bias }
        takeOver(index)
    }

    /// All that an operator reads must be quantized, and all that it gives.
    private mutating func foldWhole(_ index: Int) {
        let node = graph.nodes[index]
        guard node.outputs.allSatisfy({ $0.map { target($0) != nil } ?? true }) else { return }
        var inputs = node.inputs
        for (place, id) in inputs.enumerated() {
            guard let id, graph[id].type == .float32, graph[id].quantization == nil else { continue }
            // The number that stands in padding may be any.
            if place > 0, case .pad = node.operation, graph.constants[id] != nil { continue }
            guard let source = source(id), isByte(source) else { return }
            inputs[place] = source
        }
        guard inputs != node.inputs else { return }
        graph.nodes[index].inputs = inputs
        graph.nodes[index].meansFloats = true
        takeOver(index)
    }

    /// Lets a node write the quantized values that its float results become.
    private mutating func takeOver(_ index: Int) {
        for (place, id) in graph.nodes[index].outputs.enumerated() {
            guard let id, let target = target(id) else { continue }
            for user in readers[id] ?? [] {
                if let copy = graph.nodes[user].outputs[0], copy != target { same[copy] = target }
                removed.insert(user)
            }
            graph.nodes[index].outputs[place] = target
            producers[target] = index
        }
    }
}
