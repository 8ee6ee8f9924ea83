// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// Operators that only move elements, of any type: as views of the same memory where possible, else as copies.
extension PlanBuilder {
    /// Whether a node's values store numbers alike, so that moving them is all there is to do.
    ///
    /// - Parameter keepsChannels: whether channels stay what they are, so that each may have a scale of its own.
    private func movesStored(_ node: Node, keepsChannels: Bool = false) -> Bool {
        let values = (node.inputs + node.outputs).compactMap { $0.map { graph[$0] } }
        guard let first = values.first else { return false }
        return values.allSatisfy {
            $0.type == first.type && $0.quantization == first.quantization
                && ($0.quantization?.axis == nil || keepsChannels)
        }
    }

    /// Whether the parts of a whole along an axis store numbers as it does where they lie in it.
    private func storesAlike(_ whole: ValueID, _ parts: [ValueID?], axis: Int, _ sizes: [Int]) -> Bool {
        let value = graph[whole]
        var start = 0
        for (part, size) in zip(parts, sizes) {
            let range = start..<(start + size)
            start = range.upperBound
            guard let part else { continue }
            guard graph[part].type == value.type,
                graph[part].quantization == value.quantization?.sliced(range, of: axis)
            else { return false }
        }
        return true
    }

    mutating func lowerConcat(_ node: Node, axis: Int) -> Bool {
        guard let y = node.outputs[0],
            storesAlike(y, node.inputs, axis: axis, node.inputs.map { $0.map { graph[$0].shape[axis] } ?? 0 })
        else { return false }
        let target = target(y)
        let value = graph[y]
        let strides = value.shape.strides(in: target)
        var position = 0
        for case let id? in node.inputs {
            let shape = graph[id].shape
            let offset = position * strides[axis]
            position += shape[axis]
            if shape.count == 0 { continue }
            let source = graph.constants[id] == nil ? places[id] ?? read(id, .rowMajor) : read(id, .rowMajor)
            if source.root == target.root && source.offsetBytes == target.offsetBytes + offset * value.type.sizeBytes {
                continue
            }
            copy(
                node.name, value.type, shape, from: source, sourceStrides: shape.strides(in: source), to: target,
                targetStrides: strides, targetOffset: offset)
        }
        return true
    }

    mutating func lowerSplit(_ node: Node, axis: Int, sizes: [Int]) -> Bool {
        guard let x = input(node, 0), storesAlike(x, node.outputs, axis: axis, sizes) else { return false }
        var start = 0
        for (output, size) in zip(node.outputs, sizes) {
            if let output { emitBlock(node, x, output, axis: axis, start: start) }
            start += size
        }
        return true
    }

    mutating func lowerSlice(_ node: Node, _ slice: Slice) -> Bool {
        guard movesStored(node), let x = input(node, 0), let y = node.outputs[0] else { return false }
        let from = graph[x].shape
        let cut = (0..<from.rank).filter { slice.sizes[$0] != from[$0] || slice.steps[$0] != 1 }
        if cut.count <= 1, let axis = cut.first ?? (from.rank > 0 ? 0 : nil), slice.steps[axis] == 1 {
            emitBlock(node, x, y, axis: axis, start: slice.starts[axis])
            return true
        }
        let source = places[x] ?? read(x, layouts[x.index])
        let strides = from.strides(in: source)
        let offset = zip(slice.starts, strides).map(*).reduce(0, +)
        let target = target(y)
        copy(
            node.name, graph[y].type, graph[y].shape, from: source, sourceStrides: zip(strides, slice.steps).map(*),
            sourceOffset: offset, to: target, targetStrides: graph[y].shape.strides(in: target))
        return true
    }

