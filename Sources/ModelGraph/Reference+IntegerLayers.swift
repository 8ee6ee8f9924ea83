// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Fully connected and recurrent layers of 8-bit numbers, with the rounding that every engine has to give.
extension ReferenceEvaluator {
    /// The results of a layer that is computed in integers; nil for all others.
    static func integerLayer(_ node: Node, in graph: Graph, inputs: [Tensor?]) throws -> [Tensor]? {
        switch node.operation {
        case .gemm, .matMul:
            IntegerProduct(node, in: graph, weights: inputs.count > 1 ? inputs[1] : nil).flatMap { product in
                product.order == nil ? product.run(inputs) : nil
            }
        case .recurrent(let attributes):
            IntegerRecurrence(node, attributes, in: graph, constants: inputs)?.run(inputs)
        default: nil
        }
    }
}

/// A fully connected layer in integers: `gemm` or `matMul` with int8 weights [K, N] or [N, K] and a float (or int32) bias.
///
///     f = activation(fma(sum, multiplier[n], bias[n]))
///     y = clamp(rint(fma(f, 1 / scale, zero point)), 0, 255), or f itself if y is float
package struct IntegerProduct: Sendable {
    package let matrix: IntegerMatrix
    package let bias: [Float]
    package let activation: Activation
    /// How the terms are added up if the node means floats, and gives stored numbers; nil if it does not, or in an order that is
    /// not known.
    package let order: FloatOrder?
    /// Nil for float results.
    package let result: (scale: Float, zeroPoint: Float)?
    private let shape: Shape

    /// - Parameter weights: the second input's tensor, as stored.
    package init?(_ node: Node, in graph: Graph, weights: Tensor?) {
        guard let x = node.inputs[0], let id = node.inputs[1], let weights, let y = node.outputs[0],
            graph[x].shape.rank >= 1, weights.shape.rank == 2, graph[y].shape.count > 0
        else { return nil }
        var rowAxis = 1
        var biasID: ValueID?
        switch node.operation {
        case .gemm(let gemm):
            guard gemm.alpha == 1, gemm.beta == 1, !gemm.transposesA else { return nil }
            rowAxis = gemm.transposesB ? 0 : 1
            activation = gemm.activation
            biasID = node.inputs.count > 2 ? node.inputs[2] : nil
        default: activation = .none
        }
        guard let matrix = IntegerMatrix(graph[x], weights, graph[id], rowAxis: rowAxis),
            graph[x].shape.dimensions.last == matrix.steps
        else { return nil }
        if let biasID {
            guard let tensor = graph.constants[biasID], let values = graph[biasID].realNumbers(tensor),
                tensor.shape.dimensions.last ?? 1 == tensor.count, values.count == 1 || values.count == matrix.rows
            else { return nil }
            bias = values.count == 1 ? [Float](repeating: values[0], count: matrix.rows) : values
        } else {
            bias = [Float](repeating: 0, count: matrix.rows)
        }
        order =
            node.meansFloats && graph[y].quantization != nil && activation.isBound
            ? FloatOrder.product(
                rows: graph[x].shape.count / matrix.steps, columns: matrix.rows, steps: matrix.steps,
                isTransposed: rowAxis == 0) : nil
        if let to = graph[y].quantization {
            guard graph[y].type == .uint8, to.scales.count == 1 else { return nil }
            result = (to.scales[0], Float(to.zeroPoints[0]))
        } else {
            result = nil
        }
        self.matrix = matrix
        shape = graph[y].shape
    }

    func run(_ inputs: [Tensor?]) -> [Tensor]? {
        guard let x = inputs[0] else { return nil }
        let y = Tensor(result == nil ? .float32 : .uint8, shape)
        let source = x.elements(as: UInt8.self)
        guard let base = source.baseAddress else { return [y] }
        for row in 0..<(source.count / matrix.steps) {
            for n in 0..<matrix.rows {
                let sum = Float(matrix.sum(n, base + row * matrix.steps))
                let f = ExactMath.activated(bias[n].addingProduct(sum, matrix.multipliers[n]), activation)
                if let result {
                    y.base(UInt8.self)[row * matrix.rows + n] = ExactMath.stored(f, 1 / result.scale, result.zeroPoint)
                } else {
                    y.floats[row * matrix.rows + n] = f
                }
            }
        }
        return [y]
    }
}

extension Value {
    /// Stored elements as the float numbers that they mean; nil if they are neither float nor quantized.
    package func realNumbers(_ tensor: Tensor) -> [Float]? {
        if tensor.type == .float32 && quantization == nil { return tensor.array(of: Float.self) }
        return quantization.map { ReferenceEvaluator.dequantize(tensor, $0).array(of: Float.self) }
    }
}
