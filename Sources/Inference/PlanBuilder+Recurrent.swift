// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// LSTM and GRU. Each function returns false when it has no kernel for the node.
extension PlanBuilder {
    /// The places that a recurrent layer reads and writes.
    private struct RecurrentPlaces: Sendable {
        var x: Place
        var h: Place?
        var cell: Place?
        var y: Place?
        var lastH: Place?
        var lastCell: Place?

        var all: [Place] { [x] + [h, cell, y, lastH, lastCell].compactMap { $0 } }
    }

    private mutating func recurrentPlaces(_ node: Node, _ x: ValueID) -> RecurrentPlaces {
        func output(_ index: Int) -> ValueID? { index < node.outputs.count ? node.outputs[index] : nil }
        return RecurrentPlaces(
            x: read(x, .rowMajor), h: input(node, 5).map { read($0, .rowMajor) },
            cell: input(node, 6).map { read($0, .rowMajor) }, y: output(0).map { target($0) },
            lastH: output(1).map { target($0) }, lastCell: output(2).map { target($0) })
    }

    /// Whether all steps of all sequences count.
    private func runsToTheEnd(_ node: Node, _ shape: RecurrentShape) -> Bool {
        guard let lengths = input(node, 4) else { return true }
        guard let tensor = constant(lengths), tensor.type == .int32 else { return false }
        return tensor.elements(as: Int32.self).allSatisfy { Int($0) == shape.length }
    }

    private func isRowMajor(_ node: Node) -> Bool {
        node.outputs.allSatisfy { id in id.map { layouts[$0.index] == .rowMajor } ?? true }
    }

    // MARK: In float32

    mutating func lowerRecurrent(_ node: Node, _ attributes: Recurrent) -> Bool {
        guard attributes.isPlain, attributes.state == nil, let x = input(node, 0), isFloat(x),
            let weights = constant(input(node, 1)), let recurrence = constant(input(node, 2)),
            weights.type == .float32, recurrence.type == .float32, input(node, 7) == nil, isRowMajor(node),
            (node.inputs.dropFirst(5) + node.outputs).allSatisfy({ id in id.map(isFloat) ?? true })
        else { return false }
        let shape = RecurrentShape(attributes, x: graph[x].shape)
        guard runsToTheEnd(node, shape), graph[x].shape.count > 0 else { return false }
        let bias = constant(input(node, 3))
        if input(node, 3) != nil && bias?.type != .float32 { return false }
        let places = recurrentPlaces(node, x)
        for direction in 0..<shape.directions {
            emitFloatRecurrent(
                node, attributes, shape, places, direction: direction, weights: weights, recurrence: recurrence,
                bias: bias?.array(of: Float.self))
        }
        return true
    }

