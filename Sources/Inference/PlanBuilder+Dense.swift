// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

extension PlanBuilder {
    /// A fully connected layer of 8-bit numbers (`IntegerProduct`); false if the node is none.
    mutating func lowerIntegerProduct(_ node: Node) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], graph.constants[x] == nil,
            let product = IntegerProduct(node, in: graph, weights: constant(input(node, 1)))
        else { return false }
        let matrix = product.matrix
        let rows = graph[x].shape.count / matrix.steps
        let source = read(x, .rowMajor)
        let packed = PackedMatrix(matrix, in: &self)
        let (multiplier, bias) = (addFloats(matrix.multipliers), addFloats(product.bias))
        let scales = product.result.map { result in
            (
                inverse: addFloats([Float](repeating: 1 / result.scale, count: matrix.rows)),
                zero: addFloats([Float](repeating: result.zeroPoint, count: matrix.rows))
            )
        }
        if let result = product.result, let order = product.order, result.scale > 1e-30,
            product.activation.isBound
        {
            let places = (source: source, packed: packed, multiplier: multiplier, bias: bias)
            emitFloatProduct(node, product, order, result, places, rows: rows)
            return true
        }
        var job = int8_dense()
        job.x_pitch = matrix.steps
        job.y_pitch = matrix.rows
        job.epilogue.activation = float_epilogue(product.activation)
        let shared = Shared(job)
        let constants = [packed.place, multiplier, bias] + [scales?.inverse, scales?.zero].compactMap { $0 }
        writeDense(y, .rowMajor) { builder, target in
            builder.emit(node.name, [source, target] + constants) { memory in
                var job = shared.value
                job.weights = packed.bound(memory)
                job.epilogue.multiplier = UnsafePointer(memory.floats(multiplier))
                job.epilogue.bias = UnsafePointer(memory.floats(bias))
                job.epilogue.inverse_scale = scales.map { UnsafePointer(memory.floats($0.inverse)) }
                job.epilogue.zero = scales.map { UnsafePointer(memory.floats($0.zero)) }
                let bound = job
                let x = UnsafePointer(memory.bytes(source))
                let y = memory.pointer(target)
                let run = Int8DenseKernels.best.table.pointee.dense
                return { withUnsafePointer(to: bound) { run?($0, x, y, rows, 0, matrix.rows) } }
            }
        }
        return true
    }

    /// A fully connected layer that means floats: the results are floats first.
    private mutating func emitFloatProduct(
        _ node: Node, _ product: IntegerProduct, _ order: FloatOrder, _ result: (scale: Float, zeroPoint: Float),
        _ places: (source: Place, packed: PackedMatrix, multiplier: Place, bias: Place), rows: Int
    ) {
        guard let y = node.outputs[0] else { return }
        let matrix = product.matrix
        var layer = int8_float_layer()
        layer.window = float_window(rows: rows, steps: matrix.steps, columns: matrix.rows)
        (layer.channels, layer.filters) = (matrix.steps, matrix.rows)
        (layer.filter_stride, layer.step_stride) = (matrix.rowStride, matrix.stepStride)
        (layer.input_scale, layer.input_zero) = (matrix.scales.input, Int32(matrix.zeroPoint))
        (layer.output_scale, layer.output_zero) = (result.scale, Int32(result.zeroPoint))
        layer.starts_with_bias = 1
        let activation = float_epilogue(product.activation)
        (layer.low, layer.high) = (activation.low, activation.high)
        let rounding = FloatRounding(
            layer, order: order, weight: matrix.weights, scales: matrix.scales.weights, bias: product.bias, &self)
        var job = int8_dense()
        (job.x_pitch, job.y_pitch) = (matrix.steps, matrix.rows)
        job.epilogue.activation = activation
        let shared = Shared(job)
        let floats = addScratch(floats: rows * matrix.rows)
        let used = [places.source, places.packed.place, places.multiplier, places.bias, floats] + rounding.places
        writeDense(y, .rowMajor) { builder, target in
            builder.emit(node.name, used + [target]) { memory in
                var job = shared.value
                job.weights = places.packed.bound(memory)
                job.epilogue.multiplier = UnsafePointer(memory.floats(places.multiplier))
                job.epilogue.bias = UnsafePointer(memory.floats(places.bias))
                let (bound, layer) = (job, rounding.bound(in: memory))
                let (x, y) = (UnsafePointer(memory.bytes(places.source)), memory.bytes(target))
                let (floats, tie) = (memory.floats(floats), memory.floats(rounding.tie))
                let run = Int8DenseKernels.best.table.pointee.dense
                let round = memory.int8Kernels.table.pointee.round_results
                return {
                    withUnsafePointer(to: bound) { run?($0, x, floats, rows, 0, layer.filters) }
                    withUnsafePointer(to: layer) { round?($0, floats, tie, x, y, rows) }
                }
            }
        }
    }

    /// float32 to uint8 with one scale or one per channel, where numbers lie in rows or planes without gaps.
    mutating func lowerPlanarQuantize(_ node: Node, _ x: ValueID, _ y: ValueID) -> Bool {
        guard images[x] == nil, layouts[y.index] == .rowMajor, graph[y].type == .uint8, let to = graph[y].quantization,
            to.axis == nil || to.axis == 1
        else { return false }
        let (source, target, shape) = (read(x, .rowMajor), target(y), graph[y].shape)
        let (scales, zeros) = (to.scales, to.zeroPoints.map(Float.init))
        let planes = to.axis == nil ? 1 : shape[0] * shape[1]
        let count = planes > 0 ? shape.count / planes : 0
        emit(node.name, [source, target]) { memory in
            let (x, y) = (UnsafePointer(memory.floats(source)), memory.bytes(target))
            let run = Int8DenseKernels.best.table.pointee.quantize
            return {
                for plane in 0..<planes {
                    let channel = plane % scales.count
                    run?(scales[channel], zeros[channel], x + plane * count, y + plane * count, count)
                }
            }
        }
        return true
    }
}
