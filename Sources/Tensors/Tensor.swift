// SPDX-License-Identifier: Apache-2.0

/// A dense tensor in row-major order. Copies share their memory; a writer makes the tensor itself.
package struct Tensor: Sendable {
    package let type: ElementType
    package let shape: Shape
    package let buffer: Buffer

    /// A tensor of zeros.
    package init(_ type: ElementType, _ shape: Shape) {
        self.init(type, shape, Buffer(byteCount: shape.count * type.sizeBytes))
    }

    /// A view of `buffer`, which holds at least `shape.count` elements.
    package init(_ type: ElementType, _ shape: Shape, _ buffer: Buffer) {
        precondition(buffer.bytes.count >= shape.count * type.sizeBytes, "the buffer is too small for the shape")
        self.type = type
        self.shape = shape
        self.buffer = buffer
    }

    package init<Element: TensorElement>(_ shape: Shape, _ elements: [Element]) {
        precondition(elements.count == shape.count, "as many elements as the shape says")
        self.init(Element.elementType, shape)
        elements.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
    }

    package var count: Int { shape.count }

    /// The elements for reading. `Element` must be the tensor's type.
    package func elements<Element: TensorElement>(as _: Element.Type) -> UnsafeBufferPointer<Element> {
        precondition(Element.elementType == type, "the tensor holds \(type)")
        let base = buffer.bytes.baseAddress?.assumingMemoryBound(to: Element.self)
        return UnsafeBufferPointer(start: UnsafePointer(base), count: shape.count)
    }

    /// The elements for writing, by whoever made the tensor and before it is shared.
    package func mutableElements<Element: TensorElement>(as _: Element.Type) -> UnsafeMutableBufferPointer<Element> {
        precondition(Element.elementType == type, "the tensor holds \(type)")
        return UnsafeMutableBufferPointer(
            start: buffer.bytes.baseAddress?.assumingMemoryBound(to: Element.self), count: shape.count)
    }

    package func array<Element: TensorElement>(of _: Element.Type) -> [Element] { Array(elements(as: Element.self)) }

    /// The same elements under another shape of equal count.
    package func reshaped(to shape: Shape) -> Tensor {
        precondition(shape.count == self.shape.count)
        return Tensor(type, shape, buffer)
    }
}

/// The Swift types that stand for an `ElementType`.
package protocol TensorElement: BitwiseCopyable { static var elementType: ElementType { get } }

extension Float: TensorElement { package static var elementType: ElementType { .float32 } }
extension Double: TensorElement { package static var elementType: ElementType { .float64 } }
extension UInt8: TensorElement { package static var elementType: ElementType { .uint8 } }
extension Int8: TensorElement { package static var elementType: ElementType { .int8 } }
extension UInt16: TensorElement { package static var elementType: ElementType { .uint16 } }
extension Int16: TensorElement { package static var elementType: ElementType { .int16 } }
extension Int32: TensorElement { package static var elementType: ElementType { .int32 } }
extension Int64: TensorElement { package static var elementType: ElementType { .int64 } }
extension Bool: TensorElement { package static var elementType: ElementType { .bool } }
