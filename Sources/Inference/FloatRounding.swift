// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// Rounds the sums of a layer to bytes as float arithmetic does: of layers that mean floats (`Node.meansFloats`). The layer's
/// kernels note what lies next to a tie, which `resolve_ties` computes again.
struct FloatRounding: Sendable {
    /// Per filter: a result that is further from the nearest step of the output lies next to a tie.
    let tie: Place
    private let shared: Shared<int8_float_layer>
    private let weight: Place
    private let weightScale: Place
    private let bias: Place?

    /// - Parameters:
    ///   - job: the window, channels, strides, bounds and parameters of the layer; the rest is set here.
    ///   - weight: int8, at each filter's and each step's stride of `job`.
    ///   - scales: of the weights, per filter.
    ///   - bias: in real units, per filter; nil if there is none.
    init(
        _ job: int8_float_layer, order: FloatOrder, weight: Tensor, scales: [Float], bias: [Float]?,
        _ builder: inout PlanBuilder
    ) {
        var job = job
        (job.order, job.block) = order.form
        shared = Shared(job)
        self.weight = builder.addConstant(weight.buffer)
        weightScale = builder.addPadded(scales)
        self.bias = bias.map { builder.addPadded($0) }
        let count = job.filters + Int(INT8_SLACK)
        tie = builder.addScanned(byteCount: count * MemoryLayout<Float>.stride) { target in
            let tie = target.bindMemory(to: Float.self, capacity: count)
            tie.update(repeating: 1, count: count)
            for filter in 0..<job.filters {
                let reach = Self.reach(job, weight, filter) * scales[filter]
                tie[filter] = max(0.5 - Self.doubt(job, order, reach: reach, bias: bias?[filter] ?? 0), 0)
            }
        }
    }

    /// How large a sum may be on the way, for inputs of one: if they are of either sign, about the length of the filter; if they are
    /// much alike, the largest sum of its first weights, of which half is taken.
    private static func reach(_ job: int8_float_layer, _ weight: Tensor, _ filter: Int) -> Float {
        let (weight, zero) = (weight.elements(as: Int8.self), Int(job.weight_zero))
        var (squares, sum, largest) = (0, 0, 0)
        for step in 0..<job.steps {
            let number = Int(weight[filter * job.filter_stride + step * job.step_stride]) - zero
            squares += number * number
            sum += number
            largest = max(largest, abs(sum))
        }
        return max(Float(squares).squareRoot(), Float(largest) / 2)
    }

    /// How far apart, in steps of the output, the sum of floats and the exact one may be for what rounding does to either.
    ///
    /// Every addition moves a sum at random by up to half a unit in the last place of what it is on the way, many together by the
    /// square root of their number times that. Over the convolutions of three detectors and four classifiers the difference was
    /// at most 1.1 times that where filters have more than 108 steps, else at most 1e-4 steps of the output more than twice
    /// that. What is rounded after the sums is of up to 256 steps.
    private static func doubt(_ job: int8_float_layer, _ order: FloatOrder, reach: Float, bias: Float) -> Float {
        let largest = Float(max(abs(job.input_zero), abs(255 - job.input_zero))) * job.input_scale
        let additions =
            switch order {
            case .blocks(let block): min(job.steps, block) + job.steps / block
            case .fours, .lanes: job.steps
            }
        let sums = Float(additions).squareRoot() * reach * largest
        return Float.ulpOfOne / 2 * (3 * sums + 6 * abs(bias)) / job.output_scale + 1e-4
    }

    var places: [Place] { [weight, weightScale, tie] + [bias].compactMap { $0 } }

    func bound(in memory: Memory) -> int8_float_layer {
        var job = shared.value
        job.weight = UnsafeRawPointer(memory.pointer(weight)).assumingMemoryBound(to: Int8.self)
        job.weight_scale = UnsafePointer(memory.floats(weightScale))
        job.bias = bias.map { UnsafePointer(memory.floats($0)) }
        return job
    }
}

/// Where the kernels of one thread note ties.
struct TieList {
    /// Results that are made before ties among them are resolved, which are in the cache still. Of 10,000 about 5 are ties, but
    /// where an image is of one colour it may be all of a filter.
    static let results = 32768

    let layer: int8_float_layer
    let offsets: UnsafeMutableBufferPointer<UInt32>

    /// Runs a kernel of `job` over a part of an image, and computes again what it notes.
    func resolving(
        _ job: int8_convolution, _ table: int8_kernels, _ input: UnsafePointer<UInt8>,
        _ output: UnsafeMutablePointer<UInt8>, _ kernel: (UnsafePointer<int8_convolution>) -> Void
    ) {
        var job = job
        var ties = int8_ties(origin: output, offsets: offsets.baseAddress, count: 0, capacity: offsets.count)
        withUnsafeMutablePointer(to: &ties) { ties in
            job.epilogue.ties = ties
            withUnsafePointer(to: job, kernel)
            withUnsafePointer(to: layer) { table.resolve_ties($0, input, output, ties) }
        }
    }
}

extension int8_float_layer {
    /// Terms of a sum.
    fileprivate var steps: Int { channels * window.kernel_height * window.kernel_width }
}

extension FloatOrder {
    /// As kernels take it: the block is that of `float_order_blocks`.
    var form: (order: float_order, block: Int) {
        switch self {
        case .blocks(let block): (float_order_blocks, block)
        case .fours: (float_order_fours, 0)
        case .lanes: (float_order_lanes, 0)
        }
    }
}
