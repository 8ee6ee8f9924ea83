// SPDX-License-Identifier: Apache-2.0

/// What stands at a wanted place of a JSON text.
struct JSONSlot: Sendable {
    enum Kind: UInt8, Sendable { case missing, number, boolean, string, null, object, array }

    var kind = Kind.missing
    /// True for strings that are written with escapes.
    var hasEscapes = false
    /// Of a number, possibly infinite; 0 or 1 for a boolean.
    var value = 0.0
    /// The bytes of a number, or of a string without its quotes.
    var start = 0
    var end = 0
}

/// One pass over a JSON text: validates all of it (RFC 8259, UTF-8 by RFC 3629, paired surrogates) and keeps what
/// stands at the wanted places. Allocates nothing. Works on bytes from anywhere: any input ends in a result or a fault,
/// in time linear in the input (times the number of wanted names in one object).
struct JSONScanner {
    /// Objects and arrays within one another. Bounds the stack that the recursion takes.
    static let maximumDepth = 64

    private let bytes: UnsafePointer<UInt8>
    private let end: Int
    private var position = 0
    private let nodes: UnsafePointer<WantedPaths.Node>
    private let names: UnsafeBufferPointer<UInt8>
    private let slots: UnsafeMutableBufferPointer<JSONSlot>

    /// Fills `slots` (as many as `paths.slotCount`) from `text`. After a fault their content is undefined.
    static func scan(
        _ text: UnsafeRawBufferPointer, for paths: WantedPaths, into slots: UnsafeMutableBufferPointer<JSONSlot>
    ) throws(TelemetryFault) {
        precondition(slots.count == paths.slotCount)
        guard let base = text.baseAddress else { throw .invalidJSON }
        let fault = paths.nodes.withUnsafeBufferPointer { nodes in
            paths.names.withUnsafeBufferPointer { names -> TelemetryFault? in
                var scanner = JSONScanner(
                    bytes: base.assumingMemoryBound(to: UInt8.self), end: text.count, nodes: nodes.baseAddress!,
                    names: names, slots: slots)
                do throws(TelemetryFault) { try scanner.document() } catch { return error }
                return nil
            }
        }
        if let fault { throw fault }
    }

    private init(
        bytes: UnsafePointer<UInt8>, end: Int, nodes: UnsafePointer<WantedPaths.Node>,
        names: UnsafeBufferPointer<UInt8>, slots: UnsafeMutableBufferPointer<JSONSlot>
    ) {
        self.bytes = bytes
        self.end = end
        self.nodes = nodes
        self.names = names
        self.slots = slots
    }

    // MARK: Grammar

    private static let unwanted = -1

    private mutating func document() throws(TelemetryFault) {
        for index in slots.indices { slots[index] = JSONSlot() }
        if end >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { position = 3 }
        try value(node: 0, depth: 0)
        skipWhiteSpace()
        if position != end { throw .invalidJSON }
    }

    private mutating func value(node: Int, depth: Int) throws(TelemetryFault) {
        skipWhiteSpace()
        guard position < end else { throw .invalidJSON }
        // A name may come twice; what the first one led to is forgotten.
        if node >= 0 { for index in nodes[node].slots { slots[index].kind = .missing } }
        var slot = JSONSlot()
        switch bytes[position] {
        case UInt8(ascii: "{"):
            slot.kind = .object
            try object(node: node, depth: depth)
        case UInt8(ascii: "["):
            slot.kind = .array
            try array(node: node, depth: depth)
        case UInt8(ascii: "\""):
            let string = try string()
            slot = JSONSlot(kind: .string, hasEscapes: string.hasEscapes, start: string.start, end: string.end)
        case UInt8(ascii: "t"):
            try literal("true")
            slot = JSONSlot(kind: .boolean, value: 1)
        case UInt8(ascii: "f"):
            try literal("false")
            slot = JSONSlot(kind: .boolean, value: 0)
        case UInt8(ascii: "n"):
            try literal("null")
            slot.kind = .null
        default:
            let start = position
            let wanted = node >= 0 && nodes[node].slot >= 0
            guard
                let value = DecimalNumber.read(bytes, at: &position, end: end, syntax: .json, convert: wanted)
            else { throw .invalidJSON }
            slot = JSONSlot(kind: .number, value: value, start: start, end: position)
        }
        if node >= 0, nodes[node].slot >= 0 { slots[nodes[node].slot] = slot }
    }

