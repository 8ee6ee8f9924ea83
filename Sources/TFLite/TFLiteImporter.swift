// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Walks through the operators of a TensorFlow Lite file and adds each to a `GraphBuilder`.
///
/// The file has channels last, a graph has them second. A tensor of four axes is kept in either order, whichever it was
/// computed in, and turned when the other one is asked for: so a chain of layers has no transpositions inside.
struct TFLiteImporter {
    /// More than any operator has.
    private static let maximumOperands = 1024
    private static let maximumOperators = 1 << 20

    let schema: TFLiteSchema
    var builder = GraphBuilder()
    private var tensors: [Int: Forms] = [:]
    /// Those that are constants of the file, and stay when a graph is imported again.
    private var constants: [Int: Forms] = [:]
    private var operations: [TFLiteSchema.OperatorEntry] = []
    /// Before the names of nodes, in a graph that is imported more than once.
    private var prefix = ""
    /// Loops around this graph, and operators that loops have become.
    let depth: Int
    var spentOperators = 0
    private var entries: [Int: TFLiteSchema.TensorEntry] = [:]
    /// Tensors that could not be computed.
    private var missing = Set<Int>()
    private var unsupported: [ImportError.UnsupportedNode] = []

    /// A tensor as a value in the order of the file, as one with channels second, or both.
    private struct Forms {
        var plain: ValueID?
        var second: ValueID?
    }

    init(_ schema: TFLiteSchema, depth: Int = 0) {
        self.schema = schema
        self.depth = depth
    }

    mutating func importGraph(shapes: [String: Shape]) throws -> Graph {
        try addInputs(shapes)
        try importOperators()
        if !unsupported.isEmpty { throw ImportError.unsupported(unsupported) }
        guard !schema.outputs.isEmpty else { throw ImportError.malformed("the graph has no outputs") }
        var outputs: [(name: String, id: ValueID)] = []
        for index in schema.outputs { outputs.append((try entry(index).name, try plain(index))) }
        guard Set(outputs.map(\.name)).count == outputs.count else {
            throw ImportError.malformed("two outputs have one name")
        }
        return try builder.finish(named: outputs)
    }

    /// The graph as part of another one, each time with other inputs; nil if something in it is not supported.
    mutating func outputs(for inputs: [ValueID], prefix: String) throws -> [ValueID]? {
        guard inputs.count == schema.inputs.count else { throw ImportError.malformed("a loop has other inputs") }
        tensors = constants
        self.prefix = prefix
        for (index, id) in zip(schema.inputs, inputs) { tensors[index] = Forms(plain: id) }
        try importOperators()
        return unsupported.isEmpty ? try schema.outputs.map { try plain($0) } : nil
    }

    /// Leaves out what a graph inside of a node could not be made of.
    mutating func giveUp(_ node: OperatorReader, because inner: TFLiteImporter) {
        unsupported += inner.unsupported
        missing.formUnion(node.outputs)
    }

    private mutating func importOperators() throws {
        if operations.isEmpty {
            guard schema.operatorCount <= Self.maximumOperators else {
                throw ImportError.malformed("there are \(schema.operatorCount) operators, more than any network has")
            }
            operations = try (0..<schema.operatorCount).map { try schema.operation($0) }
        }
        for index in operations.indices { try importOperator(index) }
    }

    private mutating func addInputs(_ shapes: [String: Shape]) throws {
        var names: [String] = []
        for index in schema.inputs {
            let entry = try entry(index)
            names.append(entry.name)
            guard tensors[index] == nil else { throw ImportError.malformed("input \(entry.name) is there twice") }
            let type = try type(index)
            do {
                let id = try builder.addInput(
                    entry.name, type, shapes[entry.name] ?? Shape(entry.shape),
                    quantization: stored(index)?.quantization)
                tensors[index] = Forms(plain: id)
            } catch let error as GraphError { throw ImportError.malformed("input \(entry.name): \(error)") }
        }
        for name in shapes.keys where !names.contains(name) {
            throw ImportError.unknownInput(name, known: names)
        }
    }

