// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// Operators on 8-bit numbers. Each function returns false when it has no kernel for the node.
extension PlanBuilder {
    /// What the kernels ask of a depthwise window: sums that float32 holds exactly.
    private static let maximumDepthwiseTaps = 500
    /// The same where weights have a zero point, and so take 9 bits.
    private static let maximumWideTaps = 250

    /// A value of this type with one scale for all.
    private func uniform(_ id: ValueID?, _ type: ElementType = .uint8) -> (scale: Float, zero: Float)? {
        guard let id, graph[id].type == type, let parameters = graph[id].quantization,
            parameters.scales.areEqual, parameters.zeroPoints.areEqual
        else { return nil }
        return (parameters.scales[0], Float(parameters.zeroPoints[0]))
    }

    /// A value of this type with one scale for all or one per channel (axis 1), as `count` entries each.
    private func perChannel(
        _ id: ValueID, _ count: Int, _ type: ElementType = .uint8
    ) -> (scales: [Float], zeros: [Float])? {
        guard graph[id].type == type, let parameters = graph[id].quantization else { return nil }
        let zeros = parameters.zeroPoints.map(Float.init)
        if parameters.scales.count == count && parameters.axis == 1 { return (parameters.scales, zeros) }
        guard let same = uniform(id, type) else { return nil }
        return ([Float](repeating: same.scale, count: count), [Float](repeating: same.zero, count: count))
    }

    private mutating func addConstant(_ values: [Float]) -> Place {
        addConstant(floats: values.count) { $0.update(from: values, count: values.count) }
    }

    // MARK: Convolution

