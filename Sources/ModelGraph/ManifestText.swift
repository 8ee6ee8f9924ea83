// SPDX-License-Identifier: Apache-2.0

/// JSON text (RFC 8259) taken apart once, so that what reads a manifest looks values up without parsing anything twice.
///
/// `JSONDecoder` takes some hundred times as long for it as reading the rest of a model file.
final class ManifestText {
    enum Kind: UInt8 { case null, `true`, `false`, number, string, list, object }

    /// A value, or the key of a member. What a list or an object holds follows it: elements, or keys and values in turn.
    struct Entry {
        var kind: Kind
        /// Whether a string has escapes.
        var isEscaped = false
        /// Range in the text; of a string without the quotes.
        var start: Int32
        var end: Int32
        /// Index of the entry behind this one and all that it holds.
        var next: Int32
    }

    /// What is deeper or has more values is no manifest.
    private static let maximumDepth = 64
    private static let maximumEntries = 1 << 22

    let bytes: [UInt8]
    let entries: [Entry]

    /// - Throws: `ModelFile.Fault.malformed` if the bytes are no JSON value.
    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        guard bytes.count < Int32.max else { throw Self.fault("is too long") }
        var parser = Parser(count: bytes.count)
        var entries: [Entry] = []
        // Room for a manifest as it mostly is.
        entries.reserveCapacity(bytes.count / 8)
        try bytes.withUnsafeBufferPointer { text throws in
            try parser.value(text, &entries, depth: 0)
            guard parser.skipSpace(text) == nil else { throw parser.fault("more than one value") }
        }
        self.entries = entries
    }

    static func fault(_ reason: String) -> ModelFile.Fault { .malformed("the manifest cannot be read: \(reason)") }

    private struct Parser {
        private let count: Int
        private var position = 0

        init(count: Int) { self.count = count }

        func fault(_ reason: String) -> ModelFile.Fault { ManifestText.fault("\(reason) at byte \(position)") }

        /// The first byte that is no white space; nil at the end.
        mutating func skipSpace(_ text: UnsafeBufferPointer<UInt8>) -> UInt8? {
            while position < count {
                switch text[position] {
                case 0x20, 0x09, 0x0a, 0x0d: position += 1
                default: return text[position]
                }
            }
            return nil
        }

        mutating func value(
            _ text: UnsafeBufferPointer<UInt8>, _ entries: inout [Entry], depth: Int
        ) throws(ModelFile.Fault) {
            guard depth < ManifestText.maximumDepth, entries.count < ManifestText.maximumEntries else {
                throw fault("too much inside of each other")
            }
            guard let first = skipSpace(text) else { throw fault("no value") }
            switch first {
            case UInt8(ascii: "{"): try members(text, &entries, depth)
            case UInt8(ascii: "["): try elements(text, &entries, depth)
            case UInt8(ascii: "\""): try string(text, &entries)
            case UInt8(ascii: "t"): try word("true", .true, text, &entries)
            case UInt8(ascii: "f"): try word("false", .false, text, &entries)
            case UInt8(ascii: "n"): try word("null", .null, text, &entries)
            default: try number(text, &entries)
            }
        }

        private mutating func members(
            _ text: UnsafeBufferPointer<UInt8>, _ entries: inout [Entry], _ depth: Int
        ) throws(ModelFile.Fault) {
            let index = open(.object, &entries)
            var next = skipSpace(text)
            while next != UInt8(ascii: "}") {
                guard next == UInt8(ascii: "\"") else { throw fault("no key") }
                try string(text, &entries)
                guard skipSpace(text) == UInt8(ascii: ":") else { throw fault("no colon") }
                position += 1
                try value(text, &entries, depth: depth + 1)
                next = try separator(text, end: UInt8(ascii: "}"))
            }
            close(index, &entries)
        }

        private mutating func elements(
            _ text: UnsafeBufferPointer<UInt8>, _ entries: inout [Entry], _ depth: Int
        ) throws(ModelFile.Fault) {
            let index = open(.list, &entries)
            var next = skipSpace(text)
            while next != UInt8(ascii: "]") {
                try value(text, &entries, depth: depth + 1)
                next = try separator(text, end: UInt8(ascii: "]"))
            }
            close(index, &entries)
        }

        private mutating func open(_ kind: Kind, _ entries: inout [Entry]) -> Int {
            entries.append(Entry(kind: kind, start: Int32(position), end: 0, next: 0))
            position += 1
            return entries.count - 1
        }

        private mutating func close(_ index: Int, _ entries: inout [Entry]) {
            position += 1
            entries[index].end = Int32(position)
            entries[index].next = Int32(entries.count)
        }

        /// The first byte of the next element, or the end.
        private mutating func separator(
            _ text: UnsafeBufferPointer<UInt8>, end: UInt8
        ) throws(ModelFile.Fault) -> UInt8? {
            guard let byte = skipSpace(text) else { throw fault("no end") }
            if byte == end { return byte }
            guard byte == UInt8(ascii: ",") else { throw fault("no comma") }
            position += 1
            guard let next = skipSpace(text), next != end else { throw fault("nothing behind a comma") }
            return next
        }

        private mutating func string(
            _ text: UnsafeBufferPointer<UInt8>, _ entries: inout [Entry]
        ) throws(ModelFile.Fault) {
            position += 1
            let start = position
            var isEscaped = false
            while position < count, text[position] != UInt8(ascii: "\"") {
                guard text[position] >= 0x20 else { throw fault("a control character") }
                if text[position] == UInt8(ascii: "\\") {
                    isEscaped = true
                    position += 1
                }
                position += 1
            }
            guard position < count else { throw fault("no end of a string") }
            entries.append(
                Entry(
                    kind: .string, isEscaped: isEscaped, start: Int32(start), end: Int32(position),
                    next: Int32(entries.count + 1)))
            position += 1
        }

        private mutating func word(
            _ word: StaticString, _ kind: Kind, _ text: UnsafeBufferPointer<UInt8>, _ entries: inout [Entry]
        ) throws(ModelFile.Fault) {
            let end = position + word.utf8CodeUnitCount
            guard end <= count, (position..<end).allSatisfy({ text[$0] == word.utf8Start[$0 - position] }) else {
                throw fault("no value")
            }
            append(kind, until: end, &entries)
        }

        /// Digits are looked at when the number is read.
        private mutating func number(
            _ text: UnsafeBufferPointer<UInt8>, _ entries: inout [Entry]
        ) throws(ModelFile.Fault) {
            var end = position
            while end < count {
                switch text[end] {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
                    UInt8(ascii: "e"), UInt8(ascii: "E"):
                    end += 1
                    continue
                default: break
                }
                break
            }
            guard end > position else { throw fault("no value") }
            append(.number, until: end, &entries)
        }

        private mutating func append(_ kind: Kind, until end: Int, _ entries: inout [Entry]) {
            entries.append(
                Entry(kind: kind, start: Int32(position), end: Int32(end), next: Int32(entries.count + 1)))
            position = end
        }
    }
}
