// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Rewrites a graph so that quantized activations are `uint8` and weights `int8`, as integer kernels want them, wherever the
/// same numbers can be stored so; weights without a zero point if they can. Inputs and outputs, and what is read as plain
/// integers, keep their type behind a conversion.
struct StorageForm {
    /// What lies between zero points of the same numbers as `uint8` and as `int8`. Stored bytes differ in the highest bit.
    private static let offset: Int32 = 128

    private var graph: Graph
    private let source: Graph
    private var nodes: [Node] = []
    /// Values of `int8` that keep it, with their counterparts of `uint8`.
    private var twins: [ValueID: ValueID] = [:]
    private var constants: [Constant: ValueID] = [:]

    private struct Constant: Hashable {
        let id: ValueID
        let isWeight: Bool
    }

    init(_ graph: Graph) {
        self.graph = graph
        source = graph
    }

    func normalized() -> Graph {
        var form = self
        form.rewrite()
        form.graph.nodes = form.nodes
        form.graph.removeUnused()
        return form.graph
    }

    private mutating func rewrite() {
        var fixed = Set(source.inputs + source.outputs)
        for node in source.nodes {
            if case .reinterpret = node.operation { fixed.formUnion((node.inputs + node.outputs).compactMap { $0 }) }
        }
        for index in source.values.indices {
            let id = ValueID(index)
            let value = source[id]
            guard value.type == .int8, let quantization = value.quantization, source.constants[id] == nil else {
                continue
            }
            let form = Value(
                name: value.name, type: .uint8, shape: value.shape,
                quantization: shifted(quantization, by: Self.offset))
            if fixed.contains(id) { twins[id] = graph.addValue(form) } else { graph[id] = form }
        }
        for id in source.inputs { convert(from: id, to: twins[id]) }
        for node in source.nodes { add(node) }
    }

    private mutating func add(_ node: Node) {
        var node = node
        if case .reinterpret = node.operation {
            nodes.append(node)
            for case let id? in node.outputs { convert(from: id, to: twins[id]) }
            return
        }
        node.inputs = node.inputs.enumerated().map { place, id in
            guard let id else { return nil }
            if source.constants[id] != nil {
                return constant(id, isWeight: node.operation.readsWeight(at: place))
            }
            return twins[id] ?? id
        }
        let outputs = node.outputs
        node.outputs = outputs.map { id in id.map { twins[$0] ?? $0 } }
        nodes.append(node)
        for case let id? in outputs {
            if let twin = twins[id] { convert(from: twin, to: id) }
        }
    }

    private mutating func convert(from: ValueID, to: ValueID?) {
        guard let to else { return }
        nodes.append(
            Node("\(graph[to].name) as \(graph[to].type)", .quantizeLinear, inputs: [from], outputs: [to]))
    }

    private mutating func constant(_ id: ValueID, isWeight: Bool) -> ValueID {
        let key = Constant(id: id, isWeight: isWeight)
        if let known = constants[key] { return known }
        let value = source[id]
        var result = id
        if let tensor = source.constants[id], let quantization = value.quantization {
            if isWeight && value.type == .uint8 {
                result =
                    centred(value.name, tensor, quantization)
                    ?? graph.addConstant(
                        value.name, flipped(tensor, .int8), quantization: shifted(quantization, by: -Self.offset))
            } else if !isWeight && value.type == .int8 {
                result = graph.addConstant(
                    value.name, flipped(tensor, .uint8), quantization: shifted(quantization, by: Self.offset))
            }
        }
        constants[key] = result
        return result
    }

    /// Weights of `uint8` as `int8` without a zero point, which layers compute fastest; nil if they do not fit.
    private mutating func centred(
        _ name: String, _ tensor: Tensor, _ quantization: QuantizationParameters
    ) -> ValueID? {
        guard quantization.axis == nil, let zero = quantization.zeroPoints.first else { return nil }
        let result = Tensor(.int8, tensor.shape)
        let stored = result.mutableElements(as: Int8.self)
        for (index, weight) in tensor.elements(as: UInt8.self).enumerated() {
            guard let number = Int8(exactly: Int32(weight) - zero) else { return nil }
            stored[index] = number
        }
        return graph.addConstant(
            name, result, quantization: QuantizationParameters(scale: quantization.scales[0], zeroPoint: 0))
    }

    private func shifted(_ quantization: QuantizationParameters, by offset: Int32) -> QuantizationParameters {
        QuantizationParameters(
            scales: quantization.scales, zeroPoints: quantization.zeroPoints.map { $0 + offset },
            axis: quantization.axis)
    }

    private func flipped(_ tensor: Tensor, _ type: ElementType) -> Tensor {
        let result = Tensor(type, tensor.shape)
        for index in 0..<tensor.count { result.buffer.bytes[index] = tensor.buffer.bytes[index] ^ 0x80 }
        return result
    }
}

extension Operator {
    /// Whether a constant at a place of the inputs is a weight. One that is dequantized most often is, too.
    func readsWeight(at place: Int) -> Bool {
        switch self {
        case .convolution, .transposedConvolution, .gemm, .matMul: place == 1
        case .recurrent: place == 1 || place == 2
        case .dequantizeLinear: true
        default: false
        }
    }
}
