// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Writes transposed convolutions as convolutions, which have kernels, and a movement of their results.
///
/// Along an axis of stride s, output s u + q is a sum over inputs near u, with every sth tap of the filter: one convolution for
/// each of the s phases q, and for each pair of them in an image. Their results side by side are what `depthToSpace` puts in
/// order (Shi et al., 2016, "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009).
enum TransposedLayers {
    static func written(_ graph: Graph) -> Graph {
        var result = graph
        result.nodes = []
        for node in graph.nodes {
            if case .transposedConvolution(let layer) = node.operation, write(node, layer, &result) { continue }
            result.nodes.append(node)
        }
        return result
    }

    /// One phase along an axis: the taps of the filter that it has, as a window over the input that moves by one.
    private struct Phase: Equatable {
        /// Taps in the order of the inputs that they meet; nil is a tap of weight zero.
        var taps: [Int?]
        var padding: (begin: Int, end: Int)

        static func == (a: Phase, b: Phase) -> Bool { a.taps.count == b.taps.count && a.padding == b.padding }

        /// Nil if the outputs are not as many for each phase, or the window would have to leave inputs out.
        init?(_ phase: Int, kernel: Int, stride: Int, padding: Int, input: Int, output: Int) {
            guard padding >= 0, output % stride == 0 else { return nil }
            let (ahead, first) = (phase + padding).quotientAndRemainder(dividingBy: stride)
            // Tap first + m stride meets the input at u + ahead - m.
            var taps: [Int?] = Swift.stride(from: first, to: kernel, by: stride).reversed()
            if taps.isEmpty { taps = [nil] }
            var begin = taps.count - 1 - ahead
            if begin < 0 {
                taps = [Int?](repeating: nil, count: -begin) + taps
                begin = 0
            }
            let end = output / stride - 1 - input - begin + taps.count
            guard end >= 0 else { return nil }
            self.taps = taps
            self.padding = (begin, end)
        }
    }

    private static func write(_ node: Node, _ layer: TransposedConvolution, _ graph: inout Graph) -> Bool {
        guard let x = node.inputs[0], let y = node.outputs[0], graph[x].type == .float32, graph[y].type == .float32,
            let weight = node.inputs[1].flatMap({ graph.constants[$0] }), weight.type == .float32,
            graph[x].shape.rank == 4, graph[x].shape.count > 0, graph[y].shape.count > 0,
            layer.dilations.allSatisfy({ $0 == 1 }), layer.strides[0] == layer.strides[1], layer.strides[0] <= 8,
            layer.groups > 0, weight.shape[0] % layer.groups == 0
        else { return false }
        let (from, to, stride) = (graph[x].shape, graph[y].shape, layer.strides[0])
        func phases(_ axis: Int) -> [Phase] {
            (0..<stride).compactMap {
                Phase(
                    $0, kernel: layer.kernel[axis], stride: stride, padding: layer.pads[axis], input: from[2 + axis],
                    output: to[2 + axis])
            }
        }
        let (rows, columns) = (phases(0), phases(1))
        guard rows.count == stride, columns.count == stride else { return false }
        let pairs = rows.flatMap { row in columns.map { (row: row, column: $0) } }
        let areAlike = layer.groups == 1 && rows.allSatisfy { $0 == rows[0] } && columns.allSatisfy { $0 == columns[0] }
        let bias = node.inputs.count > 2 ? node.inputs[2] : nil
        guard bias == nil || bias.flatMap({ graph.constants[$0] })?.type == .float32 else { return false }
        var parts: [ValueID] = []
        for pairs in areAlike ? [pairs] : pairs.map({ [$0] }) {
            let (row, column) = pairs[0]
            let filters = pairs.flatMap { Self.filters(weight, layer, $0.row, $0.column) }
            let count = to[1] * pairs.count
            let shape = Shape([count, from[1] / layer.groups, row.taps.count, column.taps.count])
            let convolution = Convolution(
                kernel: [row.taps.count, column.taps.count],
                pads: [row.padding.begin, column.padding.begin, row.padding.end, column.padding.end],
                groups: layer.groups)
            var inputs: [ValueID?] = [x, graph.addConstant("\(node.name) filters", Tensor(shape, filters))]
            if let bias, let tensor = graph.constants[bias] {
                let repeated = pairs.flatMap { _ in tensor.array(of: Float.self) }
                inputs.append(
                    pairs.count == 1 ? bias : graph.addConstant("\(node.name) bias", Tensor([count], repeated)))
            }
            let part =
                stride == 1
                ? y
                : graph.addValue(
                    Value(
                        name: "\(node.name) phase \(parts.count)", type: .float32,
                        shape: [from[0], count, to[2] / stride, to[3] / stride]))
            graph.nodes.append(Node(node.name, .convolution(convolution), inputs: inputs, outputs: [part]))
            parts.append(part)
        }
        if stride == 1 { return true }
        var whole = parts[0]
        if parts.count > 1 {
            whole = graph.addValue(
                Value(
                    name: "\(node.name) phases", type: .float32,
                    shape: [from[0], to[1] * stride * stride, to[2] / stride, to[3] / stride]))
            graph.nodes.append(Node(node.name, .concat(axis: 1), inputs: parts, outputs: [whole]))
        }
        graph.nodes.append(
            Node(node.name, .depthToSpace(blockSize: stride, order: .dcr), inputs: [whole], outputs: [y]))
        return true
    }

    /// The filters [K, C / groups, rows, columns] of a pair of phases, from weights [C, K / groups, kernel].
    private static func filters(
        _ weight: Tensor, _ layer: TransposedConvolution, _ rows: Phase, _ columns: Phase
    ) -> [Float] {
        let (channels, each) = (weight.shape[0] / layer.groups, weight.shape[1])
        let (height, width) = (weight.shape[2], weight.shape[3])
        let values = weight.elements(as: Float.self)
        var result: [Float] = []
        for filter in 0..<(each * layer.groups) {
            let (group, place) = filter.quotientAndRemainder(dividingBy: each)
            for channel in 0..<channels {
                let plane = ((group * channels + channel) * each + place) * height * width
                for row in rows.taps {
                    for column in columns.taps {
                        guard let row, let column else {
                            result.append(0)
                            continue
                        }
                        result.append(values[plane + row * width + column])
                    }
                }
            }
        }
        return result
    }
}
