// SPDX-License-Identifier: Apache-2.0
import ModelGraph

extension TFLiteImporter {
    private static let maximumDepth = 4
    /// Operators that loops may become, a recurrent layer of 500 steps.
    private static let maximumUnrolled = 1 << 14

    /// A loop whose condition depends on constants alone, as converters write recurrent layers, is written out step by step.
    mutating func addWhile(_ node: OperatorReader) throws {
        guard depth < Self.maximumDepth else { throw Unsupported("loops within loops") }
        var condition = TFLiteImporter(try schema.subgraph(try node.int(0)), depth: depth + 1)
        var body = TFLiteImporter(try schema.subgraph(try node.int(1)), depth: depth + 1)
        var state = try node.inputs.map { try plain($0) }
        var step = 0
        while try isTrue(&condition, state, "\(node.name)/condition \(step)/") {
            spentOperators += body.schema.operatorCount + condition.schema.operatorCount + 1
            guard spentOperators <= Self.maximumUnrolled else { throw Unsupported("a loop of too many steps") }
            guard let next = try run(&body, state, "\(node.name)/\(step)/") else {
                return giveUp(node, because: body)
            }
            guard next.count == state.count else { throw ImportError.malformed("a loop loses what it carries") }
            state = next
            step += 1
        }
        for place in node.outputs.indices where place < state.count && node.outputs[place] >= 0 {
            try give(node, state[place], output: place)
        }
    }

    private mutating func isTrue(_ condition: inout TFLiteImporter, _ state: [ValueID], _ prefix: String) throws -> Bool
    {
        guard let result = try run(&condition, state, prefix)?.first, let tensor = builder.constant(result),
            tensor.type == .bool, tensor.count == 1
        else { throw Unsupported("a loop whose end depends on the data") }
        return tensor.array(of: Bool.self)[0]
    }

    /// The outputs of another graph of the file for these inputs; nil if something in it is not supported.
    private mutating func run(
        _ other: inout TFLiteImporter, _ inputs: [ValueID], _ prefix: String
    ) throws -> [ValueID]? {
        swap(&builder, &other.builder)
        swap(&spentOperators, &other.spentOperators)
        defer {
            swap(&builder, &other.builder)
            swap(&spentOperators, &other.spentOperators)
        }
        return try other.outputs(for: inputs, prefix: prefix)
    }
}
