// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// A quantized convolution, before its weights are packed.
struct QuantizedLayer: Sendable {
    enum Form {
        case dense, depthwise, winograd
        /// Of int16 weights, for int16 inputs, and, depthwise, int16 outputs too.
        case denseWords, depthwiseWords
    }

    let kernels: Int8Kernels
    let form: Form
    let images: Int
    let outputElementBytes: Int
    let source: Place
    let target: Place
    let residual: Place?
    let epilogue: EpiloguePlaces
    /// Nil if what the kernels round is right as it is.
    let rounding: FloatRounding?
    private var shared = Shared(int8_convolution())

    var job: int8_convolution {
        get { shared.value }
        set { shared = Shared(newValue) }
    }

    init(
        kernels: Int8Kernels, form: Form, images: Int, outputElementBytes: Int, source: Place, target: Place,
        residual: Place?, epilogue: EpiloguePlaces, rounding: FloatRounding? = nil
    ) {
        self.kernels = kernels
        self.form = form
        self.images = images
        self.outputElementBytes = outputElementBytes
        self.source = source
        self.target = target
        self.residual = residual
        self.epilogue = epilogue
        self.rounding = rounding
    }

    fileprivate func packedByteCount(taps: Int) -> Int {
        let (channels, filters, table) = (job.channels, job.filters, kernels.table)
        return switch form {
        case .dense, .denseWords: int8_packed_bytes(table, filters, taps * channels)
        case .depthwiseWords: int8_packed_depthwise_words_bytes(table, filters)
        case .depthwise: int8_packed_depthwise_bytes(table, channels, taps)
        case .winograd: int8_winograd_bytes(table, filters, channels)
        }
    }

    fileprivate func pack(
        _ weight: Tensor, _ zeros: [Int16], _ bias: [Int32]?, taps: Int, to target: UnsafeMutableRawPointer
    ) {
        let (channels, filters, table) = (job.channels, job.filters, kernels.table)
        let bytes = zeros.map { UInt8(clamping: $0) }
        func int8() -> UnsafePointer<Int8>? { weight.elements(as: Int8.self).baseAddress }
        func int16() -> UnsafePointer<Int16>? { weight.elements(as: Int16.self).baseAddress }
        switch form {
        case .dense: int8_pack_weights(table, int8(), bytes, bias, filters, channels, taps, target)
        case .depthwise: int8_pack_depthwise(table, int8(), job.weight_zero, bytes, bias, channels, taps, target)
        case .winograd: int8_pack_winograd(table, int8(), bytes, filters, channels, target)
        case .denseWords: int8_pack_words(table, int16(), zeros, filters, zeros.count, taps, target)
        case .depthwiseWords: int8_pack_depthwise_words(table, int16(), zeros, filters, target)
        }
    }

    /// Rows or pixels after which ties are resolved: a multiple of what the kernels take together.
    fileprivate var piece: Int {
        let fitting = TieList.results / max(resultsPerUnit, 1)
        if form == .depthwise { return max(fitting / 2 * 2, 2) }
        let steps = int8_padded_steps(job.window.kernel_height * job.window.kernel_width * job.channels)
        let unit = int8_patch_count(Int(kernels.table.pointee.tile_pixels), steps)
        return max(fitting / unit * unit, unit)
    }

    /// Results of a row, or a pixel.
    private var resultsPerUnit: Int { form == .depthwise ? job.window.output_width * job.filters : job.filters }

    /// Room for the ties of a piece. Where a row has no whole number of windows that are computed together, some are twice.
    fileprivate var tieCount: Int { 2 * piece * resultsPerUnit }

    /// Scratch of one thread.
    fileprivate func scratchByteCount(taps: Int) -> Int {
        let byteCount =
            form == .winograd
            ? int8_winograd_scratch_bytes(kernels.table, job.channels)
            : int8_patch_bytes(kernels.table, taps * job.channels)
        return (byteCount + Buffer.alignmentBytes - 1) / Buffer.alignmentBytes * Buffer.alignmentBytes
    }
}

