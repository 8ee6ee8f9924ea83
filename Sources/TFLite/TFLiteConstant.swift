// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Turns the contents of a buffer into a tensor.
enum TFLiteConstant {
    static func decode(_ contents: Data, _ source: TFLiteType, _ shape: Shape, _ name: String) throws -> Tensor {
        try TensorType(source.type, shape).checked()
        let size =
            switch source {
            case .float16: 2
            case .uint32: 4
            default: source.type.sizeBytes
            }
        guard contents.count == shape.count * size else {
            throw ImportError.malformed(
                "tensor \(name) has \(contents.count) bytes, its shape \(shape) needs \(shape.count * size)")
        }
        let tensor = Tensor(source.type, shape)
        contents.withUnsafeBytes { bytes in
            switch source {
            case .float16:
                let output = tensor.mutableElements(as: Float.self)
                for index in output.indices {
                    let half = bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                    output[index] = Float(half: UInt16(littleEndian: half))
                }
            case .uint32:
                let output = tensor.mutableElements(as: Int64.self)
                for index in output.indices {
                    let value = bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
                    output[index] = Int64(UInt32(littleEndian: value))
                }
            case .bool:
                let output = tensor.mutableElements(as: Bool.self)
                for index in output.indices { output[index] = bytes[index] != 0 }
            default: tensor.buffer.bytes.copyMemory(from: bytes)
            }
        }
        return tensor
    }
}
