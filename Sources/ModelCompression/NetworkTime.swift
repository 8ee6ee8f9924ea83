// SPDX-License-Identifier: Apache-2.0

import Inference
import ModelGraph
import Tensors

/// How long a network takes with some of its values in 16 bits or float, by what its layers and other operators take.
struct NetworkTime {
    /// A node with weights: its time, and the values that make it compute in float if they are wide, or on words if they are words.
    private struct Layer {
        var time: LayerTime
        var isInteger: Bool
        var reads: [ValueID]
        var meets: [ValueID]
    }

    private enum Width { case bytes, words, float }

    private let graph: Graph
    private let layers: [Layer]
    private let timeOfOthers: Double
    /// With all that can be in bytes.
    private let timeInBytes: Double

    init(_ graph: Graph, plan: QuantizationPlan) {
        self.graph = graph
        layers = graph.nodes.enumerated().filter { $0.element.operation.hasWeights }.map { index, node in
            // A residual is added behind the sums; depthwise layers have one kernel that reads or writes words.
            let meets = [node.inputs[0], node.isDepthwise ? node.outputs[0] : nil]
            return Layer(
                time: LayerTime(node, graph), isInteger: plan.layers.contains(index),
                reads: node.inputs.compactMap { $0 }, meets: meets.compactMap { $0 })
        }
        timeOfOthers = graph.nodes.enumerated().reduce(0) { sum, other in
            let node = other.element
            guard !node.operation.hasWeights, !node.operation.isReshape, let y = node.outputs[0] else { return sum }
            let time = plan.storesIntegers(other.offset) ? LayerTime.ofCarried : LayerTime.ofOther
            return sum + time * Double(graph[y].shape.count)
        }
        timeInBytes = layers.reduce(timeOfOthers) { $0 + ($1.isInteger ? $1.time.inBytes : $1.time.inFloat) }
    }

    /// The network's time over its time with all in bytes.
    ///
    /// - Parameters:
    ///   - wide: values that stay float.
    ///   - words: values in 16 bits, unless they stay float.
    func slowdown(wide: Set<ValueID>, words: Set<ValueID>) -> Double {
        guard timeInBytes > 0 else { return 1 }
        var widths = [Width](repeating: .bytes, count: graph.values.count)
        var time = timeOfOthers
        for id in words { widths[id.index] = .words }
        for id in wide {
            widths[id.index] = .float
            time += LayerTime.ofFloat * Double(graph[id].shape.count)
        }
        for layer in layers {
            let isFloat = !layer.isInteger || layer.reads.contains { widths[$0.index] == .float }
            let takesWords = layer.meets.contains { widths[$0.index] == .words }
            time += isFloat ? layer.time.inFloat : takesWords ? layer.time.inWords : layer.time.inBytes
        }
        return time / timeInBytes
    }
}

/// How long a layer takes on a processor with AVX2, in units of a multiplication among many of a convolution of bytes, about 9 ps,
/// as the kernels were measured (`brokerside model bench --profile`).
private struct LayerTime {
    let inBytes: Double
    /// With inputs of 16 bits, or depthwise outputs.
    let inWords: Double
    let inFloat: Double

    /// Of an element that is written as float and converted for those who read it as integer.
    static let ofFloat = 40.0
    /// Of an element that other operators write, in float and in integers.
    static let (ofOther, ofCarried) = (50.0, 8.0)
    /// Of an element that a layer writes, more for what takes an exponential function, and yet more beside 16 bits.
    private static let (ofOutput, ofFloatOutput, ofExponential, ofWideExponential) = (12.0, 35.0, 57.0, 80.0)
    /// Of a product of a depthwise layer, in bytes and in words: with few channels, with a stride, and else.
    private static let (narrow, strided, plain) = ((4.7, 5.0), (4.5, 6.6), (3.7, 5.4))
    /// Of a product of words of another layer: with few channels, and else.
    private static let (ofFewWords, ofWords) = (1.45, 1.57)
    private static let fewChannels = 16

    init(_ node: Node, _ graph: Graph) {
        let products = Double(graph.products(of: node))
        let shape = node.outputs[0].map { graph[$0].shape } ?? []
        let count = Double(shape.count)
        var takesExponential = false
        var isWinograd = false
        var (isStrided, hasFewChannels) = (false, false)
        if case .convolution(let convolution) = node.operation {
            takesExponential = [.silu, .sigmoid, .tanh].contains(convolution.activation)
            isStrided = convolution.strides.contains { $0 > 1 }
            if let x = node.inputs[0], graph[x].shape.rank == 4 {
                hasFewChannels = graph[x].shape[1] <= Self.fewChannels
                isWinograd = convolution.gainsFromWinograd(channels: graph[x].shape[1], output: shape)
            }
        }
        let end = takesExponential ? Self.ofExponential * count : 0
        let wideEnd = takesExponential ? Self.ofWideExponential * count : 0
        if node.isDepthwise {
            let (ofBytes, ofWords) = hasFewChannels ? Self.narrow : isStrided ? Self.strided : Self.plain
            (inBytes, inWords, inFloat) = (ofBytes * products + end, ofWords * products + wideEnd, 8 * products + end)
        } else {
            let written = Self.ofOutput * count
            inBytes = (isWinograd ? 0.6 : 1) * products + written + end
            inWords = (hasFewChannels ? Self.ofFewWords : Self.ofWords) * products + written + wideEnd
            inFloat = 2.3 * products + Self.ofFloatOutput * count + end
        }
    }
}

extension Node {
    var isDepthwise: Bool {
        if case .convolution(let convolution) = operation { convolution.groups > 1 } else { false }
    }
}
