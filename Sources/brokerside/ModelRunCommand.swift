// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ModelGraph
import ONNX
import Tensors

struct ModelRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a network on NumPy arrays.",
        discussion: "Open extents of an ONNX file are taken from the inputs.")

    @Argument(help: ArgumentHelp("The network, a .bsm or .onnx file.", valueName: "model"))
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

    private func evaluate(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
        let graph = try ModelSource(path: model).load(for: inputs).graph
        let known = graph.inputs.map { graph[$0].name }
        return try ReferenceEvaluator(graph).run(inputs.filter { known.contains($0.key) })
    }
}
