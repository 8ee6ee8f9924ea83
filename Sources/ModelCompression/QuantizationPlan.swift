// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

extension Operator {
    /// Convolutions and matrix products, the work of a network.
    var hasWeights: Bool {
        switch self {
        case .convolution, .gemm, .matMul, .transposedConvolution: true
        default: false
        }
    }
}

/// Which nodes of a fused float graph compute on integers, and which values are stored as uint8.
struct QuantizationPlan {
    /// Indices of nodes with weights that become int8.
    private(set) var layers: Set<Int> = []
    /// Indices of nodes that compute on uint8 without weights: pools, concatenation, nearest resize, addition.
    private(set) var carriers: Set<Int> = []
    /// Values that are stored as uint8, or also as uint8 for those that read them so.
    private(set) var quantized: Set<ValueID> = []

    private let graph: Graph

    init(_ graph: Graph) {
        self.graph = graph
        for (index, node) in graph.nodes.enumerated() {
            if QuantizationPlan.isLayer(node, graph) { layers.insert(index) }
            if QuantizationPlan.isCarrier(node, graph) { carriers.insert(index) }
        }
        dropCarriersOfFloat()
        for index in layers {
            if let input = graph.nodes[index].inputs[0] { quantized.insert(input) }
        }
        for index in carriers { quantized.formUnion(graph.nodes[index].inputs.compactMap { $0 }) }
        // A layer's result is uint8 if one of its readers takes it so; else it leaves the integer part as it is.
        for index in layers {
            if case .convolution(let convolution) = graph.nodes[index].operation, convolution.residual != nil,
                let residual = graph.nodes[index].inputs[3], isProducedInIntegers(residual)
            {
                quantized.insert(residual)
            }
        }
    }

    /// How fine the weights of fully connected and recurrent layers may have to be: a network with convolutions is not
    /// measured by them.
    var widths: [DenseQuantization.Widths] {
        let hasConvolutions = layers.contains { index in
            if case .convolution = graph.nodes[index].operation { true } else { false }
        }
        return hasConvolutions ? [.init()] : DenseQuantization.Widths.all
    }

    /// Whether the node's result is stored as uint8.
    func storesIntegers(_ index: Int) -> Bool {
        (layers.contains(index) || carriers.contains(index))
            && graph.nodes[index].outputs.contains { $0.map(quantized.contains) ?? false }
    }

    /// Carriers work on integers only if all that they read comes in integers and somebody reads their result so.
    private mutating func dropCarriersOfFloat() {
        let producers = graph.producers
        let consumers = graph.consumers
        var changed = true
        while changed {
            changed = false
            for index in carriers {
                let node = graph.nodes[index]
                let comesInIntegers = node.inputs.allSatisfy { id in
                    guard let id, let producer = producers[id] else { return false }
                    return layers.contains(producer) || carriers.contains(producer)
                }
                let goesToIntegers = node.outputs.contains { id in
                    id.map { id in
                        (consumers[id] ?? []).contains { layers.contains($0) || carriers.contains($0) }
                    } ?? false
                }
                if !comesInIntegers || !goesToIntegers {
                    carriers.remove(index)
                    changed = true
                }
            }
        }
    }

    private func isProducedInIntegers(_ id: ValueID) -> Bool {
        graph.producers[id].map { layers.contains($0) || carriers.contains($0) } ?? false
    }

    private static func isLayer(_ node: Node, _ graph: Graph) -> Bool {
        guard let input = node.inputs[0], graph.constants[input] == nil, graph[input].type == .float32 else {
            return false
        }
        func isConstant(_ position: Int) -> Bool {
            guard position < node.inputs.count, let id = node.inputs[position] else { return true }
            return graph.constants[id]?.type == .float32
        }
        switch node.operation {
        case .convolution(let convolution):
            guard convolution.kernel.count == 2, isConstant(1), isConstant(2), let weight = node.inputs[1] else {
                return false
            }
            let shape = graph[weight].shape
            let isDepthwise = convolution.groups == shape[0] && shape[1] == 1
            return convolution.groups == 1 || isDepthwise && convolution.kernel[0] * convolution.kernel[1] <= 500
        case .gemm, .recurrent: return DenseQuantization.isLayer(node, graph)
        default: return false
        }
    }

