// SPDX-License-Identifier: Apache-2.0

import Inference
import ModelGraph
import Tensors

/// Rounds the weights of a quantized graph layer after layer, each for what the layers before it really give it.
struct LayerwiseRounding {
    /// Memory for values between layers; it bounds how many pictures are used.
    private static let memoryBytes = 768 << 20

    private var graph: Graph
    private let layers: [Int: QuantizedGraphBuilder.Layer]
    /// Nodes that a layer needs, itself included.
    private let needed: [Int]

    init(_ graph: Graph, layers: [QuantizedGraphBuilder.Layer]) {
        self.graph = graph
        self.layers = Dictionary(layers.map { ($0.node, $0) }) { first, _ in first }
        var wanted: Set<ValueID> = []
        var nodes: [Int] = []
        for (index, node) in graph.nodes.enumerated().reversed() {
            let isLayer = self.layers[index] != nil
            guard isLayer || node.outputs.contains(where: { $0.map(wanted.contains) ?? false }) else { continue }
            nodes.append(index)
            wanted.formUnion(node.inputs.compactMap { $0 })
        }
        needed = nodes.reversed()
    }

    /// - Returns: the graph with its weights rounded.
    mutating func run(_ inputs: [[String: Tensor]], progress: (Int, Int) -> Void) throws -> Graph {
        let pictures = Array(inputs.prefix(max(Self.memoryBytes / max(peakBytes, 1), 1)))
        var values: [ValueID: [Tensor]] = [:]
        for id in graph.inputs {
            values[id] = pictures.compactMap { $0[graph[id].name] }
            guard values[id]?.count == pictures.count else {
                throw PostTrainingQuantizer.Failure(description: "a calibration input lacks '\(graph[id].name)'")
            }
        }
        let lastUse = lastUse
        for (done, index) in needed.enumerated() {
            let node = graph.nodes[index]
            if let layer = layers[index] { try round(layer, values) }
            let isWanted = node.outputs.contains { id in id.map { (lastUse[$0] ?? -1) > index } ?? false }
            if isWanted {
                let results = try run(node, values, count: pictures.count)
                values.merge(results) { $1 }
            }
            for case let id? in node.inputs where lastUse[id] == index { values[id] = nil }
            progress(done + 1, needed.count)
        }
        return graph
    }

    private var lastUse: [ValueID: Int] {
        var result: [ValueID: Int] = [:]
        for index in needed {
            for case let id? in graph.nodes[index].inputs { result[id] = index }
        }
        return result
    }

    /// Bytes that one picture takes at most.
    private var peakBytes: Int {
        let lastUse = lastUse
        func bytes(_ id: ValueID) -> Int { graph[id].shape.count * graph[id].type.sizeBytes }
        var current = graph.inputs.reduce(0) { $0 + bytes($1) }
        var peak = current
        for index in needed {
            let node = graph.nodes[index]
            current += node.outputs.compactMap { $0 }.reduce(0) { $0 + bytes($1) }
            peak = max(peak, current)
            for id in Set(node.inputs.compactMap { $0 }) where lastUse[id] == index && graph.constants[id] == nil {
                current -= bytes(id)
            }
        }
        return peak
    }

    // MARK: Running

    /// Runs one node on all pictures.
    private func run(_ node: Node, _ values: [ValueID: [Tensor]], count: Int) throws -> [ValueID: [Tensor]] {
        var part = Graph()
        part.values = graph.values
        part.nodes = [node]
        let outputs = node.outputs.compactMap { $0 }
        var sources: [[Tensor]] = []
        for case let id? in node.inputs where !part.inputs.contains(id) {
            if let constant = graph.constants[id] {
                part.constants[id] = constant
            } else if let tensors = values[id] {
                part.inputs.append(id)
                sources.append(tensors)
            }
        }
        if case .reinterpret = node.operation { return [outputs[0]: sources[0]] }
        part.outputs = outputs
        for id in part.inputs + outputs { part[id].name = "\(id)" }
        part.removeUnused()
        let model = try CompiledModel(Model(name: node.name, graph: part))
        let workers = min(2, count)
        let inputs = sources
        let results = try concurrentMap(workers) { worker in
            let session = model.makeSession()
            return try stride(from: worker, to: count, by: workers).map { picture in
                for (index, tensors) in inputs.enumerated() {
                    let target = session.inputBytes(index)
                    target.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: tensors[picture].buffer.bytes[..<target.count]))
                }
                try session.run()
                return (0..<session.outputCount).map { session.outputTensor($0) }
            }
        }
        return Dictionary(
            uniqueKeysWithValues: outputs.enumerated().map { index, id in
                (id, (0..<count).map { results[$0 % workers][$0 / workers][index] })
            })
    }

    // MARK: Rounding

    private mutating func round(_ layer: QuantizedGraphBuilder.Layer, _ values: [ValueID: [Tensor]]) throws {
        let node = graph.nodes[layer.node]
        guard case .convolution(let convolution) = node.operation, let input = node.inputs[0],
            let output = node.outputs[0], let tensors = values[input],
            let source = LayerInputs(convolution, input: graph[input], output: graph[output].shape, tensors: tensors)
        else { return }
        let shape = graph[layer.weights].shape
        let order = KernelOrder(shape)
        let shared = layer.isDepthwise ? nil : try source.dense()
        let exact = layer.exact
        let filters = try concurrentMap(shape[0]) { filter in
            let weights = (0..<order.steps).map { exact[filter * order.steps + order.position($0)] }
            let rounding = layer.isDepthwise ? source.depthwise(filter) : shared
            return rounding?.round(weights) ?? WeightRounding.round(weights, limitsLanes: !layer.isDepthwise)
        }
        let result = Tensor(.int8, shape)
        let stored = result.mutableElements(as: Int8.self)
        for (index, filter) in filters.enumerated() {
            for step in 0..<order.steps { stored[index * order.steps + order.position(step)] = filter.weights[step] }
        }
        graph.constants[layer.weights] = result
        graph[layer.weights].quantization = QuantizationParameters(
            scales: filters.map(\.scale), zeroPoints: filters.map { _ in 0 }, axis: 0)
    }
}
