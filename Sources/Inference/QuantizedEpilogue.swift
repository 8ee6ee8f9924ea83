// SPDX-License-Identifier: Apache-2.0
import CKernels

/// The numbers per filter that follow the sums of a quantized layer, as the kernels take them (`int8_epilogue`).
///
/// Where the activation only bounds, everything up to the stored byte is one multiplication and one addition, and the
/// bounds are bytes: y = max(min(round(sum * m + b), high), low).
struct QuantizedEpilogue {
    /// Nil only for sums of values.
    private(set) var multiplier: [Float]?
    private(set) var bias: [Float]
    private(set) var inverseScale: [Float]?
    private(set) var zero: [Float]?
    /// Of stored numbers, which are bytes or words; nil for floats.
    private(set) var high: [Int16]?
    private(set) var low: [Int16]?
    private(set) var makesWords = false
    private(set) var residualScale: [Float]?
    private(set) var residualZero: [Float]?
    private(set) var addsWords = false
    /// Whether results next to a tie are noted.
    private(set) var isWatched = false
    let activation: float_epilogue
    let isResidualAfterActivation: Bool
    /// Whether everything that is rounded stays below 2^30, so that the kernels need not look.
    private(set) var isBounded = false

    /// A real number as each filter stores it.
    private static func bytes(_ real: Float, _ output: (scales: [Float], zeros: [Float])) -> [Int16] {
        zip(output.scales, output.zeros).map { scale, zero in
            Int16(min(max((real / scale).rounded(.toNearestOrEven) + zero, 0), 255))
        }
    }

    /// Sums that hold the bias already become bytes by one multiplication, which is rounded before the zero point is added:
    /// y = max(min(rint(sum * scale / output scale) + zero point, high), low), as a convolution of integers is defined elsewhere
    /// (ONNX `QLinearConv`).
    ///
    /// - Parameters:
    ///   - scales: real units of one step of the sum, per filter.
    ///   - largestSum: what no sum exceeds in size.
    ///   - bounds: the activation, which only bounds.
    ///   - output: scale and zero point per filter.
    init(
        roundingSumsOf scales: [Float], largestSum: Float, bounds: float_epilogue,
        output: (scales: [Float], zeros: [Float])
    ) {
        multiplier = zip(scales, output.scales).map(/)
        bias = scales.map { _ in 0 }
        zero = output.zeros
        activation = bounds
        isResidualAfterActivation = false
        isBounded = zip(scales, output.scales).allSatisfy { largestSum * abs($0 / $1) + 512 < 0x1p30 }
        (high, low) = (Self.bytes(bounds.high, output), Self.bytes(bounds.low, output))
    }

    /// Of a sum of two values as float arithmetic has it (`int8_kernels.add`).
    ///
    /// - Parameters:
    ///   - addingFloats: scales and zero points per channel of the second value.
    ///   - output: the same of the result.
    init(
        addingFloats second: (scales: [Float], zeros: [Float]), activation: float_epilogue,
        output: (scales: [Float], zeros: [Float])
    ) {
        multiplier = output.scales
        bias = output.scales.map { _ in 0 }
        zero = output.zeros
        (residualScale, residualZero) = (second.scales, second.zeros)
        self.activation = activation
        isResidualAfterActivation = true
    }

    /// Of a sum of two values in steps of the result, as ONNX Runtime computes `QLinearAdd` (mlas/lib/qladd.cpp).
    ///
    /// - Parameters:
    ///   - adding: scales and zero points per channel of both values.
    ///   - bounds: the activation, which only bounds.
    ///   - output: scales and zero points of the result.
    init(
        adding first: (scales: [Float], zeros: [Float]), _ second: (scales: [Float], zeros: [Float]),
        bounds: float_epilogue, output: (scales: [Float], zeros: [Float])
    ) {
        multiplier = nil
        let (a, b) = (zip(first.scales, output.scales).map(/), zip(second.scales, output.scales).map(/))
        bias = output.zeros.indices.map {
            output.zeros[$0] - (b[$0] * second.zeros[$0]).addingProduct(a[$0], first.zeros[$0])
        }
        residualScale = b
        activation = bounds
        isResidualAfterActivation = true
        (high, low) = (Self.bytes(bounds.high, output), Self.bytes(bounds.low, output))
    }

