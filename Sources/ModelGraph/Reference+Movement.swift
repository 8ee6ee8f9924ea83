// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Where a region of a tensor starts and how far its neighbours are apart, in elements.
private struct Region {
    var tensor: Tensor
    var start: Int
    var strides: [Int]

    init(_ tensor: Tensor, start: Int = 0, strides: [Int]? = nil) {
        self.tensor = tensor
        self.start = start
        self.strides = strides ?? denseStrides(tensor.shape.dimensions)
    }
}

extension ReferenceEvaluator {
    private static func copy(_ dimensions: [Int], from source: Region, to target: Region) {
        target.tensor.type.dispatch(CopyWork(dimensions: dimensions, source: source, target: target))
    }

    private struct CopyWork: NumberWork {
        let dimensions: [Int]
        let source: Region
        let target: Region

        func run<Element: Number>(_ type: Element.Type) {
            let from = source.tensor.base(type) + source.start
            let to = target.tensor.base(type) + target.start
            let (stepFrom, stepTo) = (source.strides.last ?? 0, target.strides.last ?? 0)
            let width = dimensions.last ?? 1
            let none = [Int](repeating: 0, count: dimensions.count)
            forEachRow(dimensions, source.strides, target.strides, none) { rowFrom, rowTo, _ in
                if stepFrom == 1 && stepTo == 1 {
                    (to + rowTo).update(from: from + rowFrom, count: width)
                } else {
                    for i in 0..<width { to[rowTo + i * stepTo] = from[rowFrom + i * stepFrom] }
                }
            }
        }
    }

    /// Operators that move whole elements by a fixed pattern. `types` are the outputs'.
    static func move(_ operation: Operator, _ inputs: [Tensor], _ types: [TensorType]) -> [Tensor] {
        let x = inputs[0]
        let dimensions = x.shape.dimensions
        let strides = denseStrides(dimensions)
        switch operation {
        case .reshape(let shape): return [x.reshaped(to: shape)]
        case .concat(let axis):
            let result = Tensor(types[0].type, types[0].shape)
            let step = denseStrides(types[0].shape.dimensions)
            var start = 0
            for input in inputs {
                copy(input.shape.dimensions, from: Region(input), to: Region(result, start: start, strides: step))
                start += input.shape[axis] * step[axis]
            }
            return [result]
        case .split(let axis, _):
            var start = 0
            return types.map { type in
                let part = Tensor(type.type, type.shape)
                copy(type.shape.dimensions, from: Region(x, start: start, strides: strides), to: Region(part))
                start += type.shape[axis] * strides[axis]
                return part
            }
        case .slice(let slice):
            let result = Tensor(types[0].type, types[0].shape)
            let start = zip(slice.starts, strides).reduce(0) { $0 + $1.0 * $1.1 }
            copy(
                slice.sizes,
                from: Region(x, start: start, strides: zip(slice.steps, strides).map { $0 * $1 }), to: Region(result))
            return [result]
        case .selectChannels(let channels):
            let result = Tensor(types[0].type, types[0].shape)
            let one = [dimensions[0], 1] + dimensions[2...]
            let step = denseStrides(types[0].shape.dimensions)
            for (index, channel) in channels.enumerated() {
                copy(
                    one, from: Region(x, start: channel * strides[1], strides: strides),
                    to: Region(result, start: index * step[1], strides: step))
            }
            return [result]
        case .transpose(let permutation):
            let result = Tensor(types[0].type, types[0].shape)
            copy(
                types[0].shape.dimensions, from: Region(x, strides: permutation.map { strides[$0] }),
                to: Region(result))
            return [result]
        case .expand(let shape):
            let result = Tensor(types[0].type, shape)
            copy(
                shape.dimensions, from: Region(x, strides: broadcastStrides(x.shape, to: shape.dimensions)),
                to: Region(result))
            return [result]
        case .tile(let repeats):
            let result = Tensor(types[0].type, types[0].shape)
            // Each axis becomes two: the repeat, which reads the same again, and the axis itself.
            let target = denseStrides(types[0].shape.dimensions)
            let pairs = dimensions.indices
            copy(
                pairs.flatMap { [repeats[$0], dimensions[$0]] },
                from: Region(x, strides: pairs.flatMap { [0, strides[$0]] }),
                to: Region(result, strides: pairs.flatMap { [target[$0] * dimensions[$0], target[$0]] }))
            return [result]
        case .depthToSpace(let block, let order):
            let result = Tensor(types[0].type, types[0].shape)
            let (n, c, h, w) = (dimensions[0], dimensions[1] / (block * block), dimensions[2], dimensions[3])
            let (sn, sc, sh, sw) = (strides[0], strides[1], strides[2], strides[3])
            let (channel, row, column) = order == .dcr ? (1, block * c, c) : (block * block, block, 1)
            copy(
                [n, c, h, block, w, block],
                from: Region(x, strides: [sn, channel * sc, sh, row * sc, sw, column * sc]),
                to: Region(result, strides: denseStrides([n, c, h, block, w, block])))
            return [result]
        case .spaceToDepth(let block, let order):
            let result = Tensor(types[0].type, types[0].shape)
            let (n, c, h, w) = (dimensions[0], dimensions[1], dimensions[2] / block, dimensions[3] / block)
            let target = denseStrides(types[0].shape.dimensions)
            let (channel, row, column) = order == .dcr ? (1, block * c, c) : (block * block, block, 1)
            copy(
                [n, c, h, block, w, block],
                from: Region(x, strides: denseStrides([n, c, h, block, w, block])),
                to: Region(
                    result,
                    strides: [
                        target[0], channel * target[1], target[2], row * target[1], target[3], column * target[1],
                    ]))
            return [result]
        case .pad(let pad): return [padded(pad, x, inputs.count > 1 ? inputs[1] : nil, types[0])]
        default: preconditionFailure("not an operator that moves elements by a fixed pattern")
        }
    }

