// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// A node of the file with its inputs resolved to values of the graph.
struct NodeReader {
    let proto: ONNXNodeProto
    /// Name for the graph and for messages.
    let name: String
    /// Version of the operator set that defines the node.
    let version: Int
    let inputs: [ValueID?]
    private let attributes: [String: ONNXAttributeProto]

    init(_ proto: ONNXNodeProto, name: String, version: Int, inputs: [ValueID?]) throws {
        self.proto = proto
        self.name = name
        self.version = version
        // Trailing inputs that are left out are the same as none.
        self.inputs = Array(inputs.prefix((inputs.lastIndex { $0 != nil } ?? -1) + 1))
        var attributes: [String: ONNXAttributeProto] = [:]
        for attribute in proto.attribute { attributes[attribute.name] = attribute }
        self.attributes = attributes
    }

    var operation: String { proto.opType }

    /// The same node with other inputs.
    func with(inputs: [ValueID?]) throws -> NodeReader {
        try NodeReader(proto, name: name, version: version, inputs: inputs)
    }

    func has(_ attribute: String) -> Bool { attributes[attribute] != nil }

    func input(_ index: Int) throws -> ValueID {
        guard let id = optionalInput(index) else { throw Unsupported("input \(index) is missing") }
        return id
    }

    func optionalInput(_ index: Int) -> ValueID? { index < inputs.count ? inputs[index] : nil }

    /// Numbers in a file may be anything; those beyond this are as good as this.
    private static let limit: Int64 = 1 << 40

    private func clamped(_ value: Int64) -> Int { Int(min(max(value, -Self.limit), Self.limit)) }

    func int(_ attribute: String) -> Int? { attributes[attribute].map { clamped($0.i) } }
    func int(_ attribute: String, default value: Int) -> Int { int(attribute) ?? value }
    func flag(_ attribute: String, default value: Bool = false) -> Bool { int(attribute).map { $0 != 0 } ?? value }
    func ints(_ attribute: String) -> [Int]? { attributes[attribute].map { $0.ints.map(clamped) } }
    func float(_ attribute: String) -> Float? { attributes[attribute]?.f }
    func float(_ attribute: String, default value: Float) -> Float { float(attribute) ?? value }
    func floats(_ attribute: String) -> [Float]? { attributes[attribute]?.floats }
    func string(_ attribute: String) -> String? { attributes[attribute].map { String(decoding: $0.s, as: UTF8.self) } }
    func strings(_ attribute: String) -> [String]? {
        attributes[attribute].map { $0.strings.map { String(decoding: $0, as: UTF8.self) } }
    }
    func tensor(_ attribute: String) -> ONNXTensorProto? { attributes[attribute].map(\.t) }
    func subgraph(_ attribute: String) -> ONNXGraphProto? { attributes[attribute].map(\.g) }

    /// An attribute with a closed set of words.
    func word<Word: RawRepresentable>(_ attribute: String, default value: Word) throws -> Word
    where Word.RawValue == String {
        guard let text = string(attribute) else { return value }
        guard let word = Word(rawValue: text) else { throw Unsupported("\(attribute) = \(text)") }
        return word
    }

    /// `axis` as a non-negative number.
    func axis(_ value: Int, rank: Int) throws -> Int {
        let axis = value < 0 ? value + rank : value
        guard axis >= 0 && axis < rank else { throw Unsupported("axis \(value) of a tensor with \(rank) axes") }
        return axis
    }
}
