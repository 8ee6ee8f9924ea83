// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Order of a value's elements in memory.
enum Layout: Hashable, Sendable {
    /// As ONNX has it, without gaps.
    case rowMajor
    /// Axis 1 innermost: [N, spatial axes..., C], for values of at least three axes. Pixels may lie apart (see `Place.pitch`).
    case channelsLast
}

/// Where a value lies: in a block of memory that may hold other values too.
struct Place: Hashable, Sendable {
    /// Index in `Plan.roots`.
    var root: Int
    var offsetBytes = 0
    var layout: Layout
    /// Channels last: elements from one pixel to the next, at least as many as there are channels.
    var pitch = 0
}

extension Shape {
    /// Extent of axis 1 and number of pixels: how a value looks in channels-last layout.
    var channels: Int { rank > 1 ? self[1] : 1 }
    var pixels: Int { dimensions.enumerated().reduce(1) { $1.offset == 1 ? $0 : $0 * $1.element } }
    /// Of one item.
    var spatialCount: Int { dimensions.dropFirst(2).reduce(1, *) }

    /// Elements from one index to the next, per axis.
    func strides(in place: Place) -> [Int] {
        var result = [Int](repeating: 0, count: rank)
        let order = place.layout == .rowMajor ? Array(0..<rank) : [0] + Array(2..<max(rank, 2)) + [1]
        var stride = 1
        for axis in order.reversed() {
            result[axis] = stride
            stride = place.layout == .channelsLast && axis == 1 ? place.pitch : stride * self[axis]
        }
        return result
    }
}

/// A block of memory of a plan.
struct Root: Sendable {
    enum Kind: Sendable {
        /// Made when the network was compiled, shared by all sessions.
        case constant(Buffer)
        /// In the arena of the session, from the first to the last step that touches it.
        case arena(byteCount: Int)
    }

    var kind: Kind
    var firstStep = Int.max
    var lastStep = -1
}

/// Offsets of blocks in one arena, such that blocks which live at the same time do not overlap.
struct ArenaLayout: Sendable {
    /// Per root; zero for constants.
    var offsets: [Int]
    var byteCount: Int

    /// Greedy by size: the largest block first, each at the lowest place that is free while it lives (Pisarchyk and Lee,
    /// "Efficient memory management for deep neural net inference", 2020).
    init(_ roots: [Root]) {
        offsets = [Int](repeating: 0, count: roots.count)
        byteCount = 0
        var placed: [(firstStep: Int, lastStep: Int, range: Range<Int>)] = []
        let blocks = roots.indices.compactMap { index -> (index: Int, byteCount: Int)? in
            guard case .arena(let byteCount) = roots[index].kind, byteCount > 0, roots[index].lastStep >= 0 else {
                return nil
            }
            let unit = Buffer.alignmentBytes
            return (index, (byteCount + unit - 1) / unit * unit)
        }
        for block in blocks.sorted(by: { ($0.byteCount, $1.index) > ($1.byteCount, $0.index) }) {
            let (firstStep, lastStep) = (roots[block.index].firstStep, roots[block.index].lastStep)
            var offset = 0
            for other in placed where other.firstStep <= lastStep && firstStep <= other.lastStep {
                if offset + block.byteCount <= other.range.lowerBound { break }
                offset = max(offset, other.range.upperBound)
            }
            offsets[block.index] = offset
            let entry = (firstStep: firstStep, lastStep: lastStep, range: offset..<(offset + block.byteCount))
            placed.insert(entry, at: placed.firstIndex { $0.range.lowerBound > offset } ?? placed.count)
            byteCount = max(byteCount, offset + block.byteCount)
        }
    }
}
