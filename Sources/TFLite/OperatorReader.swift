// SPDX-License-Identifier: Apache-2.0
import ModelGraph

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An operator of the file.
struct OperatorReader {
    /// Name for the graph and for messages: that of the first output.
    let name: String
    let options: FlatTable?
    let inputs: [Int]
    let outputs: [Int]
    let customOptions: Data?

    init(_ entry: TFLiteSchema.OperatorEntry, name: String) {
        self.name = name
        options = entry.options
        inputs = entry.inputs
        outputs = entry.outputs
        customOptions = entry.customOptions
    }

    /// Index of an input's tensor.
    func input(_ place: Int) throws -> Int {
        guard let index = optionalInput(place) else { throw Unsupported("input \(place) is missing") }
        return index
    }

    func optionalInput(_ place: Int) -> Int? {
        guard place < inputs.count, inputs[place] >= 0 else { return nil }
        return inputs[place]
    }

    func output(_ place: Int) throws -> Int {
        guard place < outputs.count, outputs[place] >= 0 else { throw Unsupported("output \(place) is missing") }
        return outputs[place]
    }

    // MARK: Options

    func int(_ field: Int, default value: Int = 0) throws -> Int {
        try options?.int32(field, default: value) ?? value
    }

    func flag(_ field: Int) throws -> Bool { try options?.flag(field) ?? false }

    func float(_ field: Int, default value: Float = 0) throws -> Float {
        try options?.float(field, default: value) ?? value
    }

    func ints(_ field: Int) throws -> [Int]? { try options?.int32s(field) }

    func byte(_ field: Int) throws -> Int { try options?.int8(field) ?? 0 }

    /// A function that follows the operator (`ActivationFunctionType`).
    func activation(_ field: Int) throws -> Activation {
        switch try byte(field) {
        case 0: return .none
        case 1: return .relu
        case 2: return .clip(low: -1, high: 1)
        case 3: return .relu6
        case 4: return .tanh
        case let other: throw Unsupported("fused activation function \(other)")
        }
    }

    /// `axis` as a non-negative number.
    func axis(_ value: Int, rank: Int) throws -> Int {
        let axis = value < 0 ? value + rank : value
        guard axis >= 0 && axis < rank else { throw Unsupported("axis \(value) of a tensor with \(rank) axes") }
        return axis
    }
}
