// SPDX-License-Identifier: Apache-2.0
import Tensors

/// A network: values, and nodes that compute values from values. Every shape is static.
///
/// Nodes stand in an order in which each one's inputs are computed before it. A value is computed by at most one node;
/// one that no node computes is a graph input or a constant.
///
/// **Numbers.** What a node computes follows from its operator and the element types of its values. A value with
/// quantization parameters stands for real numbers that are stored as integers: an int8 network is the same graph in which
/// activations are `uint8` with parameters (per tensor, or per channel along axis 1), weights `int8` constants with
/// parameters per output channel, and biases `float32` or `int32` constants. A layer that adds up channels of different
/// scales s[c] may have weights that were multiplied by them before they were rounded: it reads `reinterpret` of its input,
/// with scale 1 and the zero points of the input, so that the channels' sum of q[o, c] (x[c] - zero[c]) times the step of o
/// is the real result, and padding is the zero point of each channel. Each operator then means: compute with the real
/// numbers, round the result to what the output value can store. `quantizeLinear` and `dequantizeLinear` stand where a part
/// of the graph that works on `float32` meets one that does not. Integers without parameters are plain integers.
///
/// Layout is that of ONNX, channels second (NCHW, OIHW), whatever layout an engine prefers.
package struct Graph: Sendable {
    package var values: [Value]
    package var constants: [ValueID: Tensor]
    package var nodes: [Node]
    package var inputs: [ValueID]
    package var outputs: [ValueID]

    package init(
        values: [Value] = [], constants: [ValueID: Tensor] = [:], nodes: [Node] = [], inputs: [ValueID] = [],
        outputs: [ValueID] = []
    ) {
        self.values = values
        self.constants = constants
        self.nodes = nodes
        self.inputs = inputs
        self.outputs = outputs
    }

    package subscript(id: ValueID) -> Value {
        get { values[id.index] }
        set { values[id.index] = newValue }
    }

    package mutating func addValue(_ value: Value) -> ValueID {
        values.append(value)
        return ValueID(values.count - 1)
    }

    package mutating func addConstant(
        _ name: String, _ tensor: Tensor, quantization: QuantizationParameters? = nil
    ) -> ValueID {
        let id = addValue(
            Value(name: name, type: tensor.type, shape: tensor.shape, quantization: quantization))
        constants[id] = tensor
        return id
    }

    /// The graph input or output of that name.
    package func input(named name: String) -> ValueID? { inputs.first { self[$0].name == name } }
    package func output(named name: String) -> ValueID? { outputs.first { self[$0].name == name } }

    /// For each value, the index of the node that computes it.
    package var producers: [ValueID: Int] {
        var result: [ValueID: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for case let output? in node.outputs { result[output] = index }
        }
        return result
    }

    /// For each value, the indices of the nodes that read it, once per node, in order.
    package var consumers: [ValueID: [Int]] {
        var result: [ValueID: [Int]] = [:]
        for (index, node) in nodes.enumerated() {
            for input in Set(node.inputs.compactMap { $0 }) { result[input, default: []].append(index) }
        }
        return result
    }

    /// Products that a layer with constant weights adds up.
    package func products(of node: Node) -> Int {
        guard node.inputs.count > 1, let weight = node.inputs[1], let output = node.outputs[0] else { return 0 }
        let (weights, shape) = (self[weight].shape, self[output].shape)
        switch node.operation {
        case .convolution, .convolutionInteger:
            return shape.count * weights.dimensions.dropFirst().reduce(1, *)
        default: return shape.count / max(shape.dimensions.last ?? 1, 1) * weights.count
        }
    }
}

/// Index of a value in `Graph.values`.
package struct ValueID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let index: Int

    package init(_ index: Int) { self.index = index }

    package static func < (left: ValueID, right: ValueID) -> Bool { left.index < right.index }

    package var description: String { "%\(index)" }
}

/// What is known of a tensor before the network runs.
package struct Value: Hashable, Sendable {
    package var name: String
    /// Type of the stored elements.
    package var type: ElementType
    package var shape: Shape
    /// Set when the stored integers stand for real numbers.
    package var quantization: QuantizationParameters?

    package init(name: String, type: ElementType, shape: Shape, quantization: QuantizationParameters? = nil) {
        self.name = name
        self.type = type
        self.shape = shape
        self.quantization = quantization
    }

    /// Type of the numbers meant: `float32` for a quantized value, else the stored type.
    package var meant: TensorType { TensorType(quantization == nil ? type : .float32, shape) }
}

/// Element type and shape.
package struct TensorType: Hashable, Sendable, CustomStringConvertible {
    package var type: ElementType
    package var shape: Shape

    package init(_ type: ElementType, _ shape: Shape) {
        self.type = type
        self.shape = shape
    }

    package var description: String { "\(type) \(shape)" }
}

/// One application of an operator. What stands at which place of `inputs` and `outputs` is said at the operator.
package struct Node: Hashable, Sendable {
    /// For messages; need not be unique.
    package var name: String
    package var operation: Operator
    /// Nil where an optional input is left out.
    package var inputs: [ValueID?]
    /// Nil where an optional output is not wanted.
    package var outputs: [ValueID?]
    package var kernel: KernelHint?
    /// Whether the node was written as an operator over floats behind conversions from stored numbers, on which it may compute
    /// now. Then its results are those of float32 arithmetic, in the order that `FloatOrder` says, also where that differs from
    /// exact sums.
    package var meansFloats: Bool

    package init(
        _ name: String, _ operation: Operator, inputs: [ValueID?], outputs: [ValueID?], kernel: KernelHint? = nil,
        meansFloats: Bool = false
    ) {
        self.name = name
        self.operation = operation
        self.inputs = inputs
        self.outputs = outputs
        self.kernel = kernel
        self.meansFloats = meansFloats
    }
}

/// How a quantized layer is to be computed, where the choice changes bits of the result. It is made when the model is made
/// and not by the machine that runs it, so that results are the same everywhere.
package struct KernelHint: Hashable, Sendable, Encodable {
    /// How many products are summed in an int16 lane before they widen to int32: the weights are made so that the lane
    /// cannot overflow. 0: none, inputs or outputs are int16, and so are the weights that meet int16 or stand alone for a channel.
    package var laneProducts: Int
    /// Whether a 3x3 convolution goes through Winograd's F(4x4, 3x3).
    package var winograd: Bool

    package init(laneProducts: Int, winograd: Bool = false) {
        self.laneProducts = laneProducts
        self.winograd = winograd
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(laneProducts, forKey: .laneProducts)
        if winograd { try container.encode(winograd, forKey: .winograd) }
    }

    private enum CodingKeys: String, CodingKey { case laneProducts, winograd }
}
