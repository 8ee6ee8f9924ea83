// SPDX-License-Identifier: Apache-2.0

import ModelGraph
import Tensors

/// Scale and zero point of every channel of every quantized value.
///
/// A channel's scale costs nothing at run time: who computes the channel has a multiplier per channel anyway, who adds
/// channels up has it in its weights (`Graph`, "Numbers"). So it is chosen such that both the channel and the weights that
/// meet it keep their resolution. With the range r[c] that the channel took and m[c], the largest share of a filter's largest
/// weight that the channel has in any filter:
///
///     j[c] = sqrt(r[c] / m[c]),   s[c] = j[c] * max over k of (r[k] / j[k]) / 255
///
/// Without a layer that adds channels up, s[c] = r[c] / 255. Where s[c] * 255 exceeds r[c] the range is stretched on both
/// sides of zero alike. (After "Same, same but different", Meller et al., 2019, arXiv:1902.01917, and SmoothQuant, Xiao et
/// al., 2023, arXiv:2211.10438.)
struct ActivationScales {
    /// The least share of the largest m that an m counts as.
    private static let smallestShare: Float = 0.01
    /// The least range of a channel, in units of the largest range of the value's channels.
    private static let smallestRange: Float = 1e-3

    /// The largest stored number of a channel's range: of int16 an eighth of what it can hold, so that numbers which the examples
    /// did not show are not cut off.
    private static let (mostOfBytes, mostOfWords): (Float, Float) = (255, 4095)

    /// With the parameters found so far.
    private var graph: Graph
    private let plan: QuantizationPlan
    private let consumers: [ValueID: [Int]]

    /// Of all quantized values.
    var parameters: [ValueID: QuantizationParameters] {
        plan.quantized.reduce(into: [:]) { $0[$1] = graph[$1].quantization }
    }

    /// - Parameter pixels: how pixels become numbers, for inputs that are images.
    init(
        _ graph: Graph, plan: QuantizationPlan, ranges: ChannelRanges, pixels: [ValueID: ImagePreprocessing]
    ) {
        self.graph = graph
        self.plan = plan
        consumers = graph.consumers
        for id in graph.inputs where plan.quantized.contains(id) {
            self.graph[id].quantization = pixels[id].map(ActivationScales.parameters(of:)) ?? chosen(id, ranges)
        }
        for (index, node) in graph.nodes.enumerated() {
            for (position, output) in node.outputs.enumerated() {
                guard let output, plan.quantized.contains(output) else { continue }
                let passed = plan.carriers.contains(index) ? self.graph.passedQuantization(node, to: position) : nil
                self.graph[output].quantization = passed ?? chosen(output, ranges)
            }
        }
    }

    private func chosen(_ id: ValueID, _ ranges: ChannelRanges) -> QuantizationParameters {
        let channels = graph[id].shape.rank > 1 ? graph[id].shape[1] : 1
        let most = plan.words.contains(id) ? Self.mostOfWords : Self.mostOfBytes
        let bounds = ranges[id]
        let low = (0..<channels).map { min(bounds?.low[$0] ?? 0, 0) }
        let high = (0..<channels).map { max(bounds?.high[$0] ?? 0, 0) }
        let extents = zip(low, high).map { $1 - $0 }
        let floor = max((extents.max() ?? 0) * ActivationScales.smallestRange, 1e-6)
        let r = extents.map { $0.isFinite ? max($0, floor) : floor }
        var scales = r.map { $0 / most }
        if let shares = shares(id), let largest = shares.max(), largest > 0 {
            let m = shares.map { max($0, largest * ActivationScales.smallestShare) }
            let j = zip(r, m).map { ($0 / $1).squareRoot() }
            let factor = zip(r, j).map { $0 / $1 }.max() ?? 1
            scales = j.map { $0 * factor / most }
        }
        // Stretched by f = most s / r, so that zero is where it was among the steps.
        let zeros = (0..<channels).map { Int32(min(max((-low[$0] * most / r[$0]).rounded(), 0), most)) }
        return QuantizationParameters(scales: scales.map(\.roundedUpToHalf), zeroPoints: zeros, axis: 1).compact
    }

    /// m[c], or nil if no layer adds the channels of the value up.
    private func shares(_ id: ValueID) -> [Float]? {
        var result: [Float]?
        func include(_ shares: [Float]?) {
            guard let shares else { return }
            result = result.map { zip($0, shares).map(max) } ?? shares
        }
        for index in consumers[id] ?? [] {
            let node = graph.nodes[index]
            if plan.layers.contains(index), node.inputs[0] == id { include(layerShares(node)) }
            guard plan.carriers.contains(index), node.operation.passesChannels || node.operation.isResize else {
                continue
            }
            switch node.operation {
            case .concat:
                guard let whole = node.outputs[0].flatMap({ shares($0) }) else { continue }
                var start = 0
                for case let part? in node.inputs {
                    let count = graph[part].shape[1]
                    if part == id { include(Array(whole[start..<(start + count)])) }
                    start += count
                }
            case .split(_, let sizes):
                let parts = node.outputs.map { $0.flatMap { shares($0) } }
                if parts.allSatisfy({ $0 == nil }) { continue }
                include(zip(parts, sizes).flatMap { $0 ?? [Float](repeating: 0, count: $1) })
            case .selectChannels(let channels):
                guard let selected = node.outputs[0].flatMap({ shares($0) }) else { continue }
                var whole = [Float](repeating: 0, count: graph[id].shape[1])
                for (channel, share) in zip(channels, selected) { whole[channel] = max(whole[channel], share) }
                include(whole)
            default: include(node.outputs[0].flatMap { shares($0) })
            }
        }
        return result
    }

    private func layerShares(_ node: Node) -> [Float]? {
        guard case .convolution(let convolution) = node.operation, convolution.groups == 1,
            let weight = node.inputs[1].flatMap({ graph.constants[$0] })
        else { return nil }
        let (filters, channels) = (weight.shape[0], weight.shape[1])
        let taps = weight.count / max(filters * channels, 1)
        let values = weight.elements(as: Float.self)
        var result = [Float](repeating: 0, count: channels)
        for filter in 0..<filters {
            let largest = (0..<channels).map { channel in
                (0..<taps).reduce(0) { max($0, abs(values[(filter * channels + channel) * taps + $1])) } as Float
            }
            guard let whole = largest.max(), whole > 0, whole.isFinite else { continue }
            for channel in 0..<channels { result[channel] = max(result[channel], largest[channel] / whole) }
        }
        return result
    }

    /// Of an image input, per channel: the stored number is the pixel itself, as far as zero points are integers.
    static func parameters(of pixels: ImagePreprocessing) -> QuantizationParameters {
        let ends = zip(pixels.mean, pixels.scale).map { mean, scale in [-mean * scale, (255 - mean) * scale] }
        let low = ends.map { min($0.min() ?? 0, 0) }
        let scales = zip(low, ends).map { low, ends in max((max(ends.max() ?? 0, 0) - low) / 255, 1e-8) }
        let zeros = zip(low, scales).map { Int32(min(max((-$0 / $1).rounded(), 0), 255)) }
        return QuantizationParameters(scales: scales, zeroPoints: zeros, axis: 1).compact
    }
}

extension Float {
    /// The next number that the upper half of its bits can hold, for positive numbers: the model file stores those in half
    /// the space.
    var roundedUpToHalf: Float { Float(bitPattern: (bitPattern &+ 0xffff) & 0xffff_0000) }
}