    private mutating func emitFloatRecurrent(
        _ node: Node, _ attributes: Recurrent, _ shape: RecurrentShape, _ places: RecurrentPlaces, direction: Int,
        weights: Tensor, recurrence: Tensor, bias: [Float]?
    ) {
        let isLSTM = attributes.cell == .lstm
        let gates = attributes.cell.gates
        let resetsFirst = !isLSTM && !attributes.linearBeforeReset
        let rows = gates * shape.units
        let biases = bias.map { Array($0[(direction * 2 * rows)..<((direction + 1) * 2 * rows)]) }
        // The candidate of a GRU has two: what the reset gate acts on comes with the second.
        let joined = (0..<rows).map { row in
            guard let biases else { return 0 as Float }
            return !isLSTM && row >= 2 * shape.units ? biases[row] : biases[row] + biases[rows + row]
        }
        let second = (0..<shape.units).map { biases?[rows + (gates - 1) * shape.units + $0] ?? 0 }
        func pack(_ tensor: Tensor, _ gates: Range<Int>, _ builder: inout PlanBuilder) -> Place {
            let steps = tensor.shape[2]
            let order = shape.rowOrder(gates: gates)
            return builder.addConstant(floats: order.count * steps) {
                float_matrix_pack(
                    tensor.base + direction * rows * steps, order, order.count, steps, gates.count * 16, $0)
            }
        }
        let input = pack(weights, 0..<gates, &self)
        let back = pack(recurrence, 0..<(resetsFirst ? 2 : gates), &self)
        let candidate = resetsFirst ? pack(recurrence, 2..<3, &self) : nil
        let bias = addFloats(shape.ordered(joined, gates: 0..<gates))
        let secondBias = addFloats(shape.ordered(second, gates: 0..<1))
        let state = addScratch(floats: shape.batch * 2 * shape.paddedUnits)
        let cell = addScratch(floats: shape.batch * shape.paddedUnits)
        let scratch = addScratch(floats: 2 * shape.paddedUnits)
        let kernels = FloatRecurrentKernels.like(kernels)
        let reversed = attributes.direction == .reverse || direction == 1
        let own = [input, back, bias, secondBias, state, cell, scratch] + [candidate].compactMap { $0 }
        emit(node.name, places.all + own) { memory in
            var job = float_recurrent()
            job.length = shape.length
            job.batch = shape.batch
            job.units = shape.units
            job.inputs = shape.inputs
            job.reversed = reversed ? 1 : 0
            job.resets_first = resetsFirst ? 1 : 0
            job.input = UnsafePointer(memory.floats(input))
            job.recurrence = UnsafePointer(memory.floats(back))
            job.candidate_recurrence = candidate.map { UnsafePointer(memory.floats($0)) }
            job.bias = UnsafePointer(memory.floats(bias))
            job.recurrent_bias = UnsafePointer(memory.floats(secondBias))
            job.x_step = shape.inputStep
            job.x_sequence = shape.inputSequence
            job.y_step = shape.outputStep
            job.y_sequence = shape.outputSequence
            job.state = memory.floats(state)
            job.cell = isLSTM ? memory.floats(cell) : nil
            job.scratch = memory.floats(scratch)
            job.y = places.y.map { memory.floats($0) + direction * shape.outputDirection }
            let bound = job
            let x = UnsafePointer(memory.floats(places.x))
            let ends = RecurrentEnds(memory, shape, direction, places.h, places.cell, places.lastH, places.lastCell)
            let run = isLSTM ? kernels.table.pointee.lstm : kernels.table.pointee.gru
            let last = shape.length % 2 * shape.paddedUnits
            return {
                withUnsafePointer(to: bound) { job in
                    float_recurrent_start(job, ends.h, ends.cell, shape.stateSequence)
                    run?(job, x)
                    ends.write(job.pointee.state + last, pitch: 2 * shape.paddedUnits, to: ends.lastH)
                    if let cell = job.pointee.cell { ends.write(cell, pitch: shape.paddedUnits, to: ends.lastCell) }
                }
            }
        }
    }

    // MARK: In integers