    mutating func lowerQuantizedConvolution(_ node: Node, _ convolution: Convolution) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0] else { return false }
        // Made here; layers of files with 16 bits round in another way.
        let takesWords = node.kernel != nil && graph[x].type == .int16
        let makesWords = node.kernel != nil && graph[y].type == .int16
        guard let weightID = input(node, 1), let weight = constant(weightID), graph[x].shape.rank > 2,
            let source = perChannel(x, graph[x].shape[1], takesWords ? .int16 : .uint8),
            let steps = graph[weightID].quantization,
            let weightZero = steps.zeroPoints.first, steps.zeroPoints.allSatisfy({ $0 == weightZero }),
            convolution.kernel.count <= 2, graph[y].shape.count > 0,
            graph[x].shape.count > 0
        else { return false }
        let (filters, channels) = (graph[y].shape[1], graph[x].shape[1])
        let taps = convolution.kernel.reduce(1, *)
        let isDepthwise = convolution.groups > 1 && convolution.groups == filters && filters == channels
        let maximumTaps = weightZero == 0 ? Self.maximumDepthwiseTaps : Self.maximumWideTaps
        guard isDepthwise ? taps <= maximumTaps : convolution.groups == 1,
            steps.scales.count == 1 || (steps.scales.count == filters && steps.axis == 0),
            // Channels that are added up have one scale; weights may have been multiplied by scales before they were rounded.
            isDepthwise || source.scales.areEqual
        else { return false }
        let hasWords = takesWords || makesWords
        if hasWords && !suitsWords(node, convolution, weight, isDepthwise: isDepthwise) { return false }
        guard weight.type == (takesWords || (hasWords && isDepthwise) ? .int16 : .int8) else { return false }
        guard let bias = realBias(input(node, 2), count: filters) else { return false }
        let residual = input(node, 3)
        let addsWords = node.kernel != nil && residual.map { graph[$0].type == .int16 } ?? false
        let added = residual.map { perChannel($0, filters, addsWords ? .int16 : .uint8) }
        if case .some(nil) = added { return false }
        let outgoing = perChannel(y, filters, makesWords ? .int16 : .uint8)
        if !isFloat(y) && outgoing == nil { return false }

        let scales = (0..<filters).map {
            source.scales[isDepthwise ? $0 : 0] * steps.scales[steps.scales.count == 1 ? 0 : $0]
        }
        let largestSum =
            weight.type == .int16
            ? Float(Int32.max) : Float(255 * (128 + abs(Int(weightZero))) * taps * (isDepthwise ? 1 : channels))
        let activation = float_epilogue(convolution.activation)
        let rounding = floatRounding(
            node, convolution, weight, source: source, scales: steps.scales, weightZero: weightZero, bias: bias)
        var starts: [Int32]?
        if rounding == nil && outgoing != nil && activation.activation == float_clamp {
            starts = startingSums(node, scales, limit: (isDepthwise ? 0x1p24 : 0x1p31) - largestSum)
        }
        let epilogue: QuantizedEpilogue
        if let starts, let outgoing {
            let largest = starts.map { abs(Float($0)) }.max() ?? 0
            epilogue = QuantizedEpilogue(
                roundingSumsOf: scales, largestSum: largestSum + largest, bounds: activation, output: outgoing)
        } else {
            epilogue = QuantizedEpilogue(
                scales: scales, bias: bias, largestSum: largestSum, activation: activation, output: outgoing,
                makesWords: makesWords, residual: added.flatMap { $0 }, addsWords: addsWords,
                isResidualAfterActivation: convolution.residual == .afterActivation, isWatched: rounding != nil)
        }
        if (makesWords || (hasWords && isDepthwise)) && !isFloat(y) && !epilogue.isBounded { return false }
        let isWinograd = node.kernel?.winograd == true && convolution.suitsWinograd && weightZero == 0
        let form: QuantizedLayer.Form =
            switch (isDepthwise, hasWords) {
            case (true, true): .depthwiseWords
            case (true, false): .depthwise
            case (false, _): takesWords ? .denseWords : isWinograd ? .winograd : .dense
            }
        var layer = QuantizedLayer(
            kernels: form == .dense ? suitingKernels(weight, taps: taps) : int8Kernels, form: form,
            images: graph[x].shape[0], outputElementBytes: graph[y].type.sizeBytes, source: read(x, .channelsLast),
            target: target(y), residual: residual.map { read($0, .channelsLast) },
            epilogue: EpiloguePlaces(epilogue, tie: rounding?.tie, &self), rounding: rounding)
        layer.job.window = float_window(
            graph[x].shape, graph[y].shape, layer.source, layer.target, kernel: convolution.kernel,
            strides: convolution.strides, dilations: convolution.dilations, pads: convolution.pads)
        layer.job.channels = channels * graph[x].type.sizeBytes
        layer.job.window.input_pitch *= graph[x].type.sizeBytes
        layer.job.takes_words = takesWords ? 1 : 0
        layer.job.filters = filters
        layer.job.weight_zero = weightZero
        layer.job.residual_pitch = (layer.residual?.pitch ?? 0) * (addsWords ? 2 : 1)
        emit(node.name, layer, weight, taps: taps, source.zeros.map { Int16(clamping: Int($0)) }, bias: starts)
        return true
    }

    /// How a layer that means floats rounds its sums; nil if they are rounded otherwise.
    private mutating func floatRounding(
        _ node: Node, _ convolution: Convolution, _ weight: Tensor, source: (scales: [Float], zeros: [Float]),
        scales: [Float], weightZero: Int32, bias: [Float]
    ) -> FloatRounding? {
        guard node.meansFloats, node.kernel == nil, input(node, 3) == nil, let x = input(node, 0),
            let y = node.outputs[0],
            let from = uniform(x), let to = uniform(y), to.scale > 1e-30,
            convolution.activation.isBound
        else { return nil }
        let shape = graph[y].shape
        let isDepthwise = convolution.groups > 1
        var job = int8_float_layer()
        job.window = float_window(
            graph[x].shape, shape, read(x, .channelsLast), target(y), kernel: convolution.kernel,
            strides: convolution.strides, dilations: convolution.dilations, pads: convolution.pads)
        job.channels = isDepthwise ? 1 : graph[x].shape[1]
        job.filters = shape[1]
        job.is_depthwise = isDepthwise ? 1 : 0
        let taps = convolution.kernel.reduce(1, *)
        (job.filter_stride, job.step_stride) = (job.channels * taps, 1)
        job.weight_zero = weightZero
        (job.input_scale, job.input_zero) = (from.scale, Int32(from.zero))
        (job.output_scale, job.output_zero) = (to.scale, Int32(to.zero))
        let activation = float_epilogue(convolution.activation)
        (job.low, job.high) = (activation.low, activation.high)
        let order = FloatOrder.convolution(
            filters: isDepthwise ? 1 : shape[1], pixels: shape.spatialCount, steps: job.channels * taps)
        return FloatRounding(
            job, order: order, weight: weight,
            scales: scales.count == 1 ? [Float](repeating: scales[0], count: shape[1]) : scales,
            bias: input(node, 2) == nil ? nil : bias, &self)
    }

    /// Whether there is a kernel for a layer of which the input or the output is int16.
    private func suitsWords(
        _ node: Node, _ convolution: Convolution, _ weight: Tensor, isDepthwise: Bool
    ) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], node.kernel?.winograd != true,
            let zeros = input(node, 1).flatMap({ graph[$0].quantization })?.zeroPoints, zeros.allSatisfy({ $0 == 0 })
        else { return false }
        if weight.type == .int16 {
            let filters = weight.shape[0]
            let holds = answer {
                int8_word_sums_hold(weight.elements(as: Int16.self).baseAddress, filters, weight.count / filters) != 0
            }
            guard holds, graph[x].quantization?.zeroPoints.allSatisfy({ (0...4095).contains($0) }) ?? false else {
                return false
            }
        }
        if isDepthwise { return convolution.suitsDepthwiseWords(toFloats: isFloat(y)) }
        return graph[y].type != .int16 || convolution.writesWords
    }

    /// Per filter, the bias in steps of the sums, if a layer is written in integers alone: with an int32 bias of the scales that
    /// the sums have, or with none. Such a layer of a file rounds once, before the zero point is added. Layers made here say how
    /// they are computed, or have another bias.
    private func startingSums(_ node: Node, _ scales: [Float], limit: Float) -> [Int32]? {
        guard node.kernel == nil, input(node, 3) == nil, limit > 0 else { return nil }
        guard let id = input(node, 2) else { return scales.map { _ in 0 } }
        guard let tensor = constant(id), tensor.type == .int32, tensor.count == scales.count,
            let steps = graph[id].quantization, steps.zeroPoints.allSatisfy({ $0 == 0 }),
            scales.indices.allSatisfy({
                abs(steps.scales[steps.scales.count == 1 ? 0 : $0] - scales[$0]) <= scales[$0].ulp
            })
        else { return nil }
        let values = tensor.array(of: Int32.self)
        return values.allSatisfy { abs(Float($0)) < limit } ? values : nil
    }

    /// The plan's kernels, or others that compute the sums of these weights [K, C, taps...] exactly: some add products in int16
    /// lanes, which only weights made for it cannot overflow.
    private func suitingKernels(_ weight: Tensor, taps: Int) -> Int8Kernels {
        guard let unlimited = int8Kernels.table.pointee.unlimited else { return int8Kernels }
        let filters = weight.shape[0]
        let channels = weight.count / max(filters * taps, 1)
        let holds = answer {
            int8_lane_limits_hold(weight.elements(as: Int8.self).baseAddress, filters, channels, taps) != 0
        }
        return holds ? int8Kernels : Int8Kernels(table: unlimited)
    }

    /// The bias in real units; zeros if there is none, nil if it is not constant.
    private func realBias(_ id: ValueID?, count: Int) -> [Float]? {
        guard let id else { return [Float](repeating: 0, count: count) }
        guard let tensor = constant(id) else { return nil }
        if tensor.type == .float32 { return tensor.array(of: Float.self) }
        return graph[id].quantization.map { ReferenceEvaluator.dequantize(tensor, $0).array(of: Float.self) }
    }

    // MARK: Conversions

    /// float32 to uint8 and back, and between 8-bit forms. The pixels of an image input go through a table without becoming
    /// float.
    mutating func lowerQuantize(_ node: Node) -> Bool {
        if input(node, 0).map({ !isFloat($0) }) ?? false { return lowerQuantizedUnary(node) }
        guard let x = input(node, 0), let y = node.outputs[0], isFloat(x) else { return false }
        guard let row = conversionRow(y) else { return lowerPlanarQuantize(node, x, y) }
        if let image = images[x] { return lowerPixels(node, x, y, image) }
        if lowerPlanes(node, x, y, row) || lowerPlanarQuantize(node, x, y) { return true }
        let layout = layouts[y.index]
        let (source, target) = (read(x, layout), target(y))
        let (scale, zero) = (addConstant(row.scales), addConstant(row.zeros))
        let (rows, length) = (graph[y].shape.count / max(row.scales.count, 1), row.scales.count)
        emit(node.name, [source, target, scale, zero]) { memory in
            let (x, y) = (memory.floats(source), memory.bytes(target))
            let (scale, zero) = (memory.floats(scale), memory.floats(zero))
            let run = memory.int8Kernels.table.pointee.quantize
            let (from, to) = layout == .channelsLast ? (source.pitch, target.pitch) : (length, length)
            return { run?(scale, zero, x, from, y, to, rows, length) }
        }
        return true
    }

    /// An input of a few planes, read where the caller puts it.
    private mutating func lowerPlanes(
        _ node: Node, _ x: ValueID, _ y: ValueID, _ row: (scales: [Float], zeros: [Float])
    ) -> Bool {
        guard let index = graph.inputs.firstIndex(of: x), layouts[x.index] == .rowMajor,
            layouts[y.index] == .channelsLast, (1...4).contains(row.scales.count)
        else { return false }
        let (shape, target, channels) = (graph[x].shape, target(y), row.scales.count)
        let (scale, zero) = (addConstant(row.scales), addConstant(row.zeros))
        let (images, pixels, count) = (shape[0], shape.spatialCount, shape.count)
        emit(node.name, [target, scale, zero]) { memory in
            guard let run = memory.int8Kernels.table.pointee.quantize_planes else { return {} }
            guard let base = memory.inputs[index].bytes.assumingMemoryBound(to: Float.self).baseAddress else {
                return {}
            }
            let (y, scale, zero) = (memory.bytes(target), memory.floats(scale), memory.floats(zero))
            let work: Team.Work = { part, parts in
                let x = base + memory.item * count
                let share = Team.share(pixels, part, parts, unit: 64)
                for image in 0..<images {
                    run(
                        scale, zero, x + image * channels * pixels + share.lowerBound, pixels,
                        y + (image * pixels + share.lowerBound) * target.pitch, target.pitch, share.count, channels)
                }
            }
            return { memory.team.run(work) }
        }
        return true
    }

    mutating func lowerDequantize(_ node: Node) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], isFloat(y), graph.constants[x] == nil,
            let row = conversionRow(x, as: y)
        else { return false }
        let layout = layouts[y.index]
        let (source, target) = (read(x, layout), target(y))
        let (scale, zero) = (addConstant(row.scales), addConstant(row.zeros))
        let (rows, length) = (graph[y].shape.count / max(row.scales.count, 1), row.scales.count)
        emit(node.name, [source, target, scale, zero]) { memory in
            let (x, y) = (memory.bytes(source), memory.floats(target))
            let (scale, zero) = (memory.floats(scale), memory.floats(zero))
            let run = memory.int8Kernels.table.pointee.dequantize
            let (from, to) = layout == .channelsLast ? (source.pitch, target.pitch) : (length, length)
            return { run?(scale, zero, x, from, y, to, rows, length) }
        }
        return true
    }

    /// Parameters of one row of a value as it lies in memory, or as another one does: of a pixel's channels, or of the
    /// last axis.
    private func conversionRow(
        _ id: ValueID, as laidOut: ValueID? = nil
    ) -> (scales: [Float], zeros: [Float])? {
        let shape = graph[id].shape
        if layouts[(laidOut ?? id).index] == .channelsLast { return perChannel(id, shape.channels) }
        guard let same = uniform(id), shape.count > 0 else { return nil }
        let length = shape.rank > 0 ? shape[shape.rank - 1] : 1
        return ([Float](repeating: same.scale, count: length), [Float](repeating: same.zero, count: length))
    }

    private mutating func lowerPixels(_ node: Node, _ x: ValueID, _ y: ValueID, _ image: ImagePreprocessing) -> Bool {
        guard let index = graph.inputs.firstIndex(of: x), let parameters = graph[y].quantization,
            layouts[y.index] == .channelsLast
        else { return false }
        let channels = graph[y].shape.channels
        let every = Tensor(.float32, [1, channels, 256])
        for channel in 0..<channels {
            for pixel in 0..<256 {
                every.base[channel * 256 + pixel] = (Float(pixel) - image.mean[channel]) * image.scale[channel]
            }
        }
        let stored = ReferenceEvaluator.quantize(every, parameters, to: .uint8).array(of: UInt8.self)
        let isIdentity = stored.indices.allSatisfy { Int(stored[$0]) == $0 % 256 }
        let table =
            isIdentity
            ? nil : addConstant(byteCount: stored.count) { $0.copyMemory(from: stored, byteCount: stored.count) }
        let pixels = graph[y].shape.pixels
        let target = target(y)
        emit(node.name, [target] + [table].compactMap { $0 }) { memory in
            guard let base = memory.inputs[index].bytes.baseAddress else { return {} }
            let (x, y) = (base.assumingMemoryBound(to: UInt8.self), memory.bytes(target))
            let table = table.map { UnsafePointer(memory.bytes($0)) }
            return {
                int8_look_up_pixels(table, x + memory.item * pixels * channels, y, target.pitch, pixels, channels)
            }
        }
        return true
    }

    // MARK: Carriers

    mutating func lowerQuantizedPool(_ node: Node, _ pool: Pool, _ kind: float_pool_kind) -> Bool {
        guard let x = input(node, 0), node.outputs.count == 1, let y = node.outputs[0], graph[x].shape.rank > 2,
            pool.kernel.count <= 2, layouts[y.index] == .channelsLast
        else { return false }
        let averages = kind == float_pool_average
        let type: ElementType = !averages && graph[x].type == .int16 ? .int16 : .uint8
        guard let from = perChannel(x, graph[x].shape[1], type), let to = perChannel(y, graph[x].shape[1], type) else {
            return false
        }
        // Positions in the padding stand for the real number zero and not for the stored one.
        if averages && pool.countsPadding && pool.pads.contains(where: { $0 != 0 }) { return false }
        if !averages && from != to { return false }
        let (source, target) = (read(x, .channelsLast), target(y))
        let (inputShape, outputShape) = (graph[x].shape, graph[y].shape)
        var job = float_pool()
        job.window = float_window(
            inputShape, outputShape, source, target, kernel: pool.kernel, strides: pool.strides,
            dilations: pool.dilations, pads: pool.pads)
        job.channels = inputShape[1]
        job.kind = kind
        let size = type.sizeBytes
        job.window.input_pitch *= size
        if averages && node.meansFloats, let from = uniform(x), let to = uniform(y) {
            let order = FloatPoolOrder(pool, input: Array(graph[x].shape.dimensions.dropFirst(2)))
            emitFloatPool(node.name, job, order, from: from, to: to, source, target, images: inputShape[0])
            return true
        }
        let factors = zip(from.scales, to.scales).map(/)
        let multiplier = addConstant(factors)
        let bias = addConstant(factors.indices.map { to.zeros[$0] - from.zeros[$0] * factors[$0] })
        let (shared, images) = (Shared(job), inputShape[0])
        emit(node.name, [source, target, multiplier, bias]) { memory in
            let (x, y) = (memory.bytes(source), memory.bytes(target))
            let (multiplier, bias) = (memory.floats(multiplier), memory.floats(bias))
            let job = shared.value
            let window = job.window
            let table = memory.int8Kernels.table.pointee
            return {
                withUnsafePointer(to: job) { job in
                    for image in 0..<images {
                        let (from, to) = (x + image * window.inputImage, y + image * window.outputImage * size)
                        if averages {
                            table.average_pool(job, multiplier, bias, from, to, 0, window.output_height)
                        } else if type == .int16 {
                            let to = UnsafeMutableRawPointer(to).assumingMemoryBound(to: Int16.self)
                            table.max_pool_words(job, from, to, 0, window.output_height)
                        } else {
                            table.max_pool(job, from, to, 0, window.output_height)
                        }
                    }
                }
            }
        }
        return true
    }

    /// A mean of floats.
    private mutating func emitFloatPool(
        _ name: String, _ job: float_pool, _ order: FloatPoolOrder, from: (scale: Float, zero: Float),
        to: (scale: Float, zero: Float), _ source: Place, _ target: Place, images: Int
    ) {
        let parameters = int8_float_pool(
            order: order == .columns ? float_pool_columns : order == .rows ? float_pool_rows : float_pool_lanes,
            input_scale: from.scale, output_scale: to.scale, input_zero: Int32(from.zero), output_zero: Int32(to.zero))
        let shared = Shared((job, parameters))
        emit(name, [source, target]) { memory in
            let (x, y) = (memory.bytes(source), memory.bytes(target))
            let (job, parameters) = shared.value
            let run = memory.int8Kernels.table.pointee.average_pool_floats
            return {
                withUnsafePointer(to: job) { job in
                    withUnsafePointer(to: parameters) { parameters in
                        for image in 0..<images {
                            run?(
                                job, parameters, x + image * job.pointee.window.inputImage,
                                y + image * job.pointee.window.outputImage, 0, job.pointee.window.output_height)
                        }
                    }
                }
            }
        }
    }

    mutating func lowerQuantizedGlobalPool(_ node: Node, _ function: GlobalPool) -> Bool {
        guard let x = input(node, 0), (3...4).contains(graph[x].shape.rank) else { return false }
        return lowerQuantizedPool(
            node, Pool(kernel: Array(graph[x].shape.dimensions.dropFirst(2))),
            function == .average ? float_pool_average : float_pool_maximum)
    }

    mutating func lowerQuantizedAdd(_ node: Node, _ function: Binary, _ activation: Activation) -> Bool {
        guard function == .add, let a = input(node, 0), let b = input(node, 1), let y = node.outputs[0],
            graph[a].shape == graph[y].shape, graph[b].shape == graph[y].shape, graph[y].shape.count > 0,
            let first = conversionRow(a, as: y), let second = conversionRow(b, as: y), let to = conversionRow(y)
        else { return false }
        let (layout, shape, length) = (layouts[y.index], graph[y].shape, to.scales.count)
        let (left, right, target) = (read(a, layout), read(b, layout), target(y))
        let function = float_epilogue(activation)
        let isLinear = activation.isBound && !node.meansFloats
        let epilogue =
            if node.meansFloats {
                QuantizedEpilogue(addingFloats: second, activation: function, output: to)
            } else if isLinear {
                QuantizedEpilogue(adding: first, second, bounds: function, output: to)
            } else {
                QuantizedEpilogue(
                    scales: first.scales, bias: first.zeros, largestSum: 255, activation: function, output: to,
                    residual: second, isResidualAfterActivation: true)
            }
        let scaleA = addConstant(isLinear ? zip(first.scales, to.scales).map(/) : first.scales)
        let zeroA = addConstant(first.zeros)
        let places = EpiloguePlaces(epilogue, &self)
        emit(node.name, [left, right, target, scaleA, zeroA] + places.places) { memory in
            let bound = places.bound(in: memory)
            let (scaleA, zeroA) = (memory.floats(scaleA), memory.floats(zeroA))
            let (a, b, y) = (memory.bytes(left), memory.bytes(right), memory.bytes(target))
            func pitch(_ place: Place) -> Int { layout == .channelsLast ? place.pitch : length }
            let (pitchA, pitchB, pitchY) = (pitch(left), pitch(right), pitch(target))
            let run = memory.int8Kernels.table.pointee.add
            return {
                withUnsafePointer(to: bound) {
                    run?(
                        $0, scaleA, zeroA, a, pitchA, b, pitchB, y, pitchY, shape.count / length, length)
                }
            }
        }
        return true
    }

    /// A function of one 8-bit number is a table.
    mutating func lowerQuantizedUnary(_ node: Node) -> Bool {
        guard let x = input(node, 0), let y = node.outputs[0], let from = graph[x].quantization,
            let to = graph[y].quantization, from.axis == nil, to.axis == nil, graph[x].type.sizeBytes == 1,
            graph[y].type.sizeBytes == 1
        else { return false }
        let every = Tensor(graph[x].type, [256], Tensor([256], (0..<256).map { UInt8($0) }).buffer)
        let uniformFrom = QuantizationParameters(scale: from.scales[0], zeroPoint: from.zeroPoints[0])
        let uniformTo = QuantizationParameters(scale: to.scales[0], zeroPoint: to.zeroPoints[0])
        guard
            let real = try? ReferenceEvaluator.evaluate(
                node.operation, [ReferenceEvaluator.dequantize(every, uniformFrom)]
            ).first, real.type == .float32
        else { return false }
        let stored = ReferenceEvaluator.quantize(real, uniformTo, to: graph[y].type)
        let table = Tensor(.uint8, [256], stored.buffer).array(of: UInt8.self)
        let rows = Rows(graph[y].shape, layouts[y.index])
        let (source, target) = (read(x, layouts[y.index]), target(y))
        emit(node.name, [source, target]) { memory in
            let (x, y) = (memory.bytes(source), memory.bytes(target))
            let (from, to) = (rows.pitch(source), rows.pitch(target))
            return { int8_look_up(table, x, from, y, to, rows.count, rows.length) }
        }
        return true
    }
}

extension Memory {
    func words(_ place: Place) -> UnsafeMutablePointer<Int16> { pointer(place).assumingMemoryBound(to: Int16.self) }
    func bytes(_ place: Place) -> UnsafeMutablePointer<UInt8> { pointer(place).assumingMemoryBound(to: UInt8.self) }
}

/// The table of int8 kernels of an instruction set.
///
/// `@unchecked Sendable`: the table is a constant of the program.
struct Int8Kernels: @unchecked Sendable {
    let table: UnsafePointer<int8_kernels>

    static let best = Int8Kernels(table: int8_kernels_best())

    /// All that this processor can run, the plain ones last.
    static var available: [Int8Kernels] {
        (0..<8).compactMap { int8_kernels_available($0).map(Int8Kernels.init) }
    }

    var name: String { String(cString: table.pointee.name) }
}
