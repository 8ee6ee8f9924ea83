// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

extension PlanBuilder {
    mutating func lowerUnary(_ node: Node, _ function: Unary) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], isFloat(x), isFloat(y),
            let epilogue = float_epilogue(function)
        else {
            return false
        }
        let rows = Rows(graph[y].shape, layouts[y.index])
        let (source, target, kernels) = (read(x, layouts[y.index]), target(y), kernels)
        emit(node.name, [source, target]) { memory in
            let (x, y) = (memory.floats(source), memory.floats(target))
            let run = kernels.table.pointee.unary
            let (from, to) = (rows.pitch(source), rows.pitch(target))
            return { withUnsafePointer(to: epilogue) { run?($0, x, from, y, to, rows.count, rows.length) } }
        }
        return true
    }

    mutating func lowerBinary(_ node: Node, _ function: Binary, _ activation: Activation) -> Bool {
        guard let a = input(node, 0), let b = input(node, 1), let y = node.outputs[0], isFloat(a), isFloat(b),
            isFloat(y),
            let operation = float_binary(function), graph[y].shape.count > 0
        else { return false }
        let (shape, layout) = (graph[y].shape, layouts[y.index])
        let order = layout == .rowMajor ? Array(0..<shape.rank) : [0] + Array(2..<shape.rank) + [1]
        let extents = order.map { shape[$0] }
        let operands = [a, b].map { id in
            let missing = [Int](repeating: 1, count: shape.rank - graph[id].shape.rank)
            let full = missing + graph[id].shape.dimensions
            return order.map { full[$0] }
        }
        // Where rows end and what is in a row begins: pixels and channels, or any axis that suits both operands.
        let candidates = layout == .channelsLast ? [shape.rank - 1] : Array((0...shape.rank).reversed())
        guard
            let split = candidates.filter({ split in operands.allSatisfy { Self.fits($0, extents, split) } })
                .max(by: { extents[$0...].reduce(1, *) < extents[$1...].reduce(1, *) })
        else { return false }
        let count = extents[..<split].reduce(1, *)
        let length = extents[split...].reduce(1, *)
        let sources = zip([a, b], operands).map { id, operand -> Operand in
            let isWhole = operand == extents
            let place = graph[id].shape.rank == shape.rank ? read(id, layout) : read(id, .rowMajor)
            let hasRows = operand[..<split] == extents[..<split]
            let hasLength = operand[split...] == extents[split...]
            let pitch = layout == .channelsLast && isWhole ? place.pitch : (hasLength ? length : 1)
            // A row of one number repeated is a row that repeats, so that lengths and counts of one need no care.
            return Operand(place: place, pitch: hasRows ? pitch : 0, step: hasLength ? 1 : 0)
        }
        let target = target(y)
        let (epilogue, kernels) = (float_epilogue(activation), kernels)
        let (left, right) = (sources[0], sources[1])
        emit(node.name, [left.place, right.place, target]) { memory in
            let (a, b, y) = (memory.floats(left.place), memory.floats(right.place), memory.floats(target))
            let run = kernels.table.pointee.binary
            let pitch = layout == .channelsLast ? target.pitch : length
            return {
                withUnsafePointer(to: epilogue) {
                    run?(operation, $0, a, left.pitch, left.step, b, right.pitch, right.step, y, pitch, count, length)
                }
            }
        }
        return true
    }

    private struct Operand {
        let place: Place
        let pitch: Int
        let step: Int32
    }

    /// Whether both parts of an operand are either all there or all ones.
    private static func fits(_ operand: [Int], _ extents: [Int], _ split: Int) -> Bool {
        [0..<split, split..<extents.count].allSatisfy { range in
            operand[range] == extents[range] || operand[range].allSatisfy { $0 == 1 }
        }
    }

    /// Softmax along what is innermost in memory.
    mutating func lowerSoftmax(_ node: Node, axis: Int) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], isFloat(x), isFloat(y) else { return false }
        let (shape, layout) = (graph[x].shape, layouts[y.index])
        let isInner =
            layout == .channelsLast
            ? axis == 1 : shape.dimensions[(axis + 1)...].allSatisfy { $0 == 1 }
        guard isInner, shape.count > 0 else { return false }
        let (rows, length) = (shape.count / shape[axis], shape[axis])
        let (source, kernels) = (read(x, layout, dense: true), kernels)
        writeDense(y, layout) { builder, target in
            builder.emit(node.name, [source, target]) { memory in
                let (x, y) = (memory.floats(source), memory.floats(target))
                let run = kernels.table.pointee.softmax
                return { run?(x, y, rows, length) }
            }
        }
        return true
    }
}

/// A value as rows of numbers: its pixels, or all in one.
struct Rows {
    let count: Int
    let length: Int
    private let layout: Layout

    init(_ shape: Shape, _ layout: Layout) {
        self.layout = layout
        count = layout == .channelsLast ? shape.pixels : 1
        length = layout == .channelsLast ? shape.channels : shape.count
    }

    func pitch(_ place: Place) -> Int { layout == .channelsLast ? place.pitch : length }
}

extension float_epilogue {
    init?(_ function: Unary) {
        if let activation = Activation(function) {
            self.init(activation)
            return
        }
        switch function {
        case .relu: self.init(activation: float_clamp, low: 0, high: .infinity)
        case .exp: self.init(activation: float_exp, low: 0, high: 0)
        case .abs: self.init(activation: float_abs, low: 0, high: 0)
        case .negate: self.init(activation: float_negate, low: 0, high: 0)
        case .sqrt: self.init(activation: float_sqrt, low: 0, high: 0)
        case .reciprocal: self.init(activation: float_reciprocal, low: 0, high: 0)
        case .erf: self.init(activation: float_erf, low: 0, high: 0)
        case .gelu(approximatesWithTanh: false): self.init(activation: float_gelu, low: 0, high: 0)
        default: return nil
        }
    }
}

extension float_binary {
    init?(_ function: Binary) {
        switch function {
        case .add: self = float_add
        case .subtract: self = float_subtract
        case .multiply: self = float_multiply
        case .divide: self = float_divide
        case .maximum: self = float_maximum
        case .minimum: self = float_minimum
        default: return nil
        }
    }
}
