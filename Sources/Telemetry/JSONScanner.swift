// SPDX-License-Identifier: Apache-2.0

/// What stands at a wanted place of a JSON text.
struct JSONSlot: Sendable {
    enum Kind: UInt8, Sendable { case missing, number, boolean, string, null, notFinite, object, array }

    var kind = Kind.missing
    /// True for strings that are written with escapes.
    var hasEscapes = false
    /// Of a number, possibly infinite; 0 or 1 for a boolean.
    var value = 0.0
    /// The bytes of a number, or of a string without its quotes.
    var start = 0
    var end = 0
}

/// One pass over a JSON text: validates all of it (RFC 8259, UTF-8 by RFC 3629, paired surrogates; the literals `NaN`,
/// `Infinity` and `-Infinity` are taken too) and keeps what stands at the wanted places, row by row. Allocates nothing once
/// its working memory has grown. Works on bytes from anywhere: any input ends in a result or a fault, in time linear in the
/// input.
struct JSONScanner: Sendable {
    /// Objects and arrays within one another. Bounds the stack that the recursion takes.
    static let maximumDepth = 64

    /// Where the rows of a text are.
    enum Rows: Sendable, Equatable {
        /// The whole text is one row.
        case text
        /// The same, but an array of objects is a row an object.
        case automatic
        /// Each element of the array at this place is a row; what stands elsewhere is not read.
        case elements(of: JSONPointer)
    }

    /// Something that stands at a wanted place of a row.
    struct Leaf: Sendable {
        var row: Int
        /// Position of the wanted pointer, or of the slot in a tree that grows.
        var place: Int
        var slot: JSONSlot
    }

    /// What the last text had, row by row: of each wanted pointer its content, in their order; or what a tree that grows
    /// found, in the order of the text. At most `leafLimit`, then `isCut`.
    private(set) var leaves: [Leaf] = []
    private(set) var isCut = false
    /// Numbers that found no room in the tree.
    private(set) var overflowCount = 0
    private(set) var tree: PathTree

    private let slotOfPointer: [Int]
    private let rows: Rows
    private let rowsPath: [[UInt8]]
    /// The outer node at which the rows are; 0 and above: none.
    private let rowsNode: Int
    private let leafLimit: Int
    private let readsStrings: Bool
    private var position = 0
    private var end = 0
    private var rowCount = 0

    /// - Parameters:
    ///   - grows: whether every number and boolean is wanted, beside the pointers.
    ///   - readsStrings: whether a string that reads as a value counts as a number.
    init(
        _ pointers: [JSONPointer], grows: Bool = false, slotLimit: Int = SeriesNames.capacity, rows: Rows = .text,
        readsStrings: Bool = false, leafLimit: Int = 65536
    ) {
        tree = PathTree(grows: grows, slotLimit: slotLimit)
        var slots: [Int] = []
        for pointer in pointers { slots.append(tree.want(pointer)) }
        slotOfPointer = slots
        self.rows = rows
        if case .elements(let pointer) = rows { rowsPath = pointer.tokens } else { rowsPath = [] }
        if case .elements = rows { rowsNode = JSONScanner.outer - rowsPath.count } else { rowsNode = .max }
        self.leafLimit = leafLimit
        self.readsStrings = readsStrings
    }

    /// After a fault `leaves` is empty.
    mutating func scan(_ text: UnsafeRawBufferPointer) throws(TelemetryFault) {
        leaves.removeAll(keepingCapacity: true)
        isCut = false
        overflowCount = 0
        rowCount = 0
        position = 0
        end = text.count
        guard let base = text.baseAddress else { throw .invalidJSON }
        do throws(TelemetryFault) { try document(base.assumingMemoryBound(to: UInt8.self)) } catch {
            leaves.removeAll(keepingCapacity: true)
            throw error
        }
    }

    // MARK: Rows

    /// Nodes below this stand for the first levels of the way to the array of rows: -2 for the text itself, -3 one level
    /// further, and so on.
    private static let outer = -2

    /// A name may come twice: the last one counts.
    private mutating func beginRows() {
        leaves.removeAll(keepingCapacity: true)
        rowCount = 0
        tree.beginRow()
    }