    private mutating func object(node: Int, depth: Int) throws(TelemetryFault) {
        guard depth < JSONScanner.maximumDepth else { throw .tooDeep }
        position += 1
        skipWhiteSpace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            skipWhiteSpace()
            guard position < end, bytes[position] == UInt8(ascii: "\"") else { throw .invalidJSON }
            let name = try string()
            skipWhiteSpace()
            guard take(UInt8(ascii: ":")) else { throw .invalidJSON }
            try value(node: child(of: node, named: name), depth: depth + 1)
            skipWhiteSpace()
            if take(UInt8(ascii: "}")) { return }
            guard take(UInt8(ascii: ",")) else { throw .invalidJSON }
        }
    }

    private mutating func array(node: Int, depth: Int) throws(TelemetryFault) {
        guard depth < JSONScanner.maximumDepth else { throw .tooDeep }
        position += 1
        skipWhiteSpace()
        if take(UInt8(ascii: "]")) { return }
        var index = 0
        while true {
            try value(node: child(of: node, at: index), depth: depth + 1)
            index += 1
            skipWhiteSpace()
            if take(UInt8(ascii: "]")) { return }
            guard take(UInt8(ascii: ",")) else { throw .invalidJSON }
        }
    }

    private mutating func literal(_ text: StaticString) throws(TelemetryFault) {
        guard end - position >= text.utf8CodeUnitCount else { throw .invalidJSON }
        for index in 0..<text.utf8CodeUnitCount where bytes[position + index] != text.utf8Start[index] {
            throw .invalidJSON
        }
        position += text.utf8CodeUnitCount
    }

    /// A string from its opening to behind its closing quote.
    private mutating func string() throws(TelemetryFault) -> (start: Int, end: Int, hasEscapes: Bool) {
        position += 1
        let start = position
        var hasEscapes = false
        while true {
            skipPlainCharacters()
            guard position < end else { throw .invalidJSON }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return (start, position - 1, hasEscapes)
            } else if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                guard JSONEscape.read(bytes, at: &position, end: end) != nil else { throw .invalidJSON }
            } else if byte < 0x20 {
                throw .invalidJSON
            } else {
                try multibyteCharacter()
            }
        }
    }

    /// A character of two to four bytes: the table of RFC 3629 section 4, without overlong forms and surrogates.
    private mutating func multibyteCharacter() throws(TelemetryFault) {
        let count: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch bytes[position] {
        case 0xC2...0xDF: count = 2
        case 0xE0: (count, second) = (3, 0xA0...0xBF)
        case 0xED: (count, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: count = 3
        case 0xF0: (count, second) = (4, 0x90...0xBF)
        case 0xF4: (count, second) = (4, 0x80...0x8F)
        case 0xF1...0xF3: count = 4
        default: throw .invalidUTF8
        }
        guard end - position >= count, second.contains(bytes[position + 1]) else { throw .invalidUTF8 }
        for index in 2..<max(count, 2) where bytes[position + index] & 0xC0 != 0x80 { throw .invalidUTF8 }
        position += count
    }

    // MARK: Bytes

    @inline(__always)
    private mutating func skipWhiteSpace() {
        while position < end {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    @inline(__always)
    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < end, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// Skips bytes that are ASCII and neither controls nor quote nor backslash, eight at a time.
    @inline(__always)
    private mutating func skipPlainCharacters() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while end - position >= 8 {
            let word = UnsafeRawPointer(bytes + position).loadUnaligned(as: UInt64.self).littleEndian
            // The high bit of a byte is set where it is special. A borrow can only reach bytes above the first special
            // one (S. Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less than n"), so the lowest bit
            // is right.
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let special = ((word &- ones &* 0x20) | (quote &- ones) | (backslash &- ones) | word) & highs
            guard special == 0 else {
                position += special.trailingZeroBitCount / 8
                return
            }
            position += 8
        }
        while position < end {
            let byte = bytes[position]
            if byte < 0x20 || byte >= 0x80 || byte == 0x22 || byte == 0x5C { return }
            position += 1
        }
    }

    // MARK: Wanted places

    private func child(of node: Int, at index: Int) -> Int {
        guard node >= 0 else { return JSONScanner.unwanted }
        for child in nodes[node].children where nodes[child].arrayIndex == index { return child }
        return JSONScanner.unwanted
    }

    @inline(__always)
    private func child(of node: Int, named name: (start: Int, end: Int, hasEscapes: Bool)) -> Int {
        guard node >= 0 else { return JSONScanner.unwanted }
        for child in nodes[node].children where matches(nodes[child].name, name) { return child }
        return JSONScanner.unwanted
    }

    @inline(__always)
    private func matches(_ wanted: Range<Int>, _ name: (start: Int, end: Int, hasEscapes: Bool)) -> Bool {
        if name.hasEscapes { return matchesEscaped(wanted, name.start, name.end) }
        guard wanted.count == name.end - name.start else { return false }
        for index in 0..<wanted.count where names[wanted.lowerBound + index] != bytes[name.start + index] {
            return false
        }
        return true
    }

    private func matchesEscaped(_ wanted: Range<Int>, _ start: Int, _ end: Int) -> Bool {
        var compared = wanted.lowerBound
        var position = start
        while position < end {
            if bytes[position] == UInt8(ascii: "\\") {
                guard let scalar = JSONEscape.read(bytes, at: &position, end: end) else { return false }
                for byte in UTF8.encode(scalar)! {
                    guard compared < wanted.upperBound, names[compared] == byte else { return false }
                    compared += 1
                }
            } else {
                guard compared < wanted.upperBound, names[compared] == bytes[position] else { return false }
                compared += 1
                position += 1
            }
        }
        return compared == wanted.upperBound
    }
}

/// An escape within a JSON string, RFC 8259 section 7.
enum JSONEscape {
    /// Reads the escape that begins (with its backslash) at `position` and moves behind it; nil if it is none, or half
    /// of a surrogate pair.
    static func read(_ bytes: UnsafePointer<UInt8>, at position: inout Int, end: Int) -> Unicode.Scalar? {
        guard end - position >= 2 else { return nil }
        let kind = bytes[position + 1]
        position += 2
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: return nil
        }
        guard let unit = hexadecimal(bytes, at: &position, end: end) else { return nil }
        guard (0xD800...0xDBFF).contains(unit) else { return Unicode.Scalar(unit) }
        guard end - position >= 2, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
        else { return nil }
        position += 2
        guard let low = hexadecimal(bytes, at: &position, end: end), (0xDC00...0xDFFF).contains(low) else { return nil }
        return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
    }

    private static func hexadecimal(_ bytes: UnsafePointer<UInt8>, at position: inout Int, end: Int) -> UInt32? {
        guard end - position >= 4 else { return nil }
        var value: UInt32 = 0
        for index in 0..<4 {
            let byte = bytes[position + index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        position += 4
        return value
    }
}
