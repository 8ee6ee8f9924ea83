// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// Convolutions, matrix products and pools. Each function returns false when it has no kernel for the node.
extension PlanBuilder {
    /// Rows of taps that the kernel for convolutions holds pointers to.
    private static let maximumTaps = 256

    mutating func lowerConvolution(_ node: Node, _ convolution: Convolution) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], isFloat(x), isFloat(y), convolution.kernel.count <= 2,
            let weight = realConstant(input(node, 1))
        else { return false }
        let bias = realConstant(input(node, 2))
        if input(node, 2) != nil && bias == nil { return false }
        let (inputShape, outputShape) = (graph[x].shape, graph[y].shape)
        let taps = convolution.kernel.reduce(1, *)
        guard taps <= Self.maximumTaps, inputShape.count > 0, outputShape.count > 0 else { return false }
        if node.meansFloats && convolution.residual == nil && convolution.activation.isBound {
            emitOrdered(node, convolution, weight, bias)
            return true
        }
        let source = read(x, .channelsLast)
        let residual = input(node, 3).map { read($0, .channelsLast) }
        let target = target(y)
        var job = float_convolution()
        job.window = float_window(
            inputShape, outputShape, source, target, kernel: convolution.kernel, strides: convolution.strides,
            dilations: convolution.dilations, pads: convolution.pads)
        job.residual_pitch = residual?.pitch ?? 0
        job.residual_after_activation = convolution.residual == .afterActivation ? 1 : 0
        job.epilogue = float_epilogue(convolution.activation)
        let groups = convolution.groups
        job.channels = inputShape[1] / groups
        job.filters = outputShape[1] / groups
        let layer = ConvolutionLayer(
            job: job, groups: groups, images: inputShape[0], source: source, target: target, residual: residual)
        if job.channels == 1 && job.filters == 1 && groups > 1 {
            emitDepthwise(node, layer, weight, bias, taps)
        } else {
            emitConvolution(node, layer, weight, bias, taps)
        }
        return true
    }

    /// A constant as the float32 numbers that it means.
    private func realConstant(_ id: ValueID?) -> Tensor? {
        guard let id, let tensor = constant(id) else { return nil }
        if let parameters = graph[id].quantization { return ReferenceEvaluator.dequantize(tensor, parameters) }
        return tensor.type == .float32 ? tensor : nil
    }

    private struct ConvolutionLayer {
        var job: float_convolution
        var groups: Int
        var images: Int
        var source: Place
        var target: Place
        var residual: Place?
    }

    private mutating func emitDepthwise(
        _ node: Node, _ layer: ConvolutionLayer, _ weight: Tensor, _ bias: Tensor?, _ taps: Int
    ) {
        var job = layer.job
        job.channels = layer.groups
        job.filters = layer.groups
        let (table, channels) = (kernels.table, layer.groups)
        let packed = addConstant(floats: float_packed_depthwise_count(table, channels, taps)) {
            float_pack_depthwise(table, weight.base, bias?.base, channels, taps, $0)
        }
        let (shared, kernels) = (Shared(job), kernels)
        let (images, source, target, residual) = (layer.images, layer.source, layer.target, layer.residual)
        emit(node.name, [source, target, packed] + [residual].compactMap { $0 }) { memory in
            var job = shared.value
            job.weights = UnsafePointer(memory.floats(packed))
            let (x, y) = (memory.floats(source), memory.floats(target))
            let r = residual.map { memory.floats($0) }
            let bound = job
            let run = kernels.table.pointee.depthwise
            return {
                withUnsafePointer(to: bound) { job in
                    let window = job.pointee.window
                    for image in 0..<images {
                        run?(
                            job, x + image * window.inputImage, r.map { $0 + image * job.pointee.residualImage },
                            y + image * window.outputImage, 0, window.output_height)
                    }
                }
            }
        }
    }

    private mutating func emitConvolution(
        _ node: Node, _ layer: ConvolutionLayer, _ weight: Tensor, _ bias: Tensor?, _ taps: Int
    ) {
        let job = layer.job
        let (channels, filters, groups) = (job.channels, job.filters, layer.groups)
        let table = kernels.table
        let groupCount = float_packed_count(table, filters, taps * channels)
        let packed = addConstant(floats: groupCount * groups) { target in
            for group in 0..<groups {
                float_pack_weights(
                    table, weight.base + group * filters * channels * taps, bias.map { $0.base + group * filters },
                    filters, channels, taps, target + group * groupCount)
            }
        }
        let zeros = addConstant(floats: job.window.kernel_width * channels) { _ in }
        let patches = addScratch(floats: kernels.tilePixels * taps * channels)
        let (shared, kernels) = (Shared(job), kernels)
        let (images, source, target, residual) = (layer.images, layer.source, layer.target, layer.residual)
        emit(node.name, [source, target, packed, zeros, patches] + [residual].compactMap { $0 }) { memory in
            var job = shared.value
            job.zeros = UnsafePointer(memory.floats(zeros))
            let jobs = (0..<groups).map { group in
                job.weights = UnsafePointer(memory.floats(packed) + group * groupCount)
                return job
            }
            let (x, y, scratch) = (memory.floats(source), memory.floats(target), memory.floats(patches))
            let r = residual.map { memory.floats($0) }
            let run = kernels.table.pointee.convolution
            return {
                jobs.withUnsafeBufferPointer { jobs in
                    for image in 0..<images {
                        for group in 0..<groups {
                            guard let job = jobs.baseAddress.map({ $0 + group }) else { continue }
                            let window = job.pointee.window
                            run?(
                                job, x + image * window.inputImage + group * channels,
                                r.map { $0 + image * job.pointee.residualImage + group * filters },
                                y + image * window.outputImage + group * filters, scratch, 0,
                                window.output_height * window.output_width)
                        }
                    }
                }
            }
        }
    }

    /// a [M, K] * b [K, N], b and c constant: a 1x1 convolution over M pixels.
    mutating func lowerGemm(_ node: Node, _ gemm: Gemm) -> Bool {
        guard let a = input(node, 0), let b = constant(input(node, 1)), let y = node.outputs[0], isFloat(a), isFloat(y),
            b.type == .float32, !gemm.transposesA, graph[a].shape.rank == 2, b.shape.rank == 2
        else { return false }
        let (columns, depth) = (graph[y].shape[1], graph[a].shape[1])
        var bias = [Float](repeating: 0, count: columns)
        if let c = input(node, 2) {
            guard let tensor = constant(c), tensor.type == .float32, tensor.count == 1 || tensor.count == columns,
                tensor.shape.rank == 0 || tensor.shape[tensor.shape.rank - 1] == tensor.count
            else { return false }
            for index in bias.indices { bias[index] = gemm.beta * tensor.base[tensor.count == 1 ? 0 : index] }
        }
        if node.meansFloats && gemm.alpha == 1 && gemm.beta == 1 && gemm.activation.isBound {
            let hasBias = input(node, 2) != nil
            if emitOrdered(node, b, hasBias ? bias : nil, isTransposed: gemm.transposesB, gemm.activation) {
                return true
            }
        }
        emitProduct(
            node, a, y, rows: graph[a].shape[0], depth: depth, columns: columns, bias: bias, gemm.activation
        ) { column, k in
            gemm.alpha * (gemm.transposesB ? b.base[column * depth + k] : b.base[k * columns + column])
        }
        return true
    }

    mutating func lowerMatMul(_ node: Node) -> Bool {
        guard let a = input(node, 0), let b = input(node, 1), let y = node.outputs[0], isFloat(a), isFloat(b),
            isFloat(y)
        else { return false }
        let (aShape, bShape) = (graph[a].shape, graph[b].shape)
        guard aShape.rank >= 2, bShape.rank >= 2, aShape.count > 0, bShape.count > 0 else { return false }
        let (depth, columns) = (aShape[aShape.rank - 1], bShape[bShape.rank - 1])
        if let constant = constant(b), bShape.rank == 2 {
            if node.meansFloats && emitOrdered(node, constant, nil, isTransposed: false, .none) { return true }
            emitProduct(
                node, a, y, rows: aShape.count / depth, depth: depth, columns: columns,
                bias: [Float](repeating: 0, count: columns), .none
            ) { column, k in constant.base[k * columns + column] }
            return true
        }
        let isShared = bShape.rank == 2
        guard isShared || aShape.dimensions.dropLast(2) == bShape.dimensions.dropLast(2) else { return false }
        let rows = isShared ? aShape.count / depth : aShape[aShape.rank - 2]
        let count = isShared ? 1 : aShape.dimensions.dropLast(2).reduce(1, *)
        let (left, right, kernels) = (read(a, .rowMajor), read(b, .rowMajor), kernels)
        writeDense(y, .rowMajor) { builder, target in
            builder.emit(node.name, [left, right, target]) { memory in
                let (a, b, y) = (memory.floats(left), memory.floats(right), memory.floats(target))
                let run = kernels.table.pointee.matmul
                return {
                    for index in 0..<count {
                        run?(
                            a + index * rows * depth, b + index * depth * columns, y + index * rows * columns, rows,
                            columns, depth)
                    }
                }
            }
        }
        return true
    }

    private mutating func emitProduct(
        _ node: Node, _ a: ValueID, _ y: ValueID, rows: Int, depth: Int, columns: Int, bias: [Float],
        _ activation: Activation, _ weight: (_ column: Int, _ k: Int) -> Float
    ) {
        let weights = Tensor(.float32, [columns, depth])
        for column in 0..<columns {
            for k in 0..<depth { weights.base[column * depth + k] = weight(column, k) }
        }
        var source = read(a, .rowMajor)
        source.pitch = depth
        let image = Shape([1, depth, 1, rows])
        var job = float_convolution()
        writeDense(y, .rowMajor) { builder, target in
            var target = target
            target.pitch = columns
            job.window = float_window(
                image, [1, columns, 1, rows], source, target, kernel: [1, 1], strides: [1, 1], dilations: [1, 1],
                pads: [0, 0, 0, 0])
            job.channels = depth
            job.filters = columns
            job.epilogue = float_epilogue(activation)
            let layer = ConvolutionLayer(
                job: job, groups: 1, images: 1, source: source, target: target, residual: nil)
            builder.emitConvolution(node, layer, weights, Tensor([columns], bias), 1)
        }
    }

    // MARK: Pools

    mutating func lowerPool(_ node: Node, _ pool: Pool, _ kind: float_pool_kind) -> Bool {
        guard let x = input(node, 0), node.outputs.count == 1, let y = node.outputs[0], isFloat(x), isFloat(y),
            pool.kernel.count <= 2, layouts[y.index] == .channelsLast,
            kind == float_pool_maximum || pool.dilations.allSatisfy({ $0 == 1 })
        else { return false }
        emitPool(node, x, y, kind, pool)
        return true
    }

    mutating func lowerGlobalPool(_ node: Node, _ averages: Bool) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], isFloat(x), isFloat(y),
            (3...4).contains(graph[x].shape.rank), graph[x].shape.count > 0
        else {
            return false
        }
        emitPool(
            node, x, y, averages ? float_pool_average : float_pool_maximum,
            Pool(kernel: Array(graph[x].shape.dimensions.dropFirst(2))))
        return true
    }

    /// Mean or maximum over all spatial axes is a global pool.
    mutating func lowerReduce(_ node: Node, _ reduce: Reduce) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], isFloat(x), isFloat(y),
            layouts[x.index] == .channelsLast,
            reduce.function == .mean || reduce.function == .maximum, graph[x].shape.rank <= 4,
            reduce.axes == Array(2..<graph[x].shape.rank), graph[x].shape.count > 0
        else { return false }
        emitPool(
            node, x, y, reduce.function == .mean ? float_pool_average : float_pool_maximum,
            Pool(kernel: Array(graph[x].shape.dimensions.dropFirst(2))))
        return true
    }

    private mutating func emitPool(_ node: Node, _ x: ValueID, _ y: ValueID, _ kind: float_pool_kind, _ pool: Pool) {
        let inputShape = graph[x].shape
        var outputShape = graph[y].shape
        if outputShape.rank < inputShape.rank {
            outputShape = Shape(inputShape.dimensions.prefix(2) + inputShape.dimensions.dropFirst(2).map { _ in 1 })
        }
        let source = read(x, .channelsLast)
        var target = target(y)
        if target.layout == .rowMajor { target.pitch = inputShape[1] }
        var job = float_pool()
        job.window = float_window(
            inputShape, outputShape, source, target, kernel: pool.kernel, strides: pool.strides,
            dilations: pool.dilations, pads: pool.pads)
        job.channels = inputShape[1]
        job.kind = kind
        job.counts_padding = pool.countsPadding ? 1 : 0
        job.pad_right = pool.pads[pool.pads.count - 1]
        job.pad_bottom = pool.kernel.count == 2 ? pool.pads[2] : 0
        let (bound, images, kernels, place) = (job, inputShape[0], kernels, target)
        emit(node.name, [source, target]) { memory in
            let (x, y) = (memory.floats(source), memory.floats(place))
            let run = kernels.table.pointee.pool
            return {
                withUnsafePointer(to: bound) { job in
                    let window = job.pointee.window
                    for image in 0..<images {
                        run?(
                            job, x + image * window.inputImage, y + image * window.outputImage, 0, window.output_height)
                    }
                }
            }
        }
    }
}