    private mutating func endRow() {
        overflowCount += tree.overflowCount
        func keep(_ place: Int, _ slot: JSONSlot) {
            guard leaves.count < leafLimit else {
                isCut = true
                return
            }
            leaves.append(Leaf(row: rowCount, place: place, slot: slot))
        }
        if tree.grows {
            for slot in tree.touched {
                let content = tree.content(ofSlot: Int(slot))
                if content.kind != .missing { keep(Int(slot), content) }
            }
        } else {
            for (place, slot) in slotOfPointer.enumerated() { keep(place, tree.content(ofSlot: slot)) }
        }
        rowCount += 1
    }

    // MARK: Grammar

    private mutating func document(_ bytes: UnsafePointer<UInt8>) throws(TelemetryFault) {
        if end >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { position = 3 }
        tree.beginRow()
        try value(bytes, node: rowsNode < 0 ? JSONScanner.outer : PathTree.root, depth: 0)
        skipWhiteSpace(bytes)
        if position != end { throw .invalidJSON }
        if rowsNode >= 0, rowCount == 0 { endRow() }
    }

    private mutating func value(
        _ bytes: UnsafePointer<UInt8>, node: Int, depth: Int
    ) throws(TelemetryFault) {
        skipWhiteSpace(bytes)
        guard position < end else { throw .invalidJSON }
        if node == rowsNode, bytes[position] != UInt8(ascii: "[") {
            // One sample where others send a list.
            beginRows()
            try value(bytes, node: PathTree.root, depth: depth)
            return endRow()
        }
        if node >= 0 { tree.enter(node) }
        var slot = JSONSlot()
        switch bytes[position] {
        case UInt8(ascii: "{"):
            slot.kind = .object
            try object(bytes, node: node, depth: depth)
        case UInt8(ascii: "["):
            slot.kind = .array
            try array(bytes, node: node, depth: depth)
        case UInt8(ascii: "\""):
            let string = try string(bytes)
            slot = JSONSlot(kind: .string, hasEscapes: string.hasEscapes, start: string.start, end: string.end)
            if readsStrings, node >= 0, tree.grows || tree.hasSlot(node) { readString(bytes, &slot) }
        case UInt8(ascii: "t"):
            try literal(bytes, "true")
            slot = JSONSlot(kind: .boolean, value: 1)
        case UInt8(ascii: "f"):
            try literal(bytes, "false")
            slot = JSONSlot(kind: .boolean, value: 0)
        case UInt8(ascii: "n"):
            try literal(bytes, "null")
            slot.kind = .null
        case UInt8(ascii: "N"):
            try literal(bytes, "NaN")
            slot.kind = .notFinite
        case UInt8(ascii: "I"):
            try literal(bytes, "Infinity")
            slot.kind = .notFinite
        case UInt8(ascii: "-") where end - position > 1 && bytes[position + 1] == UInt8(ascii: "I"):
            try literal(bytes, "-Infinity")
            slot.kind = .notFinite
        default:
            let start = position
            let wanted = node >= 0 && (tree.grows || tree.hasSlot(node))
            guard
                let value = DecimalNumber.read(bytes, at: &position, end: end, syntax: .json, convert: wanted)
            else { throw .invalidJSON }
            slot = JSONSlot(kind: .number, value: value, start: start, end: position)
        }
        if node >= 0 { tree.leave(node, with: slot) }
    }

    private func readString(_ bytes: UnsafePointer<UInt8>, _ slot: inout JSONSlot) {
        let text = UnsafeRawBufferPointer(start: bytes + slot.start, count: slot.end - slot.start)
        if case .number(let value, _) = TextValue.read(text, other: .wrongType) {
            slot.kind = .number
            slot.value = value
        }
    }

    private mutating func object(
        _ bytes: UnsafePointer<UInt8>, node: Int, depth: Int
    ) throws(TelemetryFault) {
        guard depth < JSONScanner.maximumDepth else { throw .tooDeep }
        position += 1
        skipWhiteSpace(bytes)
        if take(bytes, UInt8(ascii: "}")) { return }
        while true {
            skipWhiteSpace(bytes)
            guard position < end, bytes[position] == UInt8(ascii: "\"") else { throw .invalidJSON }
            let name = try string(bytes)
            skipWhiteSpace(bytes)
            guard take(bytes, UInt8(ascii: ":")) else { throw .invalidJSON }
            try value(bytes, node: child(bytes, of: node, named: name), depth: depth + 1)
            skipWhiteSpace(bytes)
            if take(bytes, UInt8(ascii: "}")) { return }
            guard take(bytes, UInt8(ascii: ",")) else { throw .invalidJSON }
        }
    }

