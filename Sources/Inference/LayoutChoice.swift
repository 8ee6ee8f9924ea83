// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Chooses the layout of each value: channels last where layers over images make and read it, row-major elsewhere.
struct LayoutChoice {
    /// By index of the value.
    private(set) var layouts: [Layout]

    init(_ graph: Graph, images: [ValueID: ImagePreprocessing]) {
        layouts = [Layout](repeating: .rowMajor, count: graph.values.count)
        for id in images.keys { layouts[id.index] = .channelsLast }
        let planes = LayoutChoice.quantizedPlanes(graph)
        for node in graph.nodes {
            let becomesPixels = node.outputs.first.flatMap { $0 }.map(planes.contains) ?? false
            let layout = becomesPixels ? .channelsLast : layout(of: node, in: graph)
            for case let output? in node.outputs where graph[output].shape.rank >= 3 { layouts[output.index] = layout }
        }
    }

    /// Quantized inputs of few channels that convolutions read: quantizing turns planes into pixels on the way.
    private static func quantizedPlanes(_ graph: Graph) -> Set<ValueID> {
        var result: Set<ValueID> = []
        for node in graph.nodes {
            switch node.operation {
            case .quantizeLinear:
                if let x = node.inputs[0], let y = node.outputs[0], graph.inputs.contains(x), graph[x].shape.rank == 4,
                    (1...4).contains(graph[x].shape[1])
                {
                    result.insert(y)
                }
            case .convolution, .reinterpret: continue
            default: for case let id? in node.inputs { result.remove(id) }
            }
        }
        return result.subtracting(graph.outputs)
    }

    /// The layout of a node's outputs, those of its inputs being known.
    private func layout(of node: Node, in graph: Graph) -> Layout {
        let dynamic = node.inputs.compactMap { $0 }.filter { graph.constants[$0] == nil }
        guard let first = dynamic.first, let output = node.outputs.compactMap({ $0 }).first else { return .rowMajor }
        let (from, to) = (graph[first].shape, graph[output].shape)
        let same = layouts[first.index]
        switch node.operation {
        case .convolution, .maxPool, .averagePool, .globalPool:
            return to.rank == 3 || to.rank == 4 ? .channelsLast : .rowMajor
        case .quantizeLinear, .dequantizeLinear:
            // With a scale per channel rows are those of pixels.
            let hasChannels = (graph[first].quantization ?? graph[output].quantization)?.axis == 1
            return hasChannels && to.rank >= 3 ? .channelsLast : same
        case .unary, .concat, .split, .slice, .selectChannels, .reinterpret: return same
        case .binary:
            let isImage = dynamic.contains { layouts[$0.index] == .channelsLast && graph[$0].shape == to }
            return isImage ? .channelsLast : .rowMajor
        case .depthToSpace, .spaceToDepth: return .channelsLast
        case .pad(let pad):
            let isSpatial = from.rank >= 3 && [0, 1, from.rank, from.rank + 1].allSatisfy { pad.pads[$0] == 0 }
            return isSpatial ? same : .rowMajor
        case .resize:
            return to.rank == 4 && from.dimensions.prefix(2) == to.dimensions.prefix(2) ? .channelsLast : .rowMajor
        case .softmax(let axis): return axis == 1 ? same : .rowMajor
        case .reshape:
            return from.rank >= 3 && from.dimensions.prefix(2) == to.dimensions.prefix(2) ? same : .rowMajor
        case .transpose(let permutation):
            // [N, spatial..., C] -> [N, C, spatial...] leaves the memory as it is.
            let toFirst = [0, to.rank - 1] + Array(1..<max(to.rank - 1, 1))
            return same == .rowMajor && to.rank >= 3 && permutation == toFirst ? .channelsLast : .rowMajor
        default: return .rowMajor
        }
    }
}

/// Finds values that can be computed right where the concatenation that reads them will have them.
struct ConcatParts {
    struct Part {
        /// The concatenation's output.
        var whole: ValueID
        /// Where the part begins in it.
        var channel = 0
        var pixel = 0
    }

    private(set) var parts: [ValueID: Part] = [:]

    init(_ graph: Graph, _ layouts: [Layout]) {
        let producers = graph.producers
        for node in graph.nodes.reversed() {
            guard case .concat(let axis) = node.operation, let whole = node.outputs[0],
                layouts[whole.index] == .channelsLast
            else { continue }
            var part = Part(whole: whole)
            for (place, id) in node.inputs.enumerated() {
                guard let id else { continue }
                let shape = graph[id].shape
                if axis == 1, let split = Self.splitWhole(node, place, graph, producers, part, layouts),
                    let base = base(of: split, graph, producers, layouts), parts[base] == nil
                {
                    parts[base] = part
                }
                // Pixels follow each other along the first spatial axis, of one image only.
                let isBlock = axis == 1 || (axis == 2 && shape[0] == 1)
                let channels = part.channel..<(part.channel + shape[1])
                if isBlock, node.inputs.filter({ $0 == id }).count == 1, graph[id].type == graph[whole].type,
                    graph[id].quantization
                        == (axis == 1
                            ? graph[whole].quantization?.sliced(channels, of: 1) : graph[whole].quantization),
                    let base = base(of: id, graph, producers, layouts), parts[base] == nil
                {
                    parts[base] = part
                }
                if axis == 1 {
                    part.channel += shape[1]
                } else {
                    part.pixel += shape.dimensions.dropFirst(2).reduce(1, *)
                }
            }
        }
    }

    /// What is split along the channels into the inputs from `place` on, if the concatenation puts it together again.
    private static func splitWhole(
        _ node: Node, _ place: Int, _ graph: Graph, _ producers: [ValueID: Int], _ part: Part, _ layouts: [Layout]
    ) -> ValueID? {
        guard let first = node.inputs[place], let index = producers[first],
            case .split(axis: 1, _) = graph.nodes[index].operation, let x = graph.nodes[index].inputs[0],
            graph.constants[x] == nil, layouts[x.index] == .channelsLast, graph[x].type == graph[part.whole].type
        else { return nil }
        let pieces = graph.nodes[index].outputs
        guard Array(node.inputs[place...].prefix(pieces.count)) == pieces else { return nil }
        let channels = part.channel..<(part.channel + graph[x].shape[1])
        return graph[x].quantization == graph[part.whole].quantization?.sliced(channels, of: 1) ? x : nil
    }

    /// The value that a kernel writes, of which `id` is another view; nil if no kernel writes it in pieces.
    private func base(
        of id: ValueID, _ graph: Graph, _ producers: [ValueID: Int], _ layouts: [Layout]
    ) -> ValueID? {
        guard let index = producers[id], layouts[id.index] == .channelsLast else { return nil }
        let node = graph.nodes[index]
        switch node.operation {
        case .reshape:
            guard let input = node.inputs[0], graph.constants[input] == nil, layouts[input.index] == .channelsLast
            else {
                return nil
            }
            return base(of: input, graph, producers, layouts)
        case .convolution, .unary, .binary, .maxPool, .averagePool, .resize, .concat, .selectChannels, .pad,
            .depthToSpace, .spaceToDepth,
            .quantizeLinear, .dequantizeLinear:
            return node.outputs.count == 1 ? id : nil
        default: return nil
        }
    }
}