/// A C struct whose pointers are not set yet.
///
/// `@unchecked Sendable`: plain numbers.
struct Shared<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

extension Tensor {
    /// The first element, of float32.
    var base: UnsafeMutablePointer<Float> {
        guard let base = mutableElements(as: Float.self).baseAddress else { preconditionFailure("has no memory") }
        return base
    }
}

extension float_window {
    /// Images of [N, C, W] or [N, C, H, W]; what is said per axis has one or two entries (pads twice as many).
    init(
        _ input: Shape, _ output: Shape, _ source: Place, _ target: Place, kernel: [Int], strides: [Int],
        dilations: [Int], pads: [Int]
    ) {
        let isLine = kernel.count == 1
        self.init()
        input_height = isLine ? 1 : input[2]
        input_width = input[input.rank - 1]
        input_pitch = source.pitch
        output_height = isLine ? 1 : output[2]
        output_width = output[output.rank - 1]
        output_pitch = target.pitch
        kernel_height = isLine ? 1 : kernel[0]
        kernel_width = kernel[kernel.count - 1]
        stride_y = isLine ? 1 : strides[0]
        stride_x = strides[strides.count - 1]
        dilation_y = isLine ? 1 : dilations[0]
        dilation_x = dilations[dilations.count - 1]
        pad_top = isLine ? 0 : pads[0]
        pad_left = isLine ? pads[0] : pads[1]
    }

