// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Finds selections of channels that are written as movements of elements, and says them in one operator.
///
/// Networks with channel shuffles (ShuffleNet, Zhang et al., 2018, arXiv:1707.01083) reshape an image such that the groups of
/// channels have an axis of their own, transpose, reshape back, and take a part. None of that has to leave the pixels where
/// channels lie together, nor float32: all of it is `selectChannels`.
enum ChannelViews {
    static func selected(_ graph: Graph) -> Graph {
        var views: [ValueID: View] = [:]
        var result = graph
        result.nodes = []
        var isChanged = false
        for node in graph.nodes {
            guard let x = node.inputs.first.flatMap({ $0 }), graph.constants[x] == nil,
                graph[x].quantization?.axis == nil, graph[x].shape.count > 0,
                node.outputs.allSatisfy({ $0.map { graph[$0].shape.count > 0 } ?? true })
            else {
                result.nodes.append(node)
                continue
            }
            if case .gather(axis: 1) = node.operation, let channels = Self.channels(node, graph),
                graph[x].shape.rank >= 3
            {
                result.nodes.append(Node(node.name, .selectChannels(channels), inputs: [x], outputs: node.outputs))
                isChanged = true
                continue
            }
            let view = views[x] ?? View(of: x, graph[x].shape)
            let parts = view.parts(by: node, in: graph)
            let selections = zip(node.outputs, parts).compactMap { output, part -> Node? in
                guard let output, let part else { return nil }
                let (from, to) = (graph[part.root], graph[output])
                guard from.type == to.type, from.quantization == to.quantization else { return nil }
                views[output] = part
                return part.selection(from: from.shape, to: to.shape).map { channels in
                    Node(node.name, .selectChannels(channels), inputs: [part.root], outputs: [output])
                }
            }
            // Whoever reads only views of it leaves it unused.
            if !selections.isEmpty && selections.count == node.outputs.count {
                result.nodes += selections
                isChanged = true
            } else {
                result.nodes.append(node)
            }
        }
        guard isChanged else { return graph }
        result.removeUnused()
        return result
    }

    /// What a node gathers along the axis of channels, if that is a constant list.
    private static func channels(_ node: Node, _ graph: Graph) -> [Int]? {
        guard node.inputs.count > 1, let x = node.inputs[0], let id = node.inputs[1], let list = graph.constants[id],
            list.shape.rank == 1, let indices = list.integers, !indices.isEmpty
        else { return nil }
        let count = graph[x].shape[1]
        let channels = indices.map { $0 < 0 ? $0 + count : $0 }
        return channels.allSatisfy((0..<count).contains) ? channels : nil
    }
}

/// Where the elements of a value lie among those of another one.
private struct View {
    /// An axis of the memory of the root: how many steps of how many elements.
    struct Axis: Equatable {
        var extent: Int
        var step: Int
    }

    let root: ValueID
    private var offset = 0
    /// Per axis of the value, what it runs over, the outermost first.
    private var axes: [[Axis]]

    init(of root: ValueID, _ shape: Shape) {
        self.root = root
        var step = shape.count
        axes = shape.dimensions.map { extent in
            step /= max(extent, 1)
            return [Axis(extent: extent, step: step)]
        }
    }

    /// The views that a node's outputs are; nil for those of which it cannot be said.
    func parts(by node: Node, in graph: Graph) -> [View?] {
        switch node.operation {
        case .reshape(let shape): return [reshaped(shape)]
        case .transpose(let permutation):
            var result = self
            result.axes = permutation.map { axes[$0] }
            return [result]
        case .split(let axis, let sizes):
            var start = 0
            return sizes.map { size in
                defer { start += size }
                return sliced(axis, start: start, step: 1, count: size)
            }
        case .slice(let slice):
            var result: View? = self
            for axis in axes.indices {
                result = result?.sliced(
                    axis, start: slice.starts[axis], step: slice.steps[axis], count: slice.sizes[axis])
            }
            return [result]
        case .gather(let axis):
            // One index, which takes its axis away.
            guard node.inputs.count > 1, let id = node.inputs[1], let index = graph.constants[id], index.count == 1,
                index.shape.rank == 0, let position = index.integers?.first,
                var result = sliced(
                    axis, start: position < 0 ? position + extent(axis) : position, step: 1, count: 1)
            else { return [nil] }
            result.axes.remove(at: axis)
            return [result]
        default: return node.outputs.map { _ in nil }
        }
    }

    private func extent(_ axis: Int) -> Int { axes[axis].reduce(1) { $0 * $1.extent } }

    /// Every `step`th index of an axis from `start` on.
    private func sliced(_ axis: Int, start: Int, step: Int, count: Int) -> View? {
        if start == 0 && step == 1 && count == extent(axis) { return self }
        // Of an axis in several pieces, a part that is whole in the inner ones.
        let inner = axes[axis].dropFirst().reduce(1) { $0 * $1.extent }
        guard start >= 0, step > 0, count > 0, let outer = axes[axis].first, start + (count - 1) * step < extent(axis),
            inner == 1 || (step == 1 && start % inner == 0 && count % inner == 0)
        else { return nil }
        var result = self
        result.offset += start / inner * outer.step
        result.axes[axis][0] = Axis(extent: count / inner, step: outer.step * step)
        return result
    }

    private func reshaped(_ shape: Shape) -> View? {
        var left = axes.flatMap { $0 }.filter { $0.extent != 1 }[...]
        var result = self
        result.axes = []
        for extent in shape.dimensions {
            var taken: [Axis] = []
            var rest = extent
            while rest > 1 {
                guard let next = left.first else { return nil }
                left.removeFirst()
                if rest % next.extent == 0 {
                    taken.append(next)
                    rest /= next.extent
                } else if next.extent % rest == 0 {
                    let inner = next.extent / rest
                    taken.append(Axis(extent: rest, step: next.step * inner))
                    left.insert(Axis(extent: inner, step: next.step), at: left.startIndex)
                    rest = 1
                } else {
                    return nil
                }
            }
            result.axes.append(taken.isEmpty ? [Axis(extent: extent, step: 0)] : taken)
        }
        return left.isEmpty ? result : nil
    }

    /// The channels of an image that this is, if it is one and they do not just follow each other.
    func selection(from: Shape, to: Shape) -> [Int]? {
        guard (3...4).contains(from.rank), from.rank == to.rank, to.count > 0, from[0] == to[0],
            from.dimensions[2...] == to.dimensions[2...]
        else { return nil }
        let whole = View(of: root, from)
        let plane = from.dimensions[2...].reduce(1, *)
        for axis in axes.indices where axis != 1 && to[axis] > 1 {
            // Both in one piece, or in pieces that follow each other.
            guard joined(axes[axis]) == whole.axes[axis][0] else { return nil }
        }
        guard offset % plane == 0, offset / plane < from[1], axes[1].allSatisfy({ $0.step % plane == 0 }) else {
            return nil
        }
        var channels = [offset / plane]
        for axis in axes[1] {
            channels = channels.flatMap { first in (0..<axis.extent).map { first + $0 * axis.step / plane } }
        }
        guard channels.count == to[1], channels.allSatisfy({ $0 < from[1] }),
            zip(channels, channels.dropFirst()).contains(where: { $1 != $0 + 1 })
        else { return nil }
        return channels
    }

    /// Pieces as one axis; nil if they do not follow each other.
    private func joined(_ pieces: [Axis]) -> Axis? {
        guard var result = pieces.last else { return nil }
        for outer in pieces.dropLast().reversed() {
            guard outer.step == result.step * result.extent else { return nil }
            result.extent *= outer.extent
        }
        return result
    }
}