    private mutating func importOperator(_ index: Int) throws {
        let entry = operations[index]
        guard entry.inputs.count <= Self.maximumOperands, entry.outputs.count <= Self.maximumOperands else {
            throw ImportError.malformed("an operator has too many inputs or outputs")
        }
        let name = prefix + (try entry.outputs.first.map { try self.entry($0).name } ?? "operator \(index)")
        // What it needs could not be imported; that has been noted.
        if entry.inputs.contains(where: missing.contains) {
            missing.formUnion(entry.outputs)
            return
        }
        do {
            let node = OperatorReader(entry, name: name)
            if let custom = entry.custom {
                try addCustom(custom, node)
            } else {
                guard let kind = entry.kind else { throw Unsupported("unknown operator") }
                try add(kind, node)
            }
            for output in entry.outputs where tensors[output] == nil && output >= 0 && !missing.contains(output) {
                throw Unsupported("output \(try self.entry(output).name) is not available")
            }
        } catch let error as Unsupported {
            unsupported.append(.init(name: name, operation: entry.name, reason: error.reason))
            missing.formUnion(entry.outputs)
        } catch let error as GraphError {
            unsupported.append(.init(name: name, operation: entry.name, reason: "\(error)"))
            missing.formUnion(entry.outputs)
        }
    }

    // MARK: Tensors

    mutating func entry(_ index: Int) throws -> TFLiteSchema.TensorEntry {
        if let known = entries[index] { return known }
        let entry = try schema.tensor(index)
        entries[index] = entry
        return entry
    }

    mutating func type(_ index: Int) throws -> ElementType {
        let entry = try entry(index)
        guard let type = entry.type else {
            throw ImportError.malformed("tensor \(entry.name) has an element type that is not supported")
        }
        return type.type
    }

    /// Type and parameters of a tensor whose integers stand for real numbers.
    mutating func stored(_ index: Int) throws -> (type: ElementType, quantization: QuantizationParameters)? {
        let type = try type(index)
        guard [.uint8, .int8, .int16].contains(type), let quantization = try entry(index).quantization,
            quantization.zeroPoints.allSatisfy({ type.quantizedRange.contains($0) })
        else { return nil }
        return (type, quantization)
    }

    private mutating func forms(_ index: Int) throws -> Forms {
        if let known = tensors[index] { return known }
        let entry = try entry(index)
        guard let contents = try schema.contents(entry.buffer) else {
            throw ImportError.malformed("tensor \(entry.name) is read and nowhere computed")
        }
        guard let type = entry.type else { throw Unsupported("constant \(entry.name) is of an unsupported type") }
        let tensor = try TFLiteConstant.decode(contents, type, Shape(entry.shape), entry.name)
        let id = builder.addConstant(entry.name, tensor, quantization: try stored(index)?.quantization)
        let made = Forms(plain: id)
        tensors[index] = made
        constants[index] = made
        return made
    }

    /// A tensor in the order of the file.
    mutating func plain(_ index: Int) throws -> ValueID {
        let forms = try forms(index)
        if let id = forms.plain { return id }
        guard let second = forms.second else { throw ImportError.malformed("tensor \(index) has no value") }
        let id = try turned(second, [0, 2, 3, 1])
        tensors[index]?.plain = id
        return id
    }

    /// A tensor of four axes with its channels second.
    mutating func channelsSecond(_ index: Int) throws -> ValueID {
        let forms = try forms(index)
        if let id = forms.second { return id }
        guard let plain = forms.plain, value(plain).shape.rank == 4 else {
            throw Unsupported("an input must have four axes")
        }
        let id = try turned(plain, [0, 3, 1, 2])
        tensors[index]?.second = id
        return id
    }

