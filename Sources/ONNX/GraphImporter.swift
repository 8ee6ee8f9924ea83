// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Walks through an ONNX graph and adds each node to a `GraphBuilder`.
struct GraphImporter {
    /// How deep `If` may be nested.
    static let maximumDepth = 16

    var builder = GraphBuilder()
    let decoder: TensorDecoder
    let versions: [String: Int]
    /// Values by name; those of outer graphs too. A name that cannot be computed stands with nil.
    var scope: [String: ValueID?] = [:]
    var unsupported: [ImportError.UnsupportedNode] = []
    var depth = 0
    /// Why constants could not be read, by name.
    private var unreadable: [String: String] = [:]
    /// Constants whose elements have 4 bits in the file.
    var packed = Set<ValueID>()

    init(decoder: TensorDecoder, versions: [String: Int]) {
        self.decoder = decoder
        self.versions = versions
    }

    // MARK: Graphs

    /// Adds initializers and nodes of a graph whose inputs are in scope.
    mutating func importBody(_ graph: ONNXGraphProto) throws {
        for initializer in graph.initializer where scope[initializer.name] == nil || depth > 0 {
            try importInitializer(initializer)
        }
        for node in try ordered(graph.node) { try importNode(node) }
    }

    private mutating func importInitializer(_ proto: ONNXTensorProto) throws {
        do {
            let id = builder.addConstant(proto.name, try decoder.decode(proto))
            note(id, proto)
            scope[proto.name] = .some(id)
        } catch let error as Unsupported {
            // Whoever reads it is not supported either.
            unreadable[proto.name] = error.reason
            scope[proto.name] = .some(nil)
        } catch let error as GraphError {
            throw ImportError.malformed("tensor \(proto.name): \(error)")
        }
    }

    /// Remembers that a constant has 4-bit elements.
    mutating func note(_ id: ValueID, _ proto: ONNXTensorProto) {
        if ONNXElement(rawValue: proto.dataType)?.isPacked ?? false { packed.insert(id) }
    }

    /// Outputs of the main graph. Throws what could not be imported, all of it together.
    func outputs(_ graph: ONNXGraphProto) throws -> [ValueID] {
        if !unsupported.isEmpty { throw ImportError.unsupported(unsupported) }
        guard !graph.output.isEmpty else { throw ImportError.malformed("the graph has no outputs") }
        return try graph.output.map { output in
            guard let entry = scope[output.name], let id = entry else {
                throw ImportError.malformed("output \(output.name) is never computed")
            }
            return id
        }
    }

    /// The nodes in an order in which inputs are computed before they are read. Files should have it, not all do.
    private func ordered(_ nodes: [ONNXNodeProto]) throws -> [ONNXNodeProto] {
        var producer: [String: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for output in node.output where !output.isEmpty {
                guard producer.updateValue(index, forKey: output) == nil else {
                    throw ImportError.malformed("\(output) is computed twice")
                }
            }
        }
        var waiting = [Int](repeating: 0, count: nodes.count)
        var readers: [[Int]] = nodes.map { _ in [] }
        for (index, node) in nodes.enumerated() {
            for input in names(readBy: node, depth: depth) {
                if let source = producer[input] {
                    waiting[index] += 1
                    readers[source].append(index)
                }
            }
        }
        // A heap is not needed: ready nodes are taken in the order of the file as far as they come.
        var ready = nodes.indices.filter { waiting[$0] == 0 }
        var order: [ONNXNodeProto] = []
        order.reserveCapacity(nodes.count)
        var position = 0
        while position < ready.count {
            let index = ready[position]
            position += 1
            order.append(nodes[index])
            for reader in readers[index] {
                waiting[reader] -= 1
                if waiting[reader] == 0 { ready.append(reader) }
            }
        }
        guard order.count == nodes.count else { throw ImportError.malformed("the nodes form a cycle") }
        return order
    }

    /// Inputs of a node and what its subgraphs read from outside.
    private func names(readBy node: ONNXNodeProto, depth: Int) -> Set<String> {
        var names = Set(node.input.filter { !$0.isEmpty })
        guard depth < Self.maximumDepth else { return names }
        for attribute in node.attribute where attribute.name.hasSuffix("_branch") || attribute.name == "body" {
            for inner in attribute.g.node { names.formUnion(self.names(readBy: inner, depth: depth + 1)) }
            names.formUnion(attribute.g.output.map(\.name))
        }
        return names
    }

    // MARK: Nodes

