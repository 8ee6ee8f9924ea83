// SPDX-License-Identifier: Apache-2.0

import Inference
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

    var isSplit: Bool { if case .split = self { true } else { false } }

    var isReshape: Bool { if case .reshape = self { true } else { false } }

    var isResize: Bool { if case .resize = self { true } else { false } }
}

/// Which nodes of a fused float graph compute on integers, and which values are stored as uint8 or int16.
struct QuantizationPlan {
    /// Indices of nodes with weights that become int8.
    private(set) var layers: Set<Int> = []
    /// Indices of nodes that compute on uint8 without weights: pools, concatenation, nearest resize, addition.
    private(set) var carriers: Set<Int> = []
    /// Values that are stored as integers, or also as integers for those that read them so.
    private(set) var quantized: Set<ValueID> = []
    /// Of those, the ones that 8 bits are too few for.
    private(set) var words: Set<ValueID> = []
    /// Values that are not stored as integers because that costs too much accuracy.
    let wide: Set<ValueID>

    /// Of layers that add int16 channels up: with more, weights would be coarse for their sums to fit int32.
    private static let mostStepsOfWords = 1152

    private let graph: Graph
    /// Inputs that take pixels, which are integers already.
    private let images: Set<ValueID>

    /// - Parameters:
    ///   - images: inputs of the graph that take pixels.
    ///   - wide: values that stay float; layers that read them compute in float.
    ///   - words: values that are stored as int16 if they are all of those that have to be together (`wordGroups`), else as uint8.
    init(_ graph: Graph, images: Set<ValueID> = [], wide: Set<ValueID> = [], words: Set<ValueID> = []) {
        self.graph = graph
        self.images = images
        self.wide = wide
        for (index, node) in graph.nodes.enumerated() {
            if wide.isDisjoint(with: node.inputs.compactMap { $0 }) && QuantizationPlan.isLayer(node, graph) {
                layers.insert(index)
            }
            if QuantizationPlan.isCarrier(node, graph) { carriers.insert(index) }
        }
        dropCarriersOfFloat()
        for index in layers {
            let inputs = graph.nodes[index].inputs
            quantized.formUnion([inputs[0], inputs.count > 3 ? inputs[3] : nil].compactMap { $0 })
        }
        for index in carriers { quantized.formUnion(graph.nodes[index].inputs.compactMap { $0 }) }
        if !words.isEmpty {
            for group in wordGroups() where group.isSubset(of: words) { self.words.formUnion(group) }
        }
    }

    /// The values that can be stored as int16, in sets that can only be so together, because carriers pass on what is stored:
    /// layers make them, and layers and carriers alone read them, all of a form that has kernels.
    func wordGroups() -> [Set<ValueID>] {
        var groups: [ValueID: Int] = [:]
        var members: [Set<ValueID>] = []
        for id in quantized.sorted() {
            groups[id] = members.count
            members.append([id])
        }
        for index in carriers.sorted() where graph.nodes[index].operation.passesChannels {
            let node = graph.nodes[index]
            let together = Set((node.inputs + node.outputs).compactMap { $0.flatMap { groups[$0] } }).sorted()
            for other in together.dropFirst() {
                for id in members[other] { groups[id] = together[0] }
                members[together[0]].formUnion(members[other])
                members[other] = []
            }
        }
        let (producers, consumers) = (graph.producers, graph.consumers)
        return members.filter { group in
            !group.isEmpty
                && group.allSatisfy { id in
                    guard !graph.outputs.contains(id), let producer = producers[id] else { return false }
                    return makesWords(producer) && (consumers[id] ?? []).allSatisfy { takesWords($0, id) }
                }
        }
    }

    private func passesStored(_ index: Int) -> Bool {
        let node = graph.nodes[index]
        return carriers.contains(index) && node.operation.passesChannels
            && (node.inputs + node.outputs).allSatisfy { $0.map(quantized.contains) ?? false }
    }

    private func makesWords(_ index: Int) -> Bool {
        passesStored(index) || layers.contains(index) && suitsWords(index) { $0.writesWords }
    }

    private func takesWords(_ index: Int, _ id: ValueID) -> Bool {
        if passesStored(index) { return true }
        let node = graph.nodes[index]
        guard layers.contains(index) else { return false }
        // A residual is added behind the sums.
        if node.isDepthwise && node.inputs.dropFirst().contains(id) { return false }
        return node.inputs[0] != id
            || suitsWords(index) { $0.kernel.reduce(graph[id].shape[1], *) <= Self.mostStepsOfWords }
    }

    /// - Parameter suits: a layer that adds channels up.
    private func suitsWords(_ layer: Int, _ suits: (Convolution) -> Bool) -> Bool {
        let node = graph.nodes[layer]
        guard case .convolution(let convolution) = node.operation, let x = node.inputs[0], let y = node.outputs[0],
            !convolution.gainsFromWinograd(channels: graph[x].shape[1], output: graph[y].shape)
        else { return false }
        return node.isDepthwise ? convolution.suitsDepthwiseWords(toFloats: !storesIntegers(layer)) : suits(convolution)
    }

    /// Whether the node's result is stored as integers.
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
                    guard let id, !wide.contains(id) else { return false }
                    guard let producer = producers[id] else { return images.contains(id) }
                    return layers.contains(producer) || carriers.contains(producer)
                }
                let goesToIntegers = node.outputs.contains { id in
                    id.map { id in
                        !wide.contains(id)
                            && (consumers[id] ?? []).contains { layers.contains($0) || carriers.contains($0) }
                    } ?? false
                }
                if !comesInIntegers || !goesToIntegers {
                    carriers.remove(index)
                    changed = true
                }
            }
        }
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
        default: return false
        }
    }

    private static func isCarrier(_ node: Node, _ graph: Graph) -> Bool {
        guard node.outputs.count == 1 || node.operation.isSplit, let first = node.inputs.first, let input = first,
            graph[input].type == .float32, graph[input].shape.rank == 4
        else { return false }
        switch node.operation {
        case .maxPool, .globalPool(.average), .selectChannels: return true
        case .averagePool(let pool): return !pool.countsPadding || pool.pads.allSatisfy { $0 == 0 }
        case .concat(let axis), .split(let axis, _): return axis == 1
        case .slice(let slice): return slice.sizes[1] == graph[input].shape[1] && slice.steps.allSatisfy { $0 > 0 }
        case .binary(.add, let activation):
            guard node.inputs.count == 2, let other = node.inputs[1], graph[other].shape == graph[input].shape else {
                return false
            }
            return activation == .none || activation == .relu
        case .resize(let resize): return resize.mode != .cubic && resize.coordinates != .cropAndResize
        default: return false
        }
    }
}
