// SPDX-License-Identifier: Apache-2.0
import ModelCompression
import ModelGraph
import Tensors
import Testing

@testable import Inference

/// What a recurrent layer is in a test.
struct RecurrentCase: Sendable, CustomTestStringConvertible {
    var cell = Recurrent.Cell.lstm
    var direction = Recurrent.Direction.forward
    var inputs = 7
    var units = 20
    var length = 6
    var batch = 1
    var linearBeforeReset = true
    var batchFirst = false
    var hasBias = true
    var hasInitial = false

    var testDescription: String {
        "\(cell) \(direction) \(inputs) to \(units), \(length) steps of \(batch)"
            + "\(linearBeforeReset ? "" : " resets first")\(batchFirst ? " batch first" : "")"
            + "\(hasBias ? "" : " no bias")\(hasInitial ? " initial" : "")"
    }

    static let all: [RecurrentCase] = {
        var cases: [RecurrentCase] = []
        for cell in [Recurrent.Cell.lstm, .gru] {
            cases += [
                RecurrentCase(cell: cell), RecurrentCase(cell: cell, direction: .reverse, inputs: 16, units: 16),
                RecurrentCase(cell: cell, direction: .bidirectional, units: 33, batch: 3),
                RecurrentCase(cell: cell, direction: .bidirectional, batch: 2, batchFirst: true, hasInitial: true),
                RecurrentCase(cell: cell, inputs: 1, units: 1, length: 3, hasBias: false, hasInitial: true),
            ]
        }
        return cases
    }()

    static let resetFirst = [
        RecurrentCase(cell: .gru, linearBeforeReset: false),
        RecurrentCase(
            cell: .gru, direction: .bidirectional, units: 37, batch: 2, linearBeforeReset: false, hasInitial: true),
    ]

    /// x -> layer -> y, last h (and c), all float.
    func graph(seed: UInt64) throws -> Graph {
        var numbers = Numbers(seed: seed)
        var builder = GraphBuilder()
        let directions = direction == .bidirectional ? 2 : 1
        let functions: [Recurrent.Function] = cell == .lstm ? [.sigmoid, .tanh, .tanh] : [.sigmoid, .tanh]
        let recurrent = Recurrent(
            cell: cell, direction: direction, hiddenSize: units,
            functions: (0..<directions).flatMap { _ in functions }, linearBeforeReset: linearBeforeReset,
            batchFirst: batchFirst)
        let rows = cell.gates * units
        let x = try builder.addInput("x", .float32, batchFirst ? [batch, length, inputs] : [length, batch, inputs])
        var operands: [ValueID?] = [
            x, builder.addConstant("w", numbers.tensor([directions, rows, inputs])),
            builder.addConstant("r", numbers.tensor([directions, rows, units], scale: 0.4)),
        ]
        operands.append(hasBias ? builder.addConstant("b", numbers.tensor([directions, 2 * rows], scale: 0.3)) : nil)
        let state: Shape = batchFirst ? [batch, directions, units] : [directions, batch, units]
        if hasInitial {
            operands += [nil, try builder.addInput("h", .float32, state)]
            if cell == .lstm { operands.append(try builder.addInput("c", .float32, state)) }
        }
        let outputs = try builder.add(
            "layer", .recurrent(recurrent), operands,
            outputs: cell == .lstm ? ["y", "last h", "last c"] : ["y", "last h"])
        return try builder.finish(outputs: outputs.compactMap { $0 })
    }

    func inputs(of graph: Graph, seed: UInt64) -> [String: Tensor] {
        var numbers = Numbers(seed: seed)
        return Dictionary(uniqueKeysWithValues: graph.inputs.map { (graph[$0].name, numbers.tensor(graph[$0].shape)) })
    }
}

extension Graph {
    /// Outputs of a session by name.
    func outputs(for inputs: [String: Tensor], kernels: FloatKernels = .best) throws -> [String: Tensor] {
        let compiled = try CompiledModel(Model(name: "test", graph: self), batch: 1, kernels: kernels)
        let session = compiled.makeSession()
        for (index, id) in self.inputs.enumerated() {
            guard let tensor = inputs[self[id].name] else { continue }
            session.inputBytes(index).copyMemory(from: UnsafeRawBufferPointer(tensor.buffer.bytes))
        }
        // Twice, so that a state that is left over shows.
        try session.run()
        try session.run()
        return Dictionary(
            uniqueKeysWithValues: compiled.outputs.enumerated().map {
                ($0.element.name, session.outputTensor($0.offset))
            })
    }