    private mutating func importNode(_ proto: ONNXNodeProto) throws {
        let domain = proto.domain == "ai.onnx" ? "" : proto.domain
        let operation = domain.isEmpty ? proto.opType : "\(domain).\(proto.opType)"
        let name = !proto.name.isEmpty ? proto.name : proto.output.first { !$0.isEmpty } ?? operation
        guard let version = versions[domain], let kind = ONNXOperator(rawValue: operation) else {
            let reason = versions[domain] == nil ? "the file does not import this operator set" : "unknown operator"
            give(up: proto, name, operation, Unsupported(reason))
            return
        }
        var inputs: [ValueID?] = []
        for input in proto.input {
            guard !input.isEmpty else {
                inputs.append(nil)
                continue
            }
            guard let entry = scope[input] else {
                throw ImportError.malformed("node \(name) reads \(input), which is nowhere computed")
            }
            guard let id = entry else {
                if let reason = unreadable[input] {
                    give(up: proto, name, operation, Unsupported(reason))
                    return
                }
                // What it needs could not be imported; that has been noted.
                for output in proto.output where !output.isEmpty { scope[output] = .some(nil) }
                return
            }
            inputs.append(id)
        }
        do {
            let reader = try NodeReader(proto, name: name, version: version, inputs: inputs)
            let outputs = try add(kind, reader)
            for (output, id) in zip(proto.output, outputs) where !output.isEmpty {
                guard let id else { throw Unsupported("output \(output) is not available") }
                scope[output] = .some(id)
            }
            for output in proto.output.dropFirst(outputs.count) where !output.isEmpty {
                throw Unsupported("output \(output) is not available")
            }
        } catch let error as Unsupported {
            give(up: proto, name, operation, error)
        } catch let error as GraphError {
            var needsConstants = false
            if case .dataDependentShape = error { needsConstants = true }
            give(up: proto, name, operation, Unsupported("\(error)", needsConstants: needsConstants))
        }
    }

    private mutating func give(
        up proto: ONNXNodeProto, _ name: String, _ operation: String, _ fault: Unsupported
    ) {
        unsupported.append(
            .init(name: name, operation: operation, reason: fault.reason, needsConstants: fault.needsConstants))
        for output in proto.output where !output.isEmpty { scope[output] = .some(nil) }
    }

    // MARK: What the operators are made of

    func value(_ id: ValueID) -> Value { builder.value(id) }
    func shape(_ id: ValueID) -> Shape { builder.value(id).shape }

    /// The tensor of an input that must be known now.
    func constant(_ node: NodeReader, _ index: Int) throws -> Tensor {
        let id = try node.input(index)
        guard let tensor = builder.constant(id) else {
            throw Unsupported("input \(index) (\(value(id).name)) must be constant", needsConstants: true)
        }
        return tensor
    }

    func optionalConstant(_ node: NodeReader, _ index: Int) throws -> Tensor? {
        node.optionalInput(index) == nil ? nil : try constant(node, index)
    }

    /// Integers of an input that must be known now, limited to a range in which sums do not overflow.
    func integers(_ node: NodeReader, _ index: Int) throws -> [Int] {
        guard let values = try constant(node, index).integers else {
            throw Unsupported("input \(index) must hold integers")
        }
        return values.map { min(max($0, -(1 << 40)), 1 << 40) }
    }

    func optionalIntegers(_ node: NodeReader, _ index: Int) throws -> [Int]? {
        node.optionalInput(index) == nil ? nil : try integers(node, index)
    }

    /// The attribute of older versions or the input of newer ones.
    func integers(_ node: NodeReader, attribute: String, input: Int) throws -> [Int]? {
        if let values = node.ints(attribute) { return values }
        return try optionalIntegers(node, input)
    }

    func scalar(_ tensor: Tensor) throws -> Float {
        guard tensor.count == 1 else { throw Unsupported("one number is expected, there are \(tensor.count)") }
        return try ReferenceEvaluator.evaluate(.cast(to: .float32), [tensor])[0].array(of: Float.self)[0]
    }

    func floats(_ tensor: Tensor) throws -> [Float] {
        try ReferenceEvaluator.evaluate(.cast(to: .float32), [tensor])[0].array(of: Float.self)
    }

    /// Adds the operator that the node stands for, with the node's outputs.
    mutating func add(_ node: NodeReader, _ operation: Operator, _ inputs: [ValueID?]) throws -> [ValueID?] {
        try builder.add(
            node.name, operation, plain(inputs, for: operation),
            outputs: node.proto.output.map { $0.isEmpty ? nil : $0 })
    }

    /// Adds an operator on the way to the node's result; it has one output.
    mutating func step(_ node: NodeReader, _ operation: Operator, _ inputs: [ValueID?]) throws -> ValueID {
        let suffix = builder.graph.values.count
        let outputs = try builder.add(
            node.name, operation, plain(inputs, for: operation), outputs: ["\(node.name)/\(suffix)"])
        guard let first = outputs.first, let id = first else { throw Unsupported("\(operation.name) has no result") }
        return id
    }

    /// ONNX operators see stored integers where a graph's operators see the numbers that these stand for.
    private mutating func plain(_ inputs: [ValueID?], for operation: Operator) -> [ValueID?] {
        switch operation {
        case .dequantizeLinear, .reinterpret: return inputs
        default: break
        }
        let parameters = inputs.compactMap { $0 }.map { value($0).quantization }
        if operation.movesElements {
            if case .concat = operation {
                if let first = parameters.first, first?.axis == nil, parameters.allSatisfy({ $0 == first }) {
                    return inputs
                }
            } else if let first = parameters.first, first?.axis == nil {
                return inputs
            }
        }
        return inputs.map { $0.map { builder.reinterpret($0, as: nil) } }
    }

    mutating func constant(_ node: NodeReader, _ tensor: Tensor) -> ValueID {
        builder.addConstant("\(node.name)/\(builder.graph.values.count)", tensor)
    }
}