    private static func padded(_ pad: Pad, _ x: Tensor, _ value: Tensor?, _ type: TensorType) -> Tensor {
        let result = Tensor(type.type, type.shape)
        if pad.mode == .constant {
            if let value {
                let none = [Int](repeating: 0, count: type.shape.rank)
                copy(type.shape.dimensions, from: Region(value, strides: none), to: Region(result))
            }
            let (from, to) = (denseStrides(x.shape.dimensions), denseStrides(type.shape.dimensions))
            var (startFrom, startTo, extents) = (0, 0, [Int]())
            for axis in 0..<x.shape.rank {
                let (begin, end) = (pad.pads[axis], pad.pads[x.shape.rank + axis])
                startFrom += max(-begin, 0) * from[axis]
                startTo += max(begin, 0) * to[axis]
                extents.append(max(0, x.shape[axis] + min(begin, 0) + min(end, 0)))
            }
            copy(
                extents, from: Region(x, start: startFrom, strides: from),
                to: Region(result, start: startTo, strides: to)
            )
            return result
        }
        // Axis by axis, each output index reads the input index that the mode says.
        var current = x
        for axis in 0..<x.shape.rank where pad.pads[axis] != 0 || pad.pads[x.shape.rank + axis] != 0 {
            let extent = x.shape[axis]
            let indices = (0..<type.shape[axis]).map { pad.mode.source($0 - pad.pads[axis], extent: extent) }
            var dimensions = current.shape.dimensions
            dimensions[axis] = indices.count
            let next = Tensor(x.type, Shape(dimensions))
            copyAlong(axis, indices, from: current, to: next)
            current = next
        }
        return current
    }

    /// Output index i along `axis` gets what stands at `indices[i]`.
    static func copyAlong(_ axis: Int, _ indices: [Int], from source: Tensor, to target: Tensor) {
        let inner = source.shape.dimensions[(axis + 1)...].reduce(1, *) * source.type.sizeBytes
        let outer = source.shape.dimensions[..<axis].reduce(1, *)
        guard inner > 0, outer > 0 else { return }
        let from = UnsafeRawPointer(source.base(ofAnyType: ()))
        let to = target.base(ofAnyType: ())
        for row in 0..<outer {
            for (place, index) in indices.enumerated() {
                (to + (row * indices.count + place) * inner).copyMemory(
                    from: from + (row * source.shape[axis] + index) * inner, byteCount: inner)
            }
        }
    }
}

extension Tensor {
    /// First byte, whatever the elements are.
    fileprivate func base(ofAnyType _: Void) -> UnsafeMutableRawPointer {
        guard let address = buffer.bytes.baseAddress else { preconditionFailure("a tensor without memory") }
        return address
    }
}

extension Pad.Mode {
    /// Index in 0..<extent that position `index` repeats.
    fileprivate func source(_ index: Int, extent: Int) -> Int {
        func wrapped(_ value: Int, _ period: Int) -> Int { (value % period + period) % period }
        switch self {
        case .edge, .constant: return min(max(index, 0), extent - 1)
        case .wrap: return wrapped(index, extent)
        case .reflect:
            guard extent > 1 else { return 0 }
            let position = wrapped(index, 2 * (extent - 1))
            return position < extent ? position : 2 * (extent - 1) - position
        }
    }
}
