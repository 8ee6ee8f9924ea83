// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Graph {
    /// Checks everything that those who run a graph rely on: indices point at values, every value is computed once and
    /// before it is read, shapes and types follow from the operators, constants are what their values say, quantization
    /// parameters are in range. A graph from a file goes through here before anything else looks at it.
    package func validate() throws {
        for value in values { try validate(value) }
        var known = Set<ValueID>()
        for (id, tensor) in constants {
            try require(contains(id), "a constant has no value")
            try require(
                tensor.type == self[id].type && tensor.shape == self[id].shape,
                "constant \(self[id].name) is \(tensor.type) \(tensor.shape), its value \(self[id].type) \(self[id].shape)"
            )
            known.insert(id)
        }
        for id in inputs {
            try require(contains(id), "an input has no value")
            try require(known.insert(id).inserted, "input \(self[id].name) is there twice")
        }
        for node in nodes { try validate(node, &known) }
        for id in outputs {
            try require(contains(id) && known.contains(id), "an output is never computed")
        }
        for (kind, ids) in [("input", inputs), ("output", outputs)] {
            try require(Set(ids.map { self[$0].name }).count == ids.count, "two \(kind)s have one name")
        }
    }

    private func contains(_ id: ValueID) -> Bool { values.indices.contains(id.index) }

    private func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws {
        guard condition else { throw GraphError.inconsistent(reason()) }
    }

    private func validate(_ value: Value) throws {
        try TensorType(value.type, value.shape).checked()
        try require(value.type != .float16, "value \(value.name) is float16, which is converted at import")
        guard let quantization = value.quantization else { return }
        let range = value.type.quantizedRange
        try require(!range.isEmpty, "value \(value.name) of type \(value.type) cannot be quantized")
        // Decoded parameters have not been through the initializer's checks.
        try require(
            !quantization.scales.isEmpty && quantization.scales.count == quantization.zeroPoints.count,
            "value \(value.name) has as many scales as zero points")
        try require(
            quantization.scales.allSatisfy { $0 > 0 && $0.isFinite }
                && quantization.zeroPoints.allSatisfy { range.contains($0) },
            "a scale or zero point of \(value.name) is out of range")
        if let axis = quantization.axis {
            try require(
                axis >= 0 && axis < value.shape.rank && value.shape[axis] == quantization.scales.count,
                "the scales of \(value.name) do not fit its shape")
        } else {
            try require(quantization.scales.count == 1, "value \(value.name) needs an axis for its scales")
        }
    }

    private func validate(_ node: Node, _ known: inout Set<ValueID>) throws {
        for case let input? in node.inputs {
            try require(
                contains(input) && known.contains(input),
                "node \(node.name) reads a value that is not computed before it")
        }
        let types = try node.operation.outputTypes(node.inputs.map { $0.map { self[$0].meant } })
        try require(
            !node.outputs.isEmpty && node.outputs.count <= types.count,
            "node \(node.name) has \(node.outputs.count) outputs, its operator \(types.count)")
        for (output, type) in zip(node.outputs, types) {
            guard let output else { continue }
            try require(contains(output), "node \(node.name) has an output without a value")
            try require(known.insert(output).inserted, "value \(self[output].name) is computed twice")
            let value = self[output]
            try require(
                value.shape == type.shape, "node \(node.name) gives \(type.shape), its value is \(value.shape)")
            if case .reinterpret = node.operation {
                let source = node.inputs[0].map { self[$0].type }
                try require(source == value.type, "node \(node.name) changes the stored type")
            } else {
                try require(
                    value.meant.type == type.type, "node \(node.name) gives \(type.type), its value is \(value.type)")
            }
            if case .quantizeLinear = node.operation {
                try require(value.quantization != nil, "node \(node.name) quantizes to a value without parameters")
            }
            if case .dequantizeLinear = node.operation {
                try require(value.quantization == nil, "node \(node.name) dequantizes to a quantized value")
            }
        }
    }
}

extension ElementType {
    /// What can be stored in a quantized value of this type; empty if there is none.
    package var quantizedRange: Range<Int32> {
        switch self {
        case .uint8: 0..<256
        case .int8: -128..<128
        case .uint16: 0..<65536
        case .int16: -32768..<32768
        case .int32: Int32.min..<Int32.max
        case .int64, .bool, .float16, .float32, .float64: 0..<0
        }
    }
}
