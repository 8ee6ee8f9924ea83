// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// Layers of floats that add up in the order of `FloatOrder`: of networks that store numbers in 16 bits between them, or for
/// which there is no kernel over stored numbers.
extension PlanBuilder {
    mutating func emitOrdered(_ node: Node, _ convolution: Convolution, _ weight: Tensor, _ bias: Tensor?) {
        guard let x = input(node, 0), let y = node.outputs[0] else { return }
        let (source, target) = (read(x, .channelsLast), target(y))
        let (inputShape, outputShape) = (graph[x].shape, graph[y].shape)
        let (groups, taps) = (convolution.groups, convolution.kernel.reduce(1, *))
        let isDepthwise = groups > 1 && groups == outputShape[1] && groups == inputShape[1]
        var layer = float_ordered()
        layer.window = float_window(
            inputShape, outputShape, source, target, kernel: convolution.kernel, strides: convolution.strides,
            dilations: convolution.dilations, pads: convolution.pads)
        layer.channels = inputShape[1] / groups
        layer.filters = isDepthwise ? groups : outputShape[1] / groups
        let order = FloatOrder.convolution(
            filters: outputShape[1] / groups, pixels: outputShape.spatialCount, steps: layer.channels * taps)
        emitOrdered(
            node.name, layer, order, convolution.activation, weight, strides: (layer.channels * taps, 1),
            bias.map { $0.array(of: Float.self) }, source, target, groups: isDepthwise ? 1 : groups,
            images: inputShape[0], isDepthwise: isDepthwise)
    }

    /// A matrix product; false if its order is not known.
    mutating func emitOrdered(
        _ node: Node, _ weight: Tensor, _ bias: [Float]?, isTransposed: Bool, _ activation: Activation
    ) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], weight.type == .float32 else { return false }
        let (columns, steps) = isTransposed ? (weight.shape[0], weight.shape[1]) : (weight.shape[1], weight.shape[0])
        let rows = graph[x].shape.count / max(steps, 1)
        guard rows > 0, columns > 0,
            let order = FloatOrder.product(rows: rows, columns: columns, steps: steps, isTransposed: isTransposed)
        else { return false }
        let source = read(x, .rowMajor)
        var layer = float_ordered()
        layer.window = float_window(rows: rows, steps: steps, columns: columns)
        (layer.channels, layer.filters, layer.starts_with_bias) = (steps, columns, 1)
        let strides = isTransposed ? (steps, 1) : (1, columns)
        writeDense(y, .rowMajor) { builder, target in
            builder.emitOrdered(
                node.name, layer, order, activation, weight, strides: strides, bias, source, target, groups: 1,
                images: 1, isDepthwise: false)
        }
        return true
    }

    /// - Parameters:
    ///   - strides: from one filter of the weights, and from one step, to the next.
    ///   - bias: of all groups.
    private mutating func emitOrdered(
        _ name: String, _ layer: float_ordered, _ order: FloatOrder, _ activation: Activation, _ weight: Tensor,
        strides: (filter: Int, step: Int), _ bias: [Float]?, _ source: Place, _ target: Place, groups: Int,
        images: Int, isDepthwise: Bool
    ) {
        var layer = layer
        (layer.order, layer.block) = order.form
        let bounds = float_epilogue(activation)
        (layer.low, layer.high) = (bounds.low, bounds.high)
        let (table, filters) = (kernels.table, layer.filters)
        let steps = layer.window.kernel_height * layer.window.kernel_width * (isDepthwise ? 1 : layer.channels)
        let count = float_ordered_count(table, filters, steps)
        let packed = addConstant(floats: count * groups) { packed in
            for group in 0..<groups {
                float_pack_ordered(
                    table, weight.base + group * filters * strides.filter, strides.filter, strides.step, filters, steps,
                    packed + group * count)
            }
        }
        let biases = bias.map { addPadded($0) }
        let patches = addScratch(floats: isDepthwise ? 0 : kernels.tilePixels * steps)
        let (shared, kernels) = (Shared(layer), kernels)
        emit(name, [source, target, packed, patches] + [biases].compactMap { $0 }) { memory in
            let layers = (0..<groups).map { group in
                var layer = shared.value
                layer.weights = UnsafePointer(memory.floats(packed) + group * count)
                layer.bias = biases.map { UnsafePointer(memory.floats($0) + group * filters) }
                return layer
            }
            let (x, y, scratch) = (memory.floats(source), memory.floats(target), memory.floats(patches))
            let (run, runDepthwise) = (kernels.table.pointee.ordered, kernels.table.pointee.ordered_depthwise)
            return {
                layers.withUnsafeBufferPointer { layers in
                    for image in 0..<images {
                        for group in layers.indices {
                            guard let layer = layers.baseAddress.map({ $0 + group }) else { continue }
                            let window = layer.pointee.window
                            let pixels = window.output_height * window.output_width
                            let from = x + image * window.inputImage + group * layer.pointee.channels
                            let to = y + image * window.outputImage + group * filters
                            if isDepthwise {
                                runDepthwise?(layer, from, to, 0, pixels)
                            } else {
                                run?(layer, from, to, scratch, 0, pixels)
                            }
                        }
                    }
                }
            }
        }
    }
}