    private mutating func array(
        _ bytes: UnsafePointer<UInt8>, node: Int, depth: Int
    ) throws(TelemetryFault) {
        guard depth < JSONScanner.maximumDepth else { throw .tooDeep }
        position += 1
        skipWhiteSpace(bytes)
        let isAutomatic =
            rows == .automatic && node == PathTree.root && rowCount == 0 && position < end
            && bytes[position] == UInt8(ascii: "{")
        let hasRows = isAutomatic || node == rowsNode
        if hasRows { beginRows() }
        if take(bytes, UInt8(ascii: "]")) { return }
        var index = 0
        while true {
            if hasRows {
                tree.beginRow()
                try value(bytes, node: PathTree.root, depth: depth + 1)
                endRow()
            } else {
                try value(bytes, node: child(of: node, at: index), depth: depth + 1)
            }
            index += 1
            skipWhiteSpace(bytes)
            if take(bytes, UInt8(ascii: "]")) { return }
            guard take(bytes, UInt8(ascii: ",")) else { throw .invalidJSON }
        }
    }

    private mutating func literal(_ bytes: UnsafePointer<UInt8>, _ text: StaticString) throws(TelemetryFault) {
        guard end - position >= text.utf8CodeUnitCount else { throw .invalidJSON }
        for index in 0..<text.utf8CodeUnitCount where bytes[position + index] != text.utf8Start[index] {
            throw .invalidJSON
        }
        position += text.utf8CodeUnitCount
    }

    /// A string from its opening to behind its closing quote.
    private mutating func string(_ bytes: UnsafePointer<UInt8>) throws(TelemetryFault) -> Name {
        position += 1
        let start = position
        var hasEscapes = false
        while true {
            skipPlainCharacters(bytes)
            guard position < end else { throw .invalidJSON }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return Name(start: start, end: position - 1, hasEscapes: hasEscapes)
            } else if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                guard JSONEscape.read(bytes, at: &position, end: end) != nil else { throw .invalidJSON }
            } else if byte < 0x20 {
                throw .invalidJSON
            } else {
                try multibyteCharacter(bytes)
            }
        }
    }

    /// A character of two to four bytes: the table of RFC 3629 section 4, without overlong forms and surrogates.
    private mutating func multibyteCharacter(_ bytes: UnsafePointer<UInt8>) throws(TelemetryFault) {
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
    private mutating func skipWhiteSpace(_ bytes: UnsafePointer<UInt8>) {
        while position < end {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    @inline(__always)
    private mutating func take(_ bytes: UnsafePointer<UInt8>, _ byte: UInt8) -> Bool {
        guard position < end, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// Skips bytes that are ASCII and neither controls nor quote nor backslash, eight at a time.
    @inline(__always)
    private mutating func skipPlainCharacters(_ bytes: UnsafePointer<UInt8>) {
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

    private struct Name {
        var start: Int
        var end: Int
        var hasEscapes: Bool
    }

    private mutating func child(of node: Int, at index: Int) -> Int {
        if node >= 0 { return tree.child(of: node, at: index) }
        guard let token = outerToken(node), token.elementsEqual(String(index).utf8) else { return PathTree.unwanted }
        return node - 1
    }

    @inline(__always)
    private mutating func child(_ bytes: UnsafePointer<UInt8>, of node: Int, named name: Name) -> Int {
        if node == PathTree.unwanted { return node }
        let text = UnsafeBufferPointer(start: bytes + name.start, count: name.end - name.start)
        if node >= 0 { return tree.child(of: node, named: text, hasEscapes: name.hasEscapes) }
        guard let token = outerToken(node), JSONEscape.isEqual(text, to: token) else { return PathTree.unwanted }
        return node - 1
    }

    /// The name that leads on from an outer node on the way to the rows.
    private func outerToken(_ node: Int) -> [UInt8]? {
        let level = JSONScanner.outer - node
        return rowsPath.indices.contains(level) ? rowsPath[level] : nil
    }
}
