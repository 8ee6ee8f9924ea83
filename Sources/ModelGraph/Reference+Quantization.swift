// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Operator {
    /// Whether the operator only moves elements, so that quantized values pass as they are stored.
    package var movesElements: Bool {
        switch self {
        case .reshape, .transpose, .slice, .selectChannels, .split, .expand, .tile, .gather, .gatherElements, .gatherND,
            .depthToSpace,
            .spaceToDepth, .maxPool, .concat, .reinterpret:
            true
        case .resize(let resize): resize.mode == .nearest && resize.coordinates != .cropAndResize
        case .pad(let pad): pad.mode != .constant
        default: false
        }
    }

    /// Whether a node can be computed on stored integers because what it reads and writes is quantized alike.
    func movesStoredNumbers(_ node: Node, in graph: Graph) -> Bool {
        guard movesElements, let first = node.inputs.first, let id = first else { return false }
        // Indices and the like carry no parameters; channels that move need one scale for all.
        let value = graph[id]
        guard value.quantization == nil || value.quantization?.axis == nil else { return false }
        let reads =
            if case .concat = self { node.inputs } else { Array(node.inputs.prefix(1)) }
        let outputs =
            if case .maxPool = self { Array(node.outputs.prefix(1)) } else { node.outputs }
        return (reads + outputs).allSatisfy { id in
            id.map { graph[$0].quantization == value.quantization && graph[$0].type == value.type } ?? true
        }
    }
}

extension ReferenceEvaluator {
    /// (stored - zeroPoint) * scale
    package static func dequantize(_ x: Tensor, _ quantization: QuantizationParameters) -> Tensor {
        let result = Tensor(.float32, x.shape)
        let output = result.floats
        x.type.dispatch(Dequantized(x: x, output: output, map: ChannelMap(quantization, x.shape)))
        return result
    }

    private struct Dequantized: NumberWork {
        let x: Tensor
        let output: UnsafeMutablePointer<Float>
        let map: ChannelMap

        func run<Element: Number>(_ type: Element.Type) {
            let input = x.base(type)
            for index in 0..<x.count {
                let (scale, zeroPoint) = map[index]
                // The difference is exact in double, also for int32 biases.
                output[index] = Float(input[index].asDouble - Double(zeroPoint)) * scale
            }
        }
    }

    /// saturate(roundHalfEven(x / scale) + zeroPoint); NaN becomes the least number, as in ONNX Runtime and the kernels.
    package static func quantize(
        _ x: Tensor, _ quantization: QuantizationParameters, to type: ElementType
    ) -> Tensor {
        let result = Tensor(type, x.shape)
        type.dispatch(Quantized(x: x, result: result, map: ChannelMap(quantization, x.shape)))
        return result
    }

    private struct Quantized: NumberWork {
        let x: Tensor
        let result: Tensor
        let map: ChannelMap

        func run<Element: Number>(_ type: Element.Type) {
            let (input, output) = (x.floats, result.base(type))
            for index in 0..<x.count {
                let (scale, zeroPoint) = map[index]
                let steps = (input[index] / scale).rounded(.toNearestOrEven)
                output[index] = Element(truncating: (steps.isNaN ? -.infinity : Double(steps)) + Double(zeroPoint))
            }
        }
    }

    /// Scale and zero point of each element of a tensor.
    private struct ChannelMap {
        let quantization: QuantizationParameters
        let inner: Int
        let channels: Int

        init(_ quantization: QuantizationParameters, _ shape: Shape) {
            self.quantization = quantization
            channels = quantization.scales.count
            inner = quantization.axis.map { shape.dimensions[($0 + 1)...].reduce(1, *) } ?? 1
        }

        subscript(index: Int) -> (Float, Int32) {
            let channel = channels == 1 ? 0 : index / inner % channels
            return (quantization.scales[channel], quantization.zeroPoints[channel])
        }
    }

    /// Range of x widened to hold zero, in 255 steps (ONNX `DynamicQuantizeLinear`).
    static func dynamicQuantizeLinear(_ x: Tensor) -> [Tensor] {
        let values = x.elements(as: Float.self)
        let (low, high) = (min(0, values.min() ?? 0), max(0, values.max() ?? 0))
        let scale = (high - low) / 255
        guard scale > 0, scale.isFinite else {
            return [Tensor(.uint8, x.shape), Tensor([], [Float(0)]), Tensor([], [UInt8(0)])]
        }
        let zeroPoint = UInt8(truncating: Double((-low / scale).rounded(.toNearestOrEven)))
        let parameters = QuantizationParameters(scale: scale, zeroPoint: Int32(zeroPoint))
        return [quantize(x, parameters, to: .uint8), Tensor([], [scale]), Tensor([], [zeroPoint])]
    }
}
