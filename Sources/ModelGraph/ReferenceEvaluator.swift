// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Runs a graph operator by operator in plain Swift, exactly as the operators are defined.
///
/// Constants are folded with it, tests compare engines with it, and an engine falls back on it for operators without a fast
/// kernel. It allocates each result and is slow by design: one loop per definition.
package struct ReferenceEvaluator: Sendable {
    package let graph: Graph

    /// - Throws: `GraphError` when the graph is not valid.
    package init(_ graph: Graph) throws {
        try graph.validate()
        self.graph = graph
    }

    /// Outputs by name for inputs by name, as stored (quantized values as integers).
    package func run(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for (id, tensor) in try runValues(inputs, keeping: Set(graph.outputs)) { result[graph[id].name] = tensor }
        return result
    }

    /// The values of `keeping`, which may be any of the graph (as calibration wants them).
    package func runValues(_ inputs: [String: Tensor], keeping: Set<ValueID>) throws -> [ValueID: Tensor] {
        var tensors = graph.constants
        for id in graph.inputs {
            let value = graph[id]
            guard let tensor = inputs[value.name] else {
                throw GraphError.wrongInput(name: value.name, expected: "\(value.meant)", actual: "missing")
            }
            guard tensor.type == value.type, tensor.shape == value.shape else {
                throw GraphError.wrongInput(
                    name: value.name, expected: "\(value.type) \(value.shape)",
                    actual: "\(tensor.type) \(tensor.shape)")
            }
            tensors[id] = tensor
        }
        var lastUse: [ValueID: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            for case let input? in node.inputs { lastUse[input] = index }
        }
        for (index, node) in graph.nodes.enumerated() {
            let results = try Self.evaluate(node, in: graph, inputs: node.inputs.map { $0.flatMap { tensors[$0] } })
            for (output, tensor) in zip(node.outputs, results) {
                if let output { tensors[output] = tensor }
            }
            for case let input? in node.inputs where lastUse[input] == index && !keeping.contains(input) {
                tensors[input] = nil
            }
        }
        return tensors.filter { keeping.contains($0.key) }
    }

    /// Runs one node on stored tensors: quantized inputs are read as the real numbers that they mean, and results are
    /// rounded to what the output values store.
    package static func evaluate(_ node: Node, in graph: Graph, inputs: [Tensor?]) throws -> [Tensor] {
        if case .reinterpret = node.operation, let input = inputs.first, let tensor = input { return [tensor] }
        if node.operation.movesStoredNumbers(node, in: graph) {
            return try evaluate(node.operation, inputs)
        }
        if let results = try integerLayer(node, in: graph, inputs: inputs) { return results }
        let meant = zip(node.inputs, inputs).map { id, tensor -> Tensor? in
            guard let id, let tensor, let quantization = graph[id].quantization else { return tensor }
            return dequantize(tensor, quantization)
        }
        let results = try orderedResults(node, in: graph, meant) ?? evaluate(node.operation, meant)
        return zip(node.outputs, results).map { id, tensor in
            guard let id, let quantization = graph[id].quantization else { return tensor }
            return quantize(tensor, quantization, to: graph[id].type)
        }
    }

    /// Runs one operator on plain numbers. All its outputs are returned, wanted or not.
    package static func evaluate(_ operation: Operator, _ inputs: [Tensor?]) throws -> [Tensor] {
        if let result = try evaluateByData(operation, inputs) { return [result] }
        let types = try operation.outputTypes(inputs.map { $0.map { TensorType($0.type, $0.shape) } })
        // What `outputTypes` accepted has all required inputs.
        func input(_ index: Int) -> Tensor {
            guard let tensor = inputs[index] else { preconditionFailure("\(operation.name) lost input \(index)") }
            return tensor
        }
        func optional(_ index: Int) -> Tensor? { index < inputs.count ? inputs[index] : nil }
        switch operation {
        case .convolution(let attributes):
            return [
                convolution(
                    attributes, input(0), input(1), bias: optional(2), residual: optional(3), shape: types[0].shape)
            ]
        case .convolutionInteger(let attributes):
            return [
                convolutionInteger(
                    attributes, input(0), input(1), zeroX: optional(2), zeroWeight: optional(3), shape: types[0].shape)
            ]
        case .transposedConvolution(let attributes):
            return [transposedConvolution(attributes, input(0), input(1), bias: optional(2), shape: types[0].shape)]
        case .gemm(let attributes):
            return [try gemm(attributes, input(0), input(1), optional(2), shape: types[0].shape)]
        case .matMul: return [matMul(input(0), input(1), shape: types[0].shape)]
        case .matMulInteger:
            return [matMulInteger(input(0), input(1), zeroA: optional(2), zeroB: optional(3), shape: types[0].shape)]
        case .maxPool(let pool): return maxPool(pool, input(0), shape: types[0].shape)
        case .averagePool(let pool): return [averagePool(pool, input(0), shape: types[0].shape)]
        case .globalPool(let function):
            let axes = Array(2..<max(input(0).shape.rank, 2))
            let reduction: Reduce.Function = function == .average ? .mean : .maximum
            return [reduce(Reduce(reduction, axes: axes, keepsAxes: true), input(0), shape: types[0].shape)]
        case .batchNormalization(let epsilon):
            return [batchNormalization(input(0), input(1), input(2), input(3), input(4), epsilon: epsilon)]
        case .instanceNormalization(let epsilon):
            return [groupNormalization(input(0), input(1), input(2), groups: input(0).shape[1], epsilon: epsilon)]
        case .groupNormalization(let groups, let epsilon):
            return [groupNormalization(input(0), input(1), input(2), groups: groups, epsilon: epsilon)]
        case .layerNormalization(let axis, let epsilon):
            return layerNormalization(
                input(0), input(1), optional(2), axis: axis, epsilon: epsilon, statistics: types[1].shape)
        case .localResponseNormalization(let attributes): return [localResponseNormalization(attributes, input(0))]
        case .softmax(let axis): return [softmax(input(0), axis: axis, logarithm: false)]
        case .logSoftmax(let axis): return [softmax(input(0), axis: axis, logarithm: true)]
        case .recurrent(let attributes): return try recurrent(attributes, inputs, types)
        case .unary(let function): return [unary(function, input(0), types[0])]
        case .binary(let function, let activation):
            let result = binary(function, input(0), input(1), types[0])
            if result.type == .float32 { activation.apply(result.floats, count: result.count) }
            return [result]
        case .select: return [select(input(0), input(1), input(2), shape: types[0].shape)]
        case .cast(let type): return [cast(input(0), to: type)]
        case .reduce(let attributes): return [reduce(attributes, input(0), shape: types[0].shape)]
        case .argReduce(let attributes): return [argReduce(attributes, input(0), shape: types[0].shape)]
        case .topK(let attributes): return topK(attributes, input(0))
        case .cumulativeSum(let attributes): return [cumulativeSum(attributes, input(0))]
        case .detectionPostProcess(let attributes): return detections(attributes, input(0), input(1), input(2))
        case .concat, .split, .slice, .selectChannels, .reshape, .transpose, .expand, .tile, .pad, .depthToSpace,
            .spaceToDepth:
            return move(operation, inputs.compactMap { $0 }, types)
        case .gather, .gatherElements, .gatherND, .scatterElements, .scatterND, .oneHot, .triangle:
            return [try pick(operation, inputs.compactMap { $0 }, types[0])]
        case .resize(let attributes): return [resize(attributes, input(0))]
        case .quantizeLinear, .dequantizeLinear, .reinterpret: return [input(0)]
        case .dynamicQuantizeLinear: return dynamicQuantizeLinear(input(0))
        case .nonMaxSuppression, .nonZero: preconditionFailure("is handled above")
        }
    }
}