    /// Whether a tensor would have to be turned to be read in the order of the file.
    mutating func isChannelsSecond(_ index: Int) throws -> Bool { try forms(index).plain == nil }

    /// Extents in the order of the file.
    mutating func shape(_ index: Int) throws -> Shape {
        let forms = try forms(index)
        if let plain = forms.plain { return value(plain).shape }
        guard let second = forms.second else { return [] }
        let shape = value(second).shape
        return [shape[0], shape[2], shape[3], shape[1]]
    }

    /// Values with the axes in another order. Where nothing moves, they get another shape only.
    mutating func turned(_ id: ValueID, _ permutation: [Int]) throws -> ValueID {
        let value = value(id)
        let shape = Shape(permutation.map { value.shape[$0] })
        let moving = permutation.filter { value.shape[$0] != 1 }
        let operation: Operator =
            moving == moving.sorted() ? .reshape(shape) : .transpose(permutation: permutation)
        if let tensor = builder.constant(id) {
            let result = try ReferenceEvaluator.evaluate(operation, [tensor])[0]
            var quantization = value.quantization
            if let axis = quantization?.axis { quantization?.axis = permutation.firstIndex(of: axis) }
            return builder.addConstant(value.name, result, quantization: quantization)
        }
        return try single(builder.add(value.name, operation, [id], outputs: [value.name]))
    }

    func value(_ id: ValueID) -> Value { builder.value(id) }

    func single(_ ids: [ValueID?]) throws -> ValueID {
        guard let first = ids.first, let id = first else { throw Unsupported("there is no result") }
        return id
    }

    // MARK: What the operators are made of

    /// Adds the operator that gives an output of the node, under the parameters that the file has for it.
    mutating func add(
        _ node: OperatorReader, _ operation: Operator, _ inputs: [ValueID?], output: Int = 0
    ) throws -> ValueID {
        let index = try node.output(output)
        // What only moves stays stored as it is.
        let form = operation.movesElements ? nil : try stored(index)
        return try single(builder.add(node.name, operation, inputs, outputs: [node.name], stored: form))
    }

    /// Adds an operator on the way to a result, stored as given.
    mutating func step(
        _ node: OperatorReader, _ operation: Operator, _ inputs: [ValueID?],
        stored: (type: ElementType, quantization: QuantizationParameters)? = nil
    ) throws -> ValueID {
        let name = "\(node.name)/\(builder.graph.values.count)"
        return try single(builder.add(name, operation, inputs, outputs: [name], stored: stored))
    }

    /// Says what an output of the node is.
    mutating func give(_ node: OperatorReader, _ id: ValueID, channelsSecond: Bool = false, output: Int = 0) throws {
        let index = try node.output(output)
        guard tensors[index] == nil else { throw ImportError.malformed("\(try entry(index).name) is computed twice") }
        var id = id
        if let form = try stored(index), value(id).type == form.type {
            id = builder.reinterpret(id, as: form.quantization)
        } else if value(id).quantization == nil, try type(index) != value(id).type {
            id = try step(node, .cast(to: try type(index)), [id])
        }
        tensors[index] = channelsSecond ? Forms(second: id) : Forms(plain: id)
    }

    mutating func constant(_ node: OperatorReader, _ place: Int) throws -> Tensor {
        let index = try node.input(place)
        let id = try plain(index)
        guard let tensor = builder.constant(id) else {
            throw Unsupported("input \(place) (\(try entry(index).name)) must be constant", needsConstants: true)
        }
        return tensor
    }

    mutating func integers(_ node: OperatorReader, _ place: Int) throws -> [Int] {
        guard let values = try constant(node, place).integers else {
            throw Unsupported("input \(place) must hold integers")
        }
        return values.map { min(max($0, -(1 << 40)), 1 << 40) }
    }

    mutating func number(_ value: Float) -> ValueID {
        builder.addConstant("\(value)", Tensor([], [value]))
    }
}