    /// Channels in another order: of each pixel, or planes.
    mutating func lowerSelectChannels(_ node: Node, _ channels: [Int]) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], graph[x].type == graph[y].type,
            graph[x].quantization?.selecting(channels) == graph[y].quantization
        else { return false }
        let (shape, size) = (graph[x].shape, graph[x].type.sizeBytes)
        let layout = layouts[y.index]
        let (source, target) = (read(x, layout), target(y))
        if layout == .channelsLast {
            let indices = channels.map(Int32.init)
            let (pixels, from, to) = (shape.pixels, source.pitch * size, target.pitch * size)
            emit(node.name, [source, target]) { memory in
                let (x, y) = (memory.pointer(source), memory.pointer(target))
                let work: Team.Work = { part, parts in
                    let share = Team.share(pixels, part, parts, unit: 16)
                    select_channels(
                        y + share.lowerBound * to, to, x + share.lowerBound * from, from, size, indices, indices.count,
                        share.count)
                }
                return { memory.team.run(work) }
            }
            return true
        }
        let plane = shape.dimensions.dropFirst(2).reduce(size, *)
        guard shape[0] * shape[1] * plane <= Int32.max else { return false }
        let offsets = (0..<shape[0]).flatMap { image in channels.map { Int32((image * shape[1] + $0) * plane) } }
        emit(node.name, [source, target]) { memory in
            let (x, y) = (memory.pointer(source), memory.pointer(target))
            return { gather_blocks(y, plane, x, offsets, offsets.count, plane) }
        }
        return true
    }

    /// The part of x that begins at `start` along one axis.
    private mutating func emitBlock(_ node: Node, _ x: ValueID, _ y: ValueID, axis: Int, start: Int) {
        let (from, to) = (graph[x].shape, graph[y].shape)
        let source = places[x] ?? read(x, layouts[x.index])
        let offset = start * from.strides(in: source)[axis]
        // Channels of pixels that may lie apart, and rows of the outermost axis, are where they are.
        let outer = source.layout == .rowMajor ? axis : -1
        let isOutermost = outer >= 0 && from.dimensions[..<outer].allSatisfy { $0 == 1 }
        if (source.layout == .channelsLast && axis == 1) || isOutermost {
            var view = source
            view.offsetBytes += offset * graph[x].type.sizeBytes
            alias(y, view)
            return
        }
        let target = target(y)
        copy(
            node.name, graph[y].type, to, from: source, sourceStrides: from.strides(in: source), sourceOffset: offset,
            to: target, targetStrides: to.strides(in: target))
    }

    mutating func lowerReshape(_ node: Node) -> Bool {
        guard movesStored(node), let x = input(node, 0), let y = node.outputs[0] else { return false }
        if layouts[y.index] == .channelsLast {
            alias(y, read(x, .channelsLast))
        } else {
            alias(y, read(x, .rowMajor))
        }
        return true
    }

    /// The same memory under other parameters.
    mutating func lowerReinterpret(_ node: Node) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0] else { return false }
        alias(y, read(x, layouts[y.index]))
        return true
    }

    mutating func lowerTranspose(_ node: Node, _ permutation: [Int]) -> Bool {
        guard movesStored(node), let x = input(node, 0), let y = node.outputs[0] else { return false }
        let (from, to) = (graph[x].shape, graph[y].shape)
        let source = places[x] ?? read(x, layouts[x.index])
        let sourceStrides = from.strides(in: source)
        // The order of elements that is wanted may be the one they have.
        let view = Place(
            root: source.root, offsetBytes: source.offsetBytes, layout: layouts[y.index],
            pitch: layouts[y.index] == .channelsLast ? to.channels : 0)
        let wanted = to.strides(in: view)
        let given = permutation.map { sourceStrides[$0] }
        if (0..<to.rank).allSatisfy({ to[$0] == 1 || wanted[$0] == given[$0] }) {
            alias(y, view)
            return true
        }
        let target = target(y)
        copy(
            node.name, graph[y].type, to, from: source, sourceStrides: given, to: target,
            targetStrides: to.strides(in: target))
        return true
    }

    /// The same numbers along axes that the input has not, or with one index.
    mutating func lowerExpand(_ node: Node) -> Bool {
        guard movesStored(node), let x = input(node, 0), let y = node.outputs[0], layouts[y.index] == .rowMajor,
            (1...8).contains(graph[y].shape.rank)
        else { return false }
        let (from, to) = (graph[x].shape, graph[y].shape)
        let (source, target) = (read(x, .rowMajor), target(y))
        let strides = zip(from.dimensions, from.strides(in: source)).map { $0 == 1 ? 0 : $1 }
        copy(
            node.name, graph[y].type, to, from: source,
            sourceStrides: [Int](repeating: 0, count: to.rank - from.rank) + strides, to: target,
            targetStrides: to.strides(in: target))
        return true
    }

    /// The input over and over: each axis is the repeats and what is repeated.
    mutating func lowerTile(_ node: Node, _ repeats: [Int]) -> Bool {
        guard movesStored(node), let x = input(node, 0), let y = node.outputs[0], layouts[y.index] == .rowMajor,
            (1...4).contains(graph[y].shape.rank)
        else { return false }
        let from = graph[x].shape
        let (source, target) = (read(x, .rowMajor), target(y))
        let (own, given) = (graph[y].shape.strides(in: target), from.strides(in: source))
        copy(
            node.name, graph[y].type, Shape((0..<from.rank).flatMap { [repeats[$0], from[$0]] }), from: source,
            sourceStrides: given.flatMap { [0, $0] }, to: target,
            targetStrides: (0..<from.rank).flatMap { [own[$0] * from[$0], own[$0]] })
        return true
    }

    /// Channels to blocks of pixels, or the other way round: block row i, column j and channel k of each pixel of the deep side, in an
    /// order of these, are pixels of the wide side.
    mutating func lowerBlocks(_ node: Node, _ block: Int, _ order: DepthToSpaceOrder, toDepth: Bool) -> Bool {
        guard movesStored(node), let x = input(node, 0), let y = node.outputs[0], layouts[y.index] == .channelsLast
        else { return false }
        let (source, target) = (read(x, .channelsLast), target(y))
        let (deep, wide) = toDepth ? (graph[y].shape, graph[x].shape) : (graph[x].shape, graph[y].shape)
        let (p, q) = toDepth ? (target.pitch, source.pitch) : (source.pitch, target.pitch)
        let channels = wide[1]
        let inner = order == .dcr ? [block * channels, channels, 1] : [block, 1, block * block]
        let deepStrides = [deep.spatialCount * p, deep[3] * p, inner[0], p, inner[1], inner[2]]
        let wideStrides = [wide.spatialCount * q, block * wide[3] * q, wide[3] * q, block * q, q, 1]
        copy(
            node.name, graph[y].type, [deep[0], deep[2], block, deep[3], block, channels], from: source,
            sourceStrides: toDepth ? wideStrides : deepStrides, to: target,
            targetStrides: toDepth ? deepStrides : wideStrides)
        return true
    }

    /// A constant around the input.
    mutating func lowerPad(_ node: Node, _ pad: Pad) -> Bool {
        guard pad.mode == .constant, pad.pads.allSatisfy({ $0 >= 0 }), let x = input(node, 0), let y = node.outputs[0],
            graph[x].type == graph[y].type, graph[x].quantization == graph[y].quantization,
            graph[x].quantization?.axis == nil, let filler = filler(node, y)
        else { return false }
        let value = graph[y]
        let (source, target) = (read(x, layouts[y.index]), target(y))
        let strides = value.shape.strides(in: target)
        copy(
            node.name, value.type, value.shape, from: addConstant(filler.buffer), sourceStrides: strides.map { _ in 0 },
            to: target, targetStrides: strides)
        copy(
            node.name, value.type, graph[x].shape, from: source, sourceStrides: graph[x].shape.strides(in: source),
            to: target, targetStrides: strides, targetOffset: zip(pad.pads, strides).map(*).reduce(0, +))
        return true
    }

    /// One element of what a node pads with, as its output stores it; nil if that is not constant.
    private func filler(_ node: Node, _ output: ValueID) -> Tensor? {
        let (value, zero) = (graph[output], Tensor(.float32, [1]))
        guard let id = input(node, 1) else {
            return value.quantization.map { ReferenceEvaluator.quantize(zero, $0, to: value.type) }
                ?? Tensor(value.type, [1])
        }
        guard let tensor = constant(id), tensor.count == 1 else { return nil }
        guard let quantization = value.quantization else { return tensor.type == value.type ? tensor : nil }
        return graph[id].realNumbers(tensor).map {
            ReferenceEvaluator.quantize(Tensor([1], $0), quantization, to: value.type)
        }
    }

    /// Nearest neighbours of whole pixels.
    mutating func lowerResize(_ node: Node, _ resize: Resize) -> Bool {
        guard movesStored(node, keepsChannels: true), let x = input(node, 0), let y = node.outputs[0],
            layouts[y.index] == .channelsLast, graph[x].shape.rank == 4, graph[y].shape.count > 0
        else { return false }
        if resize.mode != .nearest { return lowerInterpolation(node, resize, x, y) }
        guard resize.coordinates != .cropAndResize else { return false }
        let (from, to) = (graph[x].shape, graph[y].shape)
        let (source, target) = (read(x, .channelsLast), target(y))
        let size = graph[x].type.sizeBytes
        guard from.pixels * source.pitch * size <= Int32.max else { return false }
        let rows = resize.taps(axis: 2, extent: from[2]).map { $0.positions[0] }
        let columns = resize.taps(axis: 3, extent: from[3]).map { $0.positions[0] }
        let offsets = (0..<from[0]).flatMap { image in
            rows.flatMap { row in
                columns.map { Int32(((image * from[2] + row) * from[3] + $0) * source.pitch * size) }
            }
        }
        let (pitch, bytes) = (target.pitch * size, to.channels * size)
        emit(node.name, [source, target]) { memory in
            let (x, y) = (memory.pointer(source), memory.pointer(target))
            return { gather_blocks(y, pitch, x, offsets, offsets.count, bytes) }
        }
        return true
    }

    // MARK: The rest

    /// Any operator, as it is defined. It allocates its results.
    mutating func lowerToReference(_ node: Node) throws {
        let graph = self.graph
        let sources = node.inputs.map { id in id.map { ($0, read($0, .rowMajor)) } }
        let targets = node.outputs.map { id in
            id.map { id in
                let place = layouts[id.index] == .rowMajor ? target(id) : addPlace(graph[id], .rowMajor)
                return (id, place)
            }
        }
        emit(node.name, (sources + targets).compactMap { $0?.1 }) { memory in
            let inputs = sources.map { source in source.map { memory.tensor(graph[$0.0], $0.1) } }
            let outputs = targets.map { target in
                target.map {
                    UnsafeMutableRawBufferPointer(
                        start: memory.pointer($0.1), count: graph[$0.0].shape.count * graph[$0.0].type.sizeBytes)
                }
            }
            return {
                let results = try ReferenceEvaluator.evaluate(node, in: graph, inputs: inputs)
                for (result, output) in zip(results, outputs) {
                    output?.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: result.buffer.bytes.prefix(output?.count ?? 0)))
                }
            }
        }
        for case let (id, place)? in targets where layouts[id.index] != .rowMajor {
            copy(node.name, graph[id].type, graph[id].shape, from: place, to: target(id))
        }
    }

    /// Copies an input into the arena, when it is first read.
    mutating func addInput(_ id: ValueID) {
        guard let index = graph.inputs.firstIndex(of: id) else { return }
        let value = graph[id]
        let place = target(id)
        let byteCount = value.shape.count * value.type.sizeBytes
        emit("input \(value.name)", [place]) { memory in
            let target = memory.pointer(place)
            return {
                guard let slots = memory.inputs[index].bytes.baseAddress else { return }
                target.copyMemory(from: slots + memory.item * byteCount, byteCount: byteCount)
            }
        }
    }

    /// Pixels as the numbers that they stand for.
    mutating func addPixels(_ id: ValueID, _ image: ImagePreprocessing) {
        guard let index = graph.inputs.firstIndex(of: id) else { return }
        let value = graph[id]
        let place = target(id)
        let (pixels, channels, kernels) = (value.shape.pixels, value.shape.channels, kernels)
        emit("pixels \(value.name)", [place]) { memory in
            let target = memory.floats(place)
            let run = kernels.table.pointee.pixels
            return {
                let slots = memory.inputs[index].bytes.assumingMemoryBound(to: UInt8.self)
                let base = slots.baseAddress.map { $0 + memory.item * pixels * channels }
                run?(base, channels, image.mean, image.scale, target, pixels, channels)
            }
        }
    }

    /// The last steps: outputs go to the place of their item, in ONNX's order.
    mutating func addOutputs() {
        for (index, id) in graph.outputs.enumerated() {
            let value = graph[id]
            // A value that lies otherwise is put in order on the way.
            let source = graph.constants[id] == nil ? places[id] ?? read(id, .rowMajor) : read(id, .rowMajor)
            let target = Place(root: source.root, layout: .rowMajor)
            let move = StridedCopy(
                value.shape, elementBytes: value.type.sizeBytes, source: value.shape.strides(in: source),
                target: value.shape.strides(in: target))
            let byteCount = value.shape.count * value.type.sizeBytes
            emit("output \(value.name)", [source]) { memory in
                guard let base = memory.outputs[index].bytes.baseAddress else { return {} }
                let pointer = memory.pointer(source)
                let work: Team.Work = { part, parts in
                    move.run(pointer, base + memory.item * byteCount, part: part, parts: parts)
                }
                return { memory.team.run(work) }
            }
        }
    }
}