extension PlanBuilder {
    /// - Parameters:
    ///   - weight: int8, int16 where the form takes that, [K, C, taps...], or [C, 1, taps...] of a depthwise layer.
    ///   - zeroPoints: of the input, per channel.
    ///   - bias: per filter, what is part of the sums; nil if the epilogue has it all. Winograd's form takes none.
    mutating func emit(
        _ name: String, _ layer: QuantizedLayer, _ weight: Tensor, taps: Int, _ zeroPoints: [Int16],
        bias: [Int32]? = nil
    ) {
        let packed = addConstant(byteCount: layer.packedByteCount(taps: taps)) {
            layer.pack(weight, zeroPoints, bias, taps: taps, to: $0)
        }
        let row = (0..<max(layer.job.window.kernel_width, 1)).flatMap { _ in zeroPoints }
        let outside =
            layer.job.takes_words != 0 ? addPadded(row) : addPadded(row.map { UInt8(clamping: $0) })
        let share = layer.scratchByteCount(taps: taps)
        let scratch = Place(root: addRoot(byteCount: share * threads), layout: .rowMajor)
        let window = layer.job.window
        let pixels = window.output_height * window.output_width
        let tieCount = layer.rounding == nil ? 0 : layer.tieCount
        let ties = Place(root: addRoot(byteCount: tieCount * 4 * threads), layout: .rowMajor)
        let used =
            [layer.source, layer.target, packed, outside, scratch, ties] + layer.epilogue.places
            + (layer.rounding?.places ?? [])
        let work = layer.images * pixels * weight.count
        emit(name, used + [layer.residual].compactMap { $0 }, work: work) { memory in
            var job = layer.job
            job.weights = UnsafeRawPointer(memory.pointer(packed))
            job.outside = UnsafePointer(memory.bytes(outside))
            job.epilogue = layer.epilogue.bound(in: memory)
            let run = BoundLayer(
                layer: layer, job: job, x: memory.bytes(layer.source), y: memory.pointer(layer.target),
                residual: layer.residual.map { memory.bytes($0) }, scratch: memory.bytes(scratch), scratchShare: share,
                rounding: layer.rounding?.bound(in: memory),
                ties: memory.pointer(ties).assumingMemoryBound(to: UInt32.self))
            let work: Team.Work = { part, parts in run.run(part, parts) }
            return { memory.team.run(work) }
        }
    }
}

/// A layer with its pointers, ready to run.
///
/// `@unchecked Sendable`: threads write disjoint parts of the output.
private struct BoundLayer: @unchecked Sendable {
    let layer: QuantizedLayer
    let job: int8_convolution
    let x: UnsafeMutablePointer<UInt8>
    let y: UnsafeMutableRawPointer
    let residual: UnsafeMutablePointer<UInt8>?
    let scratch: UnsafeMutablePointer<UInt8>
    let scratchShare: Int
    let rounding: int8_float_layer?
    let ties: UnsafeMutablePointer<UInt32>

    /// One of `parts` equal parts of the work. What is computed does not depend on the parts.
    func run(_ part: Int, _ parts: Int) {
        let table = layer.kernels.table.pointee
        let window = job.window
        let outputImage = window.outputImage * layer.outputElementBytes
        let residualImage = window.output_height * window.output_width * job.residual_pitch
        let (range, filters) = share(part, parts)
        let own = scratch + part * scratchShare
        for image in 0..<layer.images {
            let (x, y) = (x + image * window.inputImage, y + image * outputImage)
            let r = residual.map { $0 + image * residualImage }
            func run(_ job: UnsafePointer<int8_convolution>, _ range: Range<Int>) {
                let (begin, end) = (range.lowerBound, range.upperBound)
                switch layer.form {
                case .depthwise: table.depthwise(job, x, r, y, begin, end)
                case .depthwiseWords: table.depthwise_words(job, x, y, begin, end)
                case .winograd: table.winograd(job, x, r, y, own, begin, end)
                case .dense, .denseWords:
                    table.convolution(job, x, r, y, own, begin, end, filters.lowerBound, filters.upperBound)
                }
            }
            guard let rounding else {
                withUnsafePointer(to: job) { run($0, range) }
                continue
            }
            let offsets = UnsafeMutableBufferPointer(start: ties + part * layer.tieCount, count: layer.tieCount)
            let list = TieList(layer: rounding, offsets: offsets)
            for begin in stride(from: range.lowerBound, to: range.upperBound, by: layer.piece) {
                let piece = begin..<min(begin + layer.piece, range.upperBound)
                list.resolving(job, table, x, y.assumingMemoryBound(to: UInt8.self)) { run($0, piece) }
            }
        }
    }