    /// Whether a step of the plan is left to the reference evaluator: it allocates then.
    var recurrentNodes: [Node] {
        nodes.filter { if case .recurrent = $0.operation { true } else { false } }
    }
}

@Suite struct RecurrentLayerTests {
    @Test(arguments: RecurrentCase.all + RecurrentCase.resetFirst)
    func floatLayerEqualsTheReference(layer: RecurrentCase) throws {
        let graph = try layer.graph(seed: 4)
        let inputs = layer.inputs(of: graph, seed: 5)
        let expected = try ReferenceEvaluator(graph).run(inputs)
        for kernels in FloatKernels.available {
            let actual = try graph.outputs(for: inputs, kernels: kernels)
            for (name, tensor) in expected {
                let result = try #require(actual[name])
                let difference = zip(tensor.array(of: Float.self), result.array(of: Float.self)).map { abs($0 - $1) }
                    .max()
                #expect(try #require(difference) < 3e-6, "\(name), \(kernels.name)")
            }
        }
    }

    private func quantized(_ layer: RecurrentCase) throws -> (float: Graph, integer: Model) {
        let graph = try layer.graph(seed: 6)
        let calibration = (0..<4).map { layer.inputs(of: graph, seed: 100 + $0) }
        let model = Model(name: "test", graph: graph)
        return (graph, try PostTrainingQuantizer(model).quantize(calibration: calibration))
    }

    @Test(arguments: RecurrentCase.all)
    func integerLayerIsTheReferenceBitForBit(layer: RecurrentCase) throws {
        let graph = try quantized(layer).integer.graph
        #expect(!graph.recurrentNodes.isEmpty)
        for case .recurrent(let recurrent) in graph.recurrentNodes.map(\.operation) { #expect(recurrent.state != nil) }
        let inputs = layer.inputs(of: graph, seed: 7)
        let expected = try ReferenceEvaluator(graph).run(inputs)
        let actual = try graph.outputs(for: inputs)
        for (name, tensor) in expected {
            #expect(tensor.array(of: Float.self) == actual[name]?.array(of: Float.self), "\(name)")
        }
    }

    @Test(arguments: RecurrentCase.all)
    func integerLayerStaysCloseToTheFloatOne(layer: RecurrentCase) throws {
        let (float, integer) = try quantized(layer)
        let inputs = layer.inputs(of: float, seed: 8)
        let expected = try ReferenceEvaluator(float).run(inputs)
        let actual = try integer.graph.outputs(for: inputs)
        for (name, tensor) in expected {
            let pairs = zip(tensor.array(of: Float.self), try #require(actual[name]).array(of: Float.self))
            let (signal, noise) = pairs.reduce((0 as Float, 0 as Float)) {
                ($0.0 + $1.0 * $1.0, $0.1 + ($1.0 - $1.1) * ($1.0 - $1.1))
            }
            // 25 dB; of a few numbers, which may be small, two steps of the state.
            let allowed = tensor.count < 20 ? Float(tensor.count) * 0.016 * 0.016 : signal / 316
            #expect(noise < allowed, "\(name)")
        }
    }

    @Test func modelFileKeepsTheStateOfALayer() throws {
        let model = try quantized(RecurrentCase(direction: .bidirectional)).integer
        let (data, _) = try ModelFile.encode(model)
        let owner = Owner(Array(data))
        let read = try ModelFile.decode(UnsafeRawBufferPointer(owner.bytes), owner: owner).model
        #expect(read.graph.recurrentNodes.map(\.operation) == model.graph.recurrentNodes.map(\.operation))
    }

    private final class Owner {
        let bytes: UnsafeMutableRawBufferPointer
        init(_ values: [UInt8]) {
            bytes = .allocate(byteCount: values.count, alignment: 64)
            bytes.copyBytes(from: values)
        }
        deinit { bytes.deallocate() }
    }
}
