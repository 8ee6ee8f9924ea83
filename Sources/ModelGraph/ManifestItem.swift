// SPDX-License-Identifier: Apache-2.0

/// What a value of a manifest's text can be read as.
protocol ManifestReadable {
    /// - Throws: `ModelFile.Fault.malformed` if the text says something else.
    init(_ item: ManifestItem) throws
}

/// A value in the text of a manifest. Members of objects are looked up by name; those that nobody asks for do not matter.
struct ManifestItem {
    private let text: ManifestText
    private let index: Int

    init(_ text: ManifestText) {
        self.init(text, 0)
    }

    private init(_ text: ManifestText, _ index: Int) {
        self.text = text
        self.index = index
    }

    private var entry: ManifestText.Entry { text.entries[index] }
    var kind: ManifestText.Kind { entry.kind }

    /// The text of the value; of a string without quotes.
    private var slice: ArraySlice<UInt8> { text.bytes[Int(entry.start)..<Int(entry.end)] }

    func fault(_ reason: String) -> ModelFile.Fault {
        ManifestText.fault("\(reason) at byte \(entry.start)")
    }

    // MARK: Objects and lists

    /// A member that must be there.
    subscript<Value: ManifestReadable>(key: StaticString) -> Value {
        get throws {
            guard let item = member(key) else { throw fault("'\(key)' is missing") }
            return try Value(item)
        }
    }

    /// A member that may be missing, or null.
    subscript<Value: ManifestReadable>(optional key: StaticString) -> Value? {
        get throws {
            guard let item = member(key), item.kind != .null else { return nil }
            return try Value(item)
        }
    }

    private func member(_ key: StaticString) -> ManifestItem? {
        guard kind == .object else { return nil }
        let end = Int(entry.next)
        var position = index + 1
        while position < end {
            if isKey(position, key) { return ManifestItem(text, position + 1) }
            position = Int(text.entries[position + 1].next)
        }
        return nil
    }

    private func isKey(_ position: Int, _ key: StaticString) -> Bool {
        let entry = text.entries[position]
        let length = Int(entry.end - entry.start)
        guard length == key.utf8CodeUnitCount, !entry.isEscaped else { return false }
        let start = Int(entry.start)
        return (0..<length).allSatisfy { text.bytes[start + $0] == key.utf8Start[$0] }
    }

    /// Keys and values of an object.
    func members() throws -> [(key: String, value: ManifestItem)] {
        guard kind == .object else { throw fault("no object") }
        var result: [(String, ManifestItem)] = []
        var position = index + 1
        while position < Int(entry.next) {
            result.append((try String(ManifestItem(text, position)), ManifestItem(text, position + 1)))
            position = Int(text.entries[position + 1].next)
        }
        return result
    }

    /// The name and the values of a case of an enumeration: an object with one member.
    func choice() throws -> (name: String, values: ManifestItem) {
        let all = try members()
        guard all.count == 1 else { throw fault("no choice of one") }
        return (all[0].key, all[0].value)
    }

    func elements<Value>(_ body: (ManifestItem) throws -> Value) throws -> [Value] {
        guard kind == .list else { throw fault("no list") }
        var result: [Value] = []
        var position = index + 1
        while position < Int(entry.next) {
            result.append(try body(ManifestItem(text, position)))
            position = Int(text.entries[position].next)
        }
        return result
    }

    // MARK: Single values

    /// A whole number in decimal digits.
    fileprivate func integer<Number: FixedWidthInteger>() throws -> Number {
        guard kind == .number else { throw fault("no number") }
        var digits = slice
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits = digits.dropFirst() }
        var result: Number = 0
        guard !digits.isEmpty else { throw fault("no number") }
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { throw fault("no whole number") }
            let value = Number(digit - UInt8(ascii: "0"))
            let product = result.multipliedReportingOverflow(by: 10)
            let sum =
                isNegative
                ? product.partialValue.subtractingReportingOverflow(value)
                : product.partialValue.addingReportingOverflow(value)
            guard !product.overflow, !sum.overflow else { throw fault("a number that is too large") }
            result = sum.partialValue
        }
        return result
    }

    /// Infinities and what is no number are words.
    fileprivate func real<Number: BinaryFloatingPoint & LosslessStringConvertible>() throws -> Number {
        guard kind == .number || kind == .string else { throw fault("no number") }
        let digits = String(decoding: slice, as: UTF8.self)
        if kind == .string {
            switch digits {
            case "inf": return .infinity
            case "-inf": return -.infinity
            case "nan": return .nan
            default: throw fault("no number")
            }
        }
        guard let result = Number(digits), result.isFinite else { throw fault("no number") }
        return result
    }

    fileprivate func bool() throws -> Bool {
        switch kind {
        case .true: return true
        case .false: return false
        default: throw fault("neither true nor false")
        }
    }

    fileprivate func string() throws -> String {
        guard kind == .string else { throw fault("no string") }
        if !entry.isEscaped { return String(decoding: slice, as: UTF8.self) }
        var units: [UInt16] = []
        var rest = slice
        while let byte = rest.first {
            guard byte == UInt8(ascii: "\\") else {
                let plain = rest.prefix { $0 != UInt8(ascii: "\\") }
                units += String(decoding: plain, as: UTF8.self).utf16
                rest = rest[plain.endIndex...]
                continue
            }
            rest = rest.dropFirst()
            units.append(try escaped(&rest))
        }
        return String(decoding: units, as: UTF16.self)
    }

    /// What follows a backslash, as UTF-16.
    private func escaped(_ rest: inout ArraySlice<UInt8>) throws -> UInt16 {
        guard let letter = rest.popFirst() else { throw fault("half an escape") }
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return UInt16(letter)
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0c
        case UInt8(ascii: "n"): return 0x0a
        case UInt8(ascii: "r"): return 0x0d
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "u"):
            guard rest.count >= 4, let unit = UInt16(String(decoding: rest.prefix(4), as: UTF8.self), radix: 16) else {
                throw fault("half an escape")
            }
            rest = rest.dropFirst(4)
            return unit
        default: throw fault("an unknown escape")
        }
    }
}

extension Int: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.integer() }
}
extension Int32: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.integer() }
}
extension UInt8: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.integer() }
}
extension Float: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.real() }
}
extension Double: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.real() }
}
extension Bool: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.bool() }
}
extension String: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.string() }
}
extension Array: ManifestReadable where Element: ManifestReadable {
    init(_ item: ManifestItem) throws { self = try item.elements { try Element($0) } }
}
extension Optional: ManifestReadable where Wrapped: ManifestReadable {
    init(_ item: ManifestItem) throws { self = item.kind == .null ? nil : try Wrapped(item) }
}
/// Enumerations by the raw value of the case.
extension RawRepresentable where RawValue: ManifestReadable {
    init(_ item: ManifestItem) throws {
        guard let value = Self(rawValue: try RawValue(item)) else { throw item.fault("an unknown word") }
        self = value
    }
}
