// SPDX-License-Identifier: Apache-2.0

import Inference
import ModelGraph
import Tensors

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
        // Names inside a graph need not be unique, those of outputs must be.
        for id in extended.outputs { extended[id].name = "\(id)" }
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