    /// What a thread computes: rows, tiles or pixels, as the form has them, and filters of these. Of small images with many filters
    /// every thread takes some of the filters, which it alone reads then.
    private func share(_ part: Int, _ parts: Int) -> (range: Range<Int>, filters: Range<Int>) {
        let window = job.window
        switch layer.form {
        case .depthwise, .depthwiseWords: return (Team.share(window.output_height, part, parts), 0..<job.filters)
        case .winograd: return (Team.share(window.winogradTiles, part, parts), 0..<job.filters)
        case .dense, .denseWords:
            let tile = 2 * Int(layer.kernels.table.pointee.width)
            let pixels = window.output_height * window.output_width
            if pixels < 400 && job.filters >= 2 * parts * tile {
                return (0..<pixels, Team.share(job.filters, part, parts, unit: tile))
            }
            let unit = Int(layer.kernels.table.pointee.tile_pixels)
            return (Team.share(pixels, part, parts, unit: unit), 0..<job.filters)
        }
    }
}

extension Convolution {
    /// What the kernels of one filter per channel ask of a layer where inputs or outputs are int16; outputs may be float if there
    /// is no function.
    package func suitsDepthwiseWords(toFloats: Bool) -> Bool {
        kernel == [3, 3] && dilations == [1, 1] && (1...2).contains(strides[1]) && writesWords && residual == nil
            && (!toFloats || float_epilogue(activation).activation == float_clamp)
    }

    /// Whether what follows the sums has a form for int16 outputs.
    package var writesWords: Bool {
        switch float_epilogue(activation).activation {
        case float_clamp, float_silu: true
        default: false
        }
    }

    /// What Winograd's F(4x4, 3x3) computes.
    var suitsWinograd: Bool {
        kernel == [3, 3] && strides == [1, 1] && dilations == [1, 1] && groups == 1
    }

    /// Whether a layer over an image of this output shape [N, K, H, W] is computed faster by Winograd's F(4x4, 3x3). The
    /// answer becomes part of the model, because it changes the rounding of results.
    ///
    /// Measured on AVX2 and AVX-512 VNNI: 1.5 to 2 times (1.1 to 1.4 times) the direct kernels from 32 channels and 9 tiles
    /// on; below, the transforms cost more than they save. Weights take 8 times the memory: beyond 5 MiB reading them
    /// costs what the multiplications save, however few tiles there are (256 channels, 14x14 on AVX2: 830 to 470 us; on
    /// VNNI 500 to 440 us).
    package func gainsFromWinograd(channels: Int, output: Shape) -> Bool {
        guard suitsWinograd, output.rank == 4 else { return false }
        let (filters, height, width) = (output[1], output[2], output[3])
        let tiles = ((height + 3) / 4) * ((width + 3) / 4)
        let isCovered = 16 * tiles * 2 <= 3 * height * width
        let transformedBytes = 72 * channels * filters
        return channels >= 32 && filters >= 32 && tiles >= 9 && isCovered && transformedBytes <= 5 << 20
    }
}

extension float_window {
    /// Tiles of 4x4 outputs.
    fileprivate var winogradTiles: Int { ((output_height + 3) / 4) * ((output_width + 3) / 4) }
}