    /// A matrix product [rows, steps] times [steps, columns]: one pixel over rows without gaps.
    init(rows: Int, steps: Int, columns: Int) {
        self.init(
            input_height: 1, input_width: rows, input_pitch: steps, output_height: 1, output_width: rows,
            output_pitch: columns, kernel_height: 1, kernel_width: 1, stride_y: 1, stride_x: 1, dilation_y: 1,
            dilation_x: 1, pad_top: 0, pad_left: 0)
    }

    /// Elements from one image to the next.
    var inputImage: Int { input_height * input_width * input_pitch }
    var outputImage: Int { output_height * output_width * output_pitch }
}

extension float_convolution {
    var residualImage: Int { window.output_height * window.output_width * residual_pitch }
}

extension float_epilogue {
    init(_ activation: Activation) {
        switch activation {
        case .none: self.init(activation: float_clamp, low: -.infinity, high: .infinity)
        case .relu: self.init(activation: float_clamp, low: 0, high: .infinity)
        case .relu6: self.init(activation: float_clamp, low: 0, high: 6)
        case .clip(let low, let high): self.init(activation: float_clamp, low: low, high: high)
        case .leakyRelu(let slope): self.init(activation: float_leaky_relu, low: slope, high: 0)
        case .sigmoid: self.init(activation: float_sigmoid, low: 0, high: 0)
        case .silu: self.init(activation: float_silu, low: 0, high: 0)
        case .hardSigmoid(let slope, let offset):
            self.init(activation: float_hard_sigmoid, low: slope, high: offset)
        case .hardSwish: self.init(activation: float_hard_swish, low: 0, high: 0)
        case .tanh: self.init(activation: float_tanh, low: 0, high: 0)
        }
    }
}
