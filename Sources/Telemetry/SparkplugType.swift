// SPDX-License-Identifier: Apache-2.0

/// Data types of metrics that are numbers, with their codes (Sparkplug specification 3.0.0, section 6.4.16).
enum SparkplugType: UInt32, Sendable {
    case int8 = 1
    case int16 = 2
    case int32 = 3
    case int64 = 4
    case uint8 = 5
    case uint16 = 6
    case uint32 = 7
    case uint64 = 8
    case float = 9
    case double = 10
    case boolean = 11
    case string = 12
    case text = 14

    var isText: Bool { self == .string || self == .text }

    /// The value of a metric of this type. Integers are in two's complement; libraries differ in whether they extend the
    /// sign of short ones and in which field they put those of 32 bits, so only the bits of the type count.
    func value(of metric: SparkplugMetric, readsStrings: Bool) -> TextValue {
        if metric.isNull { return .refused(.nullValue) }
        switch metric.value {
        case nil: return .refused(.nullValue)
        case .intValue(let bits): return number(ofBits: UInt64(bits))
        case .longValue(let bits): return number(ofBits: bits)
        case .floatValue(let value): return SparkplugType.number(Double(value))
        case .doubleValue(let value): return SparkplugType.number(value)
        case .booleanValue(let value): return .number(value ? 1 : 0, isRounded: false)
        case .stringValue(var text):
            guard readsStrings else { return .refused(.wrongType) }
            return text.withUTF8 { TextValue.read(UnsafeRawBufferPointer($0), other: .wrongType) }
        }
    }

    private func number(ofBits bits: UInt64) -> TextValue {
        func exact(_ value: some BinaryInteger) -> TextValue {
            let number = Double(value)
            return .number(number, isRounded: number.magnitude >= 0x1p53 && value != exactly(number))
        }
        func exactly<Integer: BinaryInteger>(_ number: Double) -> Integer? { Integer(exactly: number) }
        switch self {
        case .int8: return exact(Int8(truncatingIfNeeded: bits))
        case .int16: return exact(Int16(truncatingIfNeeded: bits))
        case .int32: return exact(Int32(truncatingIfNeeded: bits))
        case .int64: return exact(Int64(bitPattern: bits))
        case .uint8: return exact(UInt8(truncatingIfNeeded: bits))
        case .uint16: return exact(UInt16(truncatingIfNeeded: bits))
        case .uint32: return exact(UInt32(truncatingIfNeeded: bits))
        case .uint64: return exact(bits)
        case .boolean: return .number(bits == 0 ? 0 : 1, isRounded: false)
        case .float, .double: return exact(bits)
        case .string, .text: return .refused(.wrongType)
        }
    }

    private static func number(_ value: Double) -> TextValue {
        value.isFinite ? .number(value, isRounded: false) : .refused(.notFinite)
    }
}
