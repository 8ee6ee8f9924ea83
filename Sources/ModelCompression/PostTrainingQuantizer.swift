// SPDX-License-Identifier: Apache-2.0

import Inference
import ModelGraph
import Tensors

#if canImport(Glibc)
    import Glibc
#endif

/// Turns a network in float32 into one whose convolutions work on 8-bit integers, from a few example inputs.
///
/// - Activations: uint8, asymmetric, a scale and zero point per tensor from the smallest and largest value seen
///   (Jacob et al., 2018, arXiv:1712.05877). They are rounded after the activation function, never before it.
/// - Weights: int8, a scale per output channel, rounded so that no int16 lane of a kernel can overflow
///   (`WeightRounding`), so that results are the same on every instruction set.
/// - What ends the network (layers whose result goes to outputs through float operators alone) writes float32.
/// - Operators that have no integer form stay in float32, with conversions at their borders.
package struct PostTrainingQuantizer {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// Fewer calibration inputs than this make a remark in the report.
    package static let sensibleInputCount = 10
    /// Inputs on which the quantized network is compared with the float one.
    private static let comparedInputCount = 8

    private let model: Model
    private let fused: Graph

    /// - Throws: `Failure` if the network is quantized already.
    package init(_ model: Model) throws {
        guard model.graph.values.allSatisfy({ $0.quantization == nil }) else {
            throw Failure(description: "the network is quantized already")
        }
        self.model = model
        fused = Fusion.fused(model.graph)
    }

    /// - Parameters:
    ///   - calibration: inputs by name, as the network takes them (after preprocessing); at least one.
    ///   - progress: called with the number of steps done and of all.
    /// - Returns: the quantized network with its report.
    /// - Throws: `Failure`, or what running the network throws.
    package func quantize(calibration: [[String: Tensor]], progress: ((Int, Int) -> Void)? = nil) throws -> Model {
        guard !calibration.isEmpty else {
            throw Failure(description: "quantization needs at least one calibration input")
        }
        let plan = QuantizationPlan(fused)
        guard !plan.layers.isEmpty else {
            throw Failure(
                description: "the network has no convolution or matrix product with constant weights to quantize")
        }
        let compared = calibration.prefix(PostTrainingQuantizer.comparedInputCount)
        let steps = calibration.count + compared.count
        var ranges = ValueRanges()
        let observer = try GraphRunner(fused, alsoReading: plan.quantized.union(DenseQuantization.states(fused)))
        for (index, inputs) in calibration.enumerated() {
            ranges.include(try observer.run(inputs))
            progress?(index + 1, steps)
        }
        DenseQuantization.includeGivenStates(fused, in: &ranges)
        let parameters = plan.parameters(ranges: ranges, preprocessing: model.preprocessing)
        var result = model
        for widths in plan.widths {
            var builder = QuantizedGraphBuilder(
                fused, plan: plan, parameters: parameters, ranges: ranges, widths: widths)
            result.graph = try builder.build()
            result.quantization = report(before: model.graph, after: result.graph, inputs: calibration.count)
            var comparison = OutputComparison(names: fused.outputs.map { fused[$0].name })
            let runner = try GraphRunner(result.graph)
            let reference = try GraphRunner(fused)
            for (index, inputs) in compared.enumerated() {
                comparison.include(reference: try reference.runOutputs(inputs), result: try runner.runOutputs(inputs))
                progress?(calibration.count + index + 1, steps)
            }
            result.quantization?.outputs = comparison.outputs
            let worst = comparison.outputs.map(\.signalToNoiseDecibels).min() ?? 0
            if worst >= DenseQuantization.sufficientDecibels { break }
        }
        return result
    }

    private func report(before: Graph, after: Graph, inputs: Int) -> QuantizationReport {
        func bytes(_ graph: Graph) -> Int { graph.constants.values.reduce(0) { $0 + $1.count * $1.type.sizeBytes } }
        var report = QuantizationReport(
            floatBytes: bytes(before), quantizedBytes: bytes(after), calibrationInputs: inputs)
        if inputs < PostTrainingQuantizer.sensibleInputCount {
            report.notes.append(
                "\(inputs) calibration inputs are few: use at least \(PostTrainingQuantizer.sensibleInputCount), better 20 to 40"
            )
        }
        for node in after.nodes where node.operation.hasWeights {
            guard let output = node.outputs.first.flatMap({ $0 }), after[output].quantization == nil else { continue }
            report.widerLayers.append(
                .init(name: node.name, activationBits: 32, reason: "its result leaves the integer part"))
        }
        return report
    }
}

/// Runs a graph on example inputs.
struct GraphRunner {
    private let session: Session
    private let inputs: [(id: ValueID, name: String)]
    /// What the session's outputs are.
    private let values: [ValueID]
    private let names: [String]

    /// - Parameter alsoReading: values inside the graph that are wanted too.
    init(_ graph: Graph, alsoReading: Set<ValueID> = []) throws {
        var extended = graph
        extended.outputs += alsoReading.subtracting(graph.outputs).subtracting(graph.inputs).sorted()
        session = try CompiledModel(Model(name: "calibration", graph: extended)).makeSession()
        values = extended.outputs
        names = graph.outputs.map { graph[$0].name }
        inputs = graph.inputs.map { (id: $0, name: graph[$0].name) }
    }

    /// All values that are wanted, and the inputs.
    func run(_ tensors: [String: Tensor]) throws -> [ValueID: Tensor] {
        var result: [ValueID: Tensor] = [:]
        for (index, input) in inputs.enumerated() {
            let target = session.inputBytes(index)
            guard let tensor = tensors[input.name] else {
                throw PostTrainingQuantizer.Failure(description: "a calibration input lacks '\(input.name)'")
            }
            let expected = session.model.inputs[index]
            guard tensor.type == expected.type, tensor.shape == expected.shape else {
                throw PostTrainingQuantizer.Failure(
                    description:
                        "a calibration input for '\(input.name)' is \(tensor.type) \(tensor.shape), expected \(expected.type) \(expected.shape)"
                )
            }
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: tensor.buffer.bytes[..<target.count]))
            result[input.id] = tensor
        }
        try session.run()
        for (index, id) in values.enumerated() { result[id] = session.outputTensor(index) }
        return result
    }

    /// The graph's outputs by name.
    func runOutputs(_ tensors: [String: Tensor]) throws -> [String: Tensor] {
        let result = try run(tensors)
        return Dictionary(zip(names, values.compactMap { result[$0] })) { first, _ in first }
    }
}

/// Signal-to-noise ratio of each output: 10 log10(power of the reference / power of the difference).
private struct OutputComparison {
    private let names: [String]
    private var signal: [Double]
    private var noise: [Double]

    init(names: [String]) {
        self.names = names
        signal = names.map { _ in 0 }
        noise = signal
    }

    mutating func include(reference: [String: Tensor], result: [String: Tensor]) {
        for (index, name) in names.enumerated() {
            guard let expected = reference[name], let actual = result[name], expected.type == .float32,
                actual.type == .float32, expected.shape == actual.shape
            else { continue }
            for (a, b) in zip(expected.elements(as: Float.self), actual.elements(as: Float.self)) {
                signal[index] += Double(a) * Double(a)
                noise[index] += Double(a - b) * Double(a - b)
            }
        }
    }

    var outputs: [QuantizationReport.Output] {
        names.indices.map { index in
            // Equal to the last bit is reported as the 150 dB of float32 itself.
            let ratio = noise[index] > 0 ? signal[index] / noise[index] : 1e15
            return .init(name: names[index], signalToNoiseDecibels: 10 * log10(max(ratio, 1e-15)))
        }
    }
}