    /// `IntegerRecurrence`
    mutating func lowerIntegerRecurrence(_ node: Node, _ attributes: Recurrent) -> Bool {
        let constants = node.inputs.map { constant($0) }
        guard let x = input(node, 0), graph.constants[x] == nil, isRowMajor(node),
            let layer = IntegerRecurrence(node, attributes, in: graph, constants: constants),
            graph[x].shape.count > 0
        else { return false }
        let shape = RecurrentShape(attributes, x: graph[x].shape)
        let isLSTM = attributes.cell == .lstm
        let gates = attributes.cell.gates
        let order = shape.rowOrder(gates: 0..<gates)
        let places = recurrentPlaces(node, x)
        let input = PackedMatrix(layer.input, order: order, tile: 16 * gates, in: &self)
        let recurrence = PackedMatrix(layer.recurrence, order: order, tile: 16 * gates, in: &self)
        let multiplier = addFloats(shape.ordered(layer.inputMultipliers, gates: 0..<gates))
        let backMultiplier = addFloats(shape.ordered(layer.recurrenceMultipliers, gates: 0..<gates))
        let bias = addFloats(shape.ordered(layer.biases, gates: 0..<gates))
        let secondBias = isLSTM ? bias : addFloats(shape.ordered(layer.recurrentBiases, gates: 0..<1))
        let state = Place(root: addRoot(byteCount: shape.batch * 2 * shape.paddedUnits), layout: .rowMajor)
        let hidden = addScratch(floats: shape.batch * shape.paddedUnits)
        let cell = addScratch(floats: shape.batch * shape.paddedUnits)
        let own = [input.place, recurrence.place, multiplier, backMultiplier, bias, secondBias, state, hidden, cell]
        emit(node.name, places.all + own) { memory in
            var job = int8_recurrent()
            job.length = shape.length
            job.batch = shape.batch
            job.units = shape.units
            job.reversed = attributes.direction == .reverse ? 1 : 0
            job.input = input.bound(memory)
            job.recurrence = recurrence.bound(memory)
            job.input_multiplier = UnsafePointer(memory.floats(multiplier))
            job.recurrence_multiplier = UnsafePointer(memory.floats(backMultiplier))
            job.bias = UnsafePointer(memory.floats(bias))
            job.recurrent_bias = UnsafePointer(memory.floats(secondBias))
            job.inverse_scale = layer.inverseScale
            job.zero = layer.zeroPoint
            job.x_step = shape.inputStep
            job.x_sequence = shape.inputSequence
            job.y_step = shape.outputStep
            job.y_sequence = shape.outputSequence
            job.state = memory.bytes(state)
            job.hidden = memory.floats(hidden)
            job.cell = isLSTM ? memory.floats(cell) : nil
            job.y = layer.storesIntegers ? places.y.map { memory.bytes($0) } : nil
            job.real_y = layer.storesIntegers ? nil : places.y.map { memory.floats($0) }
            let bound = job
            let x = UnsafePointer(memory.bytes(places.x))
            let ends = RecurrentEnds(memory, shape, 0, places.h, places.cell, places.lastH, places.lastCell)
            let table = Int8DenseKernels.best.table.pointee
            let run = isLSTM ? table.lstm : table.gru
            return {
                withUnsafePointer(to: bound) { job in
                    int8_recurrent_start(job, ends.h, ends.cell, shape.stateSequence)
                    run?(job, x)
                    ends.write(job.pointee.hidden, pitch: shape.paddedUnits, to: ends.lastH)
                    if let cell = job.pointee.cell { ends.write(cell, pitch: shape.paddedUnits, to: ends.lastCell) }
                }
            }
        }
        return true
    }
}

/// Initial and last states of one direction.
private struct RecurrentEnds {
    let h: UnsafePointer<Float>?
    let cell: UnsafePointer<Float>?
    let lastH: UnsafeMutablePointer<Float>?
    let lastCell: UnsafeMutablePointer<Float>?
    private let shape: RecurrentShape

    init(
        _ memory: Memory, _ shape: RecurrentShape, _ direction: Int, _ h: Place?, _ cell: Place?, _ lastH: Place?,
        _ lastCell: Place?
    ) {
        let offset = direction * shape.stateDirection
        self.shape = shape
        self.h = h.map { UnsafePointer(memory.floats($0) + offset) }
        self.cell = cell.map { UnsafePointer(memory.floats($0) + offset) }
        self.lastH = lastH.map { memory.floats($0) + offset }
        self.lastCell = lastCell.map { memory.floats($0) + offset }
    }

    /// Copies the units of each sequence, which lie `pitch` apart.
    func write(_ values: UnsafePointer<Float>, pitch: Int, to target: UnsafeMutablePointer<Float>?) {
        guard let target else { return }
        for sequence in 0..<shape.batch {
            (target + sequence * shape.stateSequence).update(from: values + sequence * pitch, count: shape.units)
        }
    }
}
