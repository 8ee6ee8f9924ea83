// SPDX-License-Identifier: Apache-2.0
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Foundation
#endif

/// Arithmetic as the scalar reference needs it. Integers wrap around; dividing them by zero gives the dividend, because a
/// file must not be able to stop the program.
protocol Number: TensorElement, Comparable {
    static var zero: Self { get }
    static var one: Self { get }
    static var lowest: Self { get }
    static var highest: Self { get }
    static func sum(_ a: Self, _ b: Self) -> Self
    static func difference(_ a: Self, _ b: Self) -> Self
    static func product(_ a: Self, _ b: Self) -> Self
    static func quotient(_ a: Self, _ b: Self) -> Self
    /// Remainder with the sign of the divisor.
    static func modulo(_ a: Self, _ b: Self) -> Self
    /// Remainder with the sign of the dividend.
    static func remainder(_ a: Self, _ b: Self) -> Self
    static func power(_ base: Self, _ exponent: Double) -> Self
    var isNotANumber: Bool { get }
    var asDouble: Double { get }
    /// For integers: truncated toward zero, saturated, NaN becomes zero.
    init(truncating value: Double)
}

extension Number where Self: FixedWidthInteger {
    static var one: Self { 1 }
    static var lowest: Self { min }
    static var highest: Self { max }
    static func sum(_ a: Self, _ b: Self) -> Self { a &+ b }
    static func difference(_ a: Self, _ b: Self) -> Self { a &- b }
    static func product(_ a: Self, _ b: Self) -> Self { a &* b }
    static func quotient(_ a: Self, _ b: Self) -> Self { a.dividedReportingOverflow(by: b).partialValue }
    static func remainder(_ a: Self, _ b: Self) -> Self { a.remainderReportingOverflow(dividingBy: b).partialValue }
    static func modulo(_ a: Self, _ b: Self) -> Self {
        let rest = remainder(a, b)
        return rest != 0 && (rest < 0) != (b < 0) ? rest &+ b : rest
    }
    static func power(_ base: Self, _ exponent: Double) -> Self {
        // Exact where squaring gives it, so that large int64 values do not go through a double.
        guard exponent >= 0, exponent <= 64, exponent.rounded() == exponent else {
            return Self(truncating: pow(Double(base), exponent))
        }
        return (0..<Int(exponent)).reduce(1) { result, _ in result &* base }
    }
    var isNotANumber: Bool { false }
    var asDouble: Double { Double(self) }
    init(truncating value: Double) {
        if value.isNaN {
            self = 0
        } else if value <= Double(Self.min) {
            self = .min
        } else if value >= Double(Self.max) {
            self = .max
        } else {
            self = Self(value)
        }
    }
}

extension UInt8: Number {}
extension Int8: Number {}
extension UInt16: Number {}
extension Int16: Number {}
extension Int32: Number {}
extension Int64: Number {}

extension Number where Self: BinaryFloatingPoint {
    static var one: Self { 1 }
    static var lowest: Self { -infinity }
    static var highest: Self { infinity }
    static func sum(_ a: Self, _ b: Self) -> Self { a + b }
    static func difference(_ a: Self, _ b: Self) -> Self { a - b }
    static func product(_ a: Self, _ b: Self) -> Self { a * b }
    static func quotient(_ a: Self, _ b: Self) -> Self { a / b }
    static func remainder(_ a: Self, _ b: Self) -> Self { a.truncatingRemainder(dividingBy: b) }
    static func modulo(_ a: Self, _ b: Self) -> Self {
        let rest = a.truncatingRemainder(dividingBy: b)
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
    }
    var isNotANumber: Bool { isNaN }
    var asDouble: Double { Double(self) }
    init(truncating value: Double) { self.init(value) }
}

extension Float: Number {
    static func power(_ base: Float, _ exponent: Double) -> Float { powf(base, Float(exponent)) }
}
extension Double: Number {
    static func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
}

/// Work that is the same for every number type, as a method because closures cannot be generic.
protocol NumberWork {
    associatedtype Result
    func run<Element: Number>(_ type: Element.Type) -> Result
}

extension ElementType {
    /// Runs the work for the Swift type that stands for this one. Bool counts as uint8, whose zero and one it stores.
    func dispatch<Work: NumberWork>(_ work: Work) -> Work.Result {
        switch self {
        case .float32: work.run(Float.self)
        case .float64: work.run(Double.self)
        case .uint8, .bool: work.run(UInt8.self)
        case .int8: work.run(Int8.self)
        case .uint16, .float16: work.run(UInt16.self)
        case .int16: work.run(Int16.self)
        case .int32: work.run(Int32.self)
        case .int64: work.run(Int64.self)
        }
    }
}

extension Tensor {
    /// The elements as the type that `ElementType.dispatch` chose.
    func base<Element: Number>(_: Element.Type) -> UnsafeMutablePointer<Element> {
        assert(MemoryLayout<Element>.size == type.sizeBytes)
        // A buffer is never without memory: 64 bytes are added to each.
        guard let address = buffer.bytes.baseAddress else { preconditionFailure("a tensor without memory") }
        return address.assumingMemoryBound(to: Element.self)
    }

    var floats: UnsafeMutablePointer<Float> {
        assert(type == .float32)
        return base(Float.self)
    }

    /// Values of a small integer tensor, such as indices or bounds. Nil for other types.
    package var integers: [Int]? {
        switch type {
        case .int64: array(of: Int64.self).map(Int.init)
        case .int32: array(of: Int32.self).map(Int.init)
        case .int16: array(of: Int16.self).map(Int.init)
        case .int8: array(of: Int8.self).map(Int.init)
        case .uint8: array(of: UInt8.self).map(Int.init)
        case .uint16: array(of: UInt16.self).map(Int.init)
        case .bool, .float16, .float32, .float64: nil
        }
    }
}

/// Distance in elements between neighbours along each axis of a dense tensor.
func denseStrides(_ dimensions: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: dimensions.count)
    for axis in stride(from: dimensions.count - 2, through: 0, by: -1) {
        strides[axis] = strides[axis + 1] * dimensions[axis + 1]
    }
    return strides
}

/// Strides that read `shape` as if it were broadcast to `dimensions`: zero along axes that repeat.
func broadcastStrides(_ shape: Shape, to dimensions: [Int]) -> [Int] {
    let lead = dimensions.count - shape.rank
    let strides = denseStrides(shape.dimensions)
    return dimensions.indices.map { $0 < lead || shape[$0 - lead] == 1 ? 0 : strides[$0 - lead] }
}

/// Visits the rows (runs along the last axis) of a region in up to three tensors with strides of their own.
/// `body` gets the offset of each row's first element in each.
func forEachRow(
    _ dimensions: [Int], _ first: [Int], _ second: [Int], _ third: [Int], _ body: (Int, Int, Int) -> Void
) {
    guard !dimensions.contains(0) else { return }
    let outer = max(dimensions.count - 1, 0)
    var index = [Int](repeating: 0, count: outer)
    var (a, b, c) = (0, 0, 0)
    while true {
        body(a, b, c)
        var axis = outer - 1
        while axis >= 0 {
            index[axis] += 1
            a += first[axis]
            b += second[axis]
            c += third[axis]
            if index[axis] < dimensions[axis] { break }
            a -= first[axis] * dimensions[axis]
            b -= second[axis] * dimensions[axis]
            c -= third[axis] * dimensions[axis]
            index[axis] = 0
            axis -= 1
        }
        if axis < 0 { return }
    }
}
