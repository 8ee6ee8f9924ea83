// SPDX-License-Identifier: Apache-2.0

/// Type of a tensor's elements. Raw values are those of `TensorProto.DataType` in the ONNX specification.
package enum ElementType: UInt8, Sendable, Codable, CaseIterable {
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case bool = 9
    case float16 = 10
    case float64 = 11

    package var sizeBytes: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16, .float16: 2
        case .float32, .int32: 4
        case .int64, .float64: 8
        }
    }
}
