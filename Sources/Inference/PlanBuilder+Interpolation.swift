// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// Which positions along an axis the outputs read, and with which weights, as kernels take it.
private struct AxisTaps {
    let count: Int
    let positions: [Int32]
    let weights: [Float]

    /// Nil if some lie outside of what there is, or there are very many.
    init?(_ taps: [Resize.Tap], extent: Int) {
        // Beyond the edge stands the pixel at the edge: read once, with the weights of both.
        let joined = taps.map { tap in
            zip(tap.positions, tap.weights).reduce(into: [(position: Int, weight: Float)]()) { list, next in
                if let last = list.indices.last, list[last].position == next.0 {
                    list[last].weight += next.1
                } else {
                    list.append(next)
                }
            }
        }
        let most = joined.map(\.count).max() ?? 0
        guard taps.allSatisfy({ !$0.isOutside }), (1...64).contains(most) else { return nil }
        // Two at least: the form that kernels have unrolled. The last pixel alone is two halves of it, which rounds a sum as ONNX
        // Runtime does.
        let count = max(most, 2)
        self.count = count
        let filled = joined.flatMap { list in
            if list.count == 1 && count == 2 && list[0].position == extent - 1 {
                let half = (position: list[0].position, weight: list[0].weight / 2)
                return [half, half]
            }
            return list + [(position: Int, weight: Float)](repeating: (list[0].position, 0), count: count - list.count)
        }
        positions = filled.map { Int32($0.position) }
        weights = filled.map(\.weight)
    }
}

extension PlanBuilder {
    /// Images of another size, linear or cubic, of floats or of bytes that store numbers as the input does.
    mutating func lowerInterpolation(_ node: Node, _ resize: Resize, _ x: ValueID, _ y: ValueID) -> Bool {
        let (from, to) = (graph[x].shape, graph[y].shape)
        let isFloat = isFloat(x)
        guard isFloat || (graph[x].type == .uint8 && graph[x].quantization != nil && !node.meansFloats),
            let rows = AxisTaps(resize.taps(axis: 2, extent: from[2]), extent: from[2]),
            let columns = AxisTaps(resize.taps(axis: 3, extent: from[3]), extent: from[3])
        else { return false }
        let (source, target) = (read(x, .channelsLast), target(y))
        let places = [
            addPadded(rows.positions), addPadded(columns.positions), addPadded(rows.weights),
            addPadded(columns.weights),
        ]
        let kernels = kernels
        let (images, inputImage, outputImage) = (
            from[0], from[2] * from[3] * source.pitch, to[2] * to[3] * target.pitch
        )
        emit(node.name, [source, target] + places) { memory in
            let job = interpolation(
                input_width: from[3], input_pitch: source.pitch, output_width: to[3], output_pitch: target.pitch,
                channels: from.channels, row_taps: Int32(rows.count), column_taps: Int32(columns.count),
                rows: memory.pointer(places[0]).assumingMemoryBound(to: Int32.self),
                columns: memory.pointer(places[1]).assumingMemoryBound(to: Int32.self),
                row_weights: memory.floats(places[2]), column_weights: memory.floats(places[3]))
            let (floats, bytes) = (kernels.table.pointee.interpolate, memory.int8Kernels.table.pointee.interpolate)
            let (x, y) = (memory.pointer(source), memory.pointer(target))
            let work: Team.Work = { part, parts in
                let share = Team.share(to[2], part, parts)
                withUnsafePointer(to: job) { job in
                    for image in 0..<images {
                        let (begin, end) = (share.lowerBound, share.upperBound)
                        if isFloat {
                            floats?(
                                job, x.assumingMemoryBound(to: Float.self) + image * inputImage,
                                y.assumingMemoryBound(to: Float.self) + image * outputImage, begin, end)
                        } else {
                            bytes?(
                                job, x.assumingMemoryBound(to: UInt8.self) + image * inputImage,
                                y.assumingMemoryBound(to: UInt8.self) + image * outputImage, begin, end)
                        }
                    }
                }
            }
            return { memory.team.run(work) }
        }
        return true
    }
}
