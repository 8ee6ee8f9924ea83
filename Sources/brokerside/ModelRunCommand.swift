// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Inference
import ModelGraph
import Tensors

struct ModelRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a network on NumPy arrays.",
        discussion: "Open extents of an .onnx or .tflite file are taken from the inputs.")

    @Argument(help: ArgumentHelp("The network, a .bsm, .onnx or .tflite file.", valueName: "model"))
    var model: String

    @Option(help: ArgumentHelp("An input. Repeat for each.", valueName: "name=file.npy"))
    var input: [Assignment] = []

    @Option(help: ArgumentHelp("An output to write. Repeat for each.", valueName: "name=file.npy"))
    var output: [Assignment] = []

    func run() throws {
        var inputs: [String: Tensor] = [:]
        for entry in input {
            do { inputs[entry.name] = try NumPyFile.read(entry.value) } catch {
                throw Failure("\(entry.value): \(error)")
            }
        }
        let results = try reported { try evaluate(inputs) }
        for entry in output {
            guard let tensor = results[entry.name] else {
                throw Failure(
                    "there is no output \(entry.name); outputs are: \(results.keys.sorted().joined(separator: ", "))")
            }
            try reported { try NumPyFile.write(tensor, entry.value) }
        }
    }

    /// Runs the network as a session does, on the tensors that its file declares: frames are not involved.
    private func evaluate(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
        var model = try ModelSource(path: model).load(for: inputs)
        model.preprocessing = [:]
        let session = try CompiledModel(model).makeSession()
        for (index, port) in session.model.inputs.enumerated() {
            guard let tensor = inputs[port.name] else {
                throw GraphError.wrongInput(
                    name: port.name, expected: "\(port.type) \(port.shape)", actual: "missing; give --input")
            }
            guard tensor.type == port.type, tensor.shape == port.shape else {
                throw GraphError.wrongInput(
                    name: port.name, expected: "\(port.type) \(port.shape)", actual: "\(tensor.type) \(tensor.shape)")
            }
            session.inputBytes(index).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: tensor.buffer.bytes.prefix(session.inputBytes(index).count)))
        }
        try session.run()
        let outputs = session.model.outputs.enumerated().map { ($1.name, session.outputTensor($0)) }
        return Dictionary(outputs) { first, _ in first }
    }
}