    /// - Parameters:
    ///   - scales: real units of one step of the sum, per filter.
    ///   - bias: in real units, per filter.
    ///   - largestSum: what no sum exceeds in size.
    ///   - output: scale and zero point per filter; nil for float output.
    ///   - makesWords: whether the output is int16 and not uint8.
    ///   - residual: scale and zero point per filter of what is added.
    ///   - addsWords: whether the residual is int16 and not uint8.
    ///   - isWatched: whether results next to a tie are noted: of bytes without a residual and an activation that only bounds.
    init(
        scales: [Float], bias: [Float], largestSum: Float, activation: float_epilogue,
        output: (scales: [Float], zeros: [Float])?, makesWords: Bool = false,
        residual: (scales: [Float], zeros: [Float])?, addsWords: Bool = false, isResidualAfterActivation: Bool,
        isWatched: Bool = false
    ) {
        self.isWatched = isWatched
        self.addsWords = addsWords
        multiplier = scales
        self.bias = bias
        self.activation = activation
        self.isResidualAfterActivation = isResidualAfterActivation
        residualScale = residual?.scales
        residualZero = residual?.zeros
        guard let output else { return }
        let inverse = output.scales.map { 1 / $0 }
        let bounds = [activation.low, activation.high].filter(\.isFinite).map(abs).max() ?? 0
        isBounded = scales.indices.allSatisfy { filter in
            let added = residual.map { (addsWords ? 0x1p17 : 512) * abs($0.scales[filter]) } ?? 0
            let real = max(largestSum * abs(scales[filter]) + abs(bias[filter]), bounds) + added
            return real * abs(inverse[filter]) + 512 < 0x1p30
        }
        self.makesWords = makesWords
        let range: ClosedRange<Float> = makesWords ? -32768...32767 : 0...255
        high = scales.map { _ in Int16(range.upperBound) }
        low = scales.map { _ in Int16(range.lowerBound) }
        guard activation.activation == float_clamp, residual == nil || !isResidualAfterActivation else {
            inverseScale = inverse
            zero = output.zeros
            return
        }
        func stored(_ real: Float, _ filter: Int) -> Int16 {
            let steps =
                isWatched
                ? (real / output.scales[filter]).rounded(.toNearestOrEven) + output.zeros[filter]
                : (real * inverse[filter] + output.zeros[filter]).rounded(.toNearestOrEven)
            return Int16(min(max(steps, range.lowerBound), range.upperBound))
        }
        multiplier = scales.indices.map { scales[$0] * inverse[$0] }
        // Of activations without a bound there is nothing to convert.
        if activation.high.isFinite { high = scales.indices.map { stored(activation.high, $0) } }
        if activation.low.isFinite { low = scales.indices.map { stored(activation.low, $0) } }
        guard let residual else {
            self.bias = scales.indices.map { bias[$0] * inverse[$0] + output.zeros[$0] }
            return
        }
        let added = scales.indices.map { residual.scales[$0] * inverse[$0] }
        self.bias = scales.indices.map { bias[$0] * inverse[$0] + output.zeros[$0] - residual.zeros[$0] * added[$0] }
        residualScale = added
    }
}

/// Where the numbers of an epilogue lie.
struct EpiloguePlaces: Sendable {
    private let multiplier: Place?
    private let bias: Place
    private let inverseScale: Place?
    private let zero: Place?
    private let high: Place?
    private let low: Place?
    private let residualScale: Place?
    private let residualZero: Place?
    private let tie: Place?
    private let activation: Shared<float_epilogue>
    private let isResidualAfterActivation: Bool
    private let isBounded: Bool
    private let makesWords: Bool
    private let addsWords: Bool

    /// - Parameter tie: where results next to a tie begin, if they are noted.
    init(_ epilogue: QuantizedEpilogue, tie: Place? = nil, _ builder: inout PlanBuilder) {
        multiplier = epilogue.multiplier.map { builder.addPadded($0) }
        bias = builder.addPadded(epilogue.bias)
        inverseScale = epilogue.inverseScale.map { builder.addPadded($0) }
        zero = epilogue.zero.map { builder.addPadded($0) }
        makesWords = epilogue.makesWords
        addsWords = epilogue.addsWords
        func added(_ bounds: [Int16]?) -> Place? {
            bounds.map {
                epilogue.makesWords ? builder.addPadded($0) : builder.addPadded($0.map { UInt8(clamping: $0) })
            }
        }
        (high, low) = (added(epilogue.high), added(epilogue.low))
        residualScale = epilogue.residualScale.map { builder.addPadded($0) }
        residualZero = epilogue.residualZero.map { builder.addPadded($0) }
        self.tie = tie
        activation = Shared(epilogue.activation)
        isResidualAfterActivation = epilogue.isResidualAfterActivation
        isBounded = epilogue.isBounded
    }

    var places: [Place] {
        [multiplier, bias, inverseScale, zero, high, low, residualScale, residualZero, tie].compactMap { $0 }
    }

    func bound(in memory: Memory) -> int8_epilogue {
        func floats(_ place: Place?) -> UnsafePointer<Float>? { place.map { UnsafePointer(memory.floats($0)) } }
        func bytes(_ place: Place?) -> UnsafePointer<UInt8>? {
            makesWords ? nil : place.map { UnsafePointer(memory.bytes($0)) }
        }
        func words(_ place: Place?) -> UnsafePointer<Int16>? {
            makesWords ? place.map { UnsafePointer(memory.words($0)) } : nil
        }
        return int8_epilogue(
            multiplier: floats(multiplier), bias: floats(bias), activation: activation.value,
            inverse_scale: floats(inverseScale), zero: floats(zero), low: bytes(low), high: bytes(high),
            residual_scale: floats(residualScale), residual_zero: floats(residualZero),
            residual_after_activation: isResidualAfterActivation ? 1 : 0, residual_words: addsWords ? 1 : 0,
            is_bounded: isBounded ? 1 : 0, low_words: words(low), high_words: words(high), tie: floats(tie),
            ties: nil)
    }
}

extension PlanBuilder {
    /// Constants followed by as many zeros as kernels may read; memory comes zeroed.
    mutating func addPadded<Element: BitwiseCopyable>(_ values: [Element]) -> Place {
        let stride = MemoryLayout<Element>.stride
        return addConstant(byteCount: (values.count + Int(INT8_SLACK)) * stride) { target in
            values.withUnsafeBytes {
                target.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(target), byteCount: $0.count)
            }
        }
    }
}