    private static func isCarrier(_ node: Node, _ graph: Graph) -> Bool {
        if DenseQuantization.isMover(node, graph) { return true }
        guard node.outputs.count == 1 || node.operation.isSplit, let first = node.inputs.first, let input = first,
            graph[input].type == .float32, graph[input].shape.rank == 4
        else { return false }
        switch node.operation {
        case .maxPool, .averagePool, .globalPool(.average): return true
        case .concat(let axis), .split(let axis, _): return axis == 1
        case .binary(.add, let activation):
            guard node.inputs.count == 2, let other = node.inputs[1], graph[other].shape == graph[input].shape else {
                return false
            }
            return activation == .none || activation == .relu
        case .resize(let resize): return resize.mode == .nearest
        default: return false
        }
    }

    // MARK: Parameters

    /// Scale and zero point of each quantized value. Values that are copies of each other share them.
    func parameters(
        ranges: ValueRanges, preprocessing: [String: ImagePreprocessing]
    ) -> [ValueID: QuantizationParameters] {
        var groups = ValueGroups()
        for index in carriers {
            let node = graph.nodes[index]
            switch node.operation {
            case .maxPool, .resize, .concat, .split, .reshape, .transpose:
                let members = (node.inputs + node.outputs).compactMap { $0 }.filter(quantized.contains)
                for member in members.dropFirst() { groups.join(members[0], member) }
            default: break
            }
        }
        var joint: [ValueID: ClosedRange<Float>] = [:]
        for id in quantized {
            let root = groups.root(of: id)
            let range = ranges[id]
            joint[root] =
                joint[root].map { min($0.lowerBound, range.lowerBound)...max($0.upperBound, range.upperBound) } ?? range
        }
        var result: [ValueID: QuantizationParameters] = [:]
        for id in quantized {
            if let pixels = preprocessing[graph[id].name], graph.inputs.contains(id) {
                result[id] = QuantizationPlan.parameters(of: pixels)
            } else {
                result[id] = QuantizationPlan.parameters(covering: joint[groups.root(of: id)] ?? 0...0)
            }
        }
        return result
    }

    /// uint8 over the range, which is widened to contain zero: padding and ReLU need it exactly.
    static func parameters(covering range: ClosedRange<Float>) -> QuantizationParameters {
        let low = min(range.lowerBound, 0)
        let high = max(range.upperBound, 0)
        let scale = max((high - low) / 255, 1e-8)
        return QuantizationParameters(scale: scale, zeroPoint: Int32(min(max((-low / scale).rounded(), 0), 255)))
    }

    /// Of an image input: what any pixel can become. With one integral mean and one scale for all channels the stored
    /// number is the pixel itself.
    static func parameters(of pixels: ImagePreprocessing) -> QuantizationParameters {
        let ends = zip(pixels.mean, pixels.scale).flatMap { mean, scale in [-mean * scale, (255 - mean) * scale] }
        return parameters(covering: (ends.min() ?? 0)...(ends.max() ?? 0))
    }
}

extension Operator {
    var isSplit: Bool { if case .split = self { true } else { false } }
}

/// Smallest and largest number that each value took.
struct ValueRanges {
    private var ranges: [ValueID: ClosedRange<Float>] = [:]

    subscript(id: ValueID) -> ClosedRange<Float> { ranges[id] ?? 0...0 }

    mutating func include(_ values: [ValueID: Tensor]) {
        for (id, tensor) in values where tensor.type == .float32 {
            var low = Float.infinity
            var high = -Float.infinity
            for element in tensor.elements(as: Float.self) where element.isFinite {
                low = min(low, element)
                high = max(high, element)
            }
            guard low <= high else { continue }
            include(low...high, of: id)
        }
    }

    mutating func include(_ range: ClosedRange<Float>, of id: ValueID) {
        ranges[id] =
            ranges[id].map { min($0.lowerBound, range.lowerBound)...max($0.upperBound, range.upperBound) } ?? range
    }
}

/// Sets of values, joined two at a time.
private struct ValueGroups {
    private var parents: [ValueID: ValueID] = [:]

    func root(of id: ValueID) -> ValueID {
        var id = id
        while let parent = parents[id] { id = parent }
        return id
    }

    mutating func join(_ a: ValueID, _ b: ValueID) {
        let (a, b) = (root(of: a), root(of: b))
        if a != b { parents[max(a, b)] = min(a, b) }
    }
}
