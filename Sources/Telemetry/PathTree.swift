// SPDX-License-Identifier: Apache-2.0

/// The places of a JSON text that are wanted, as a tree for one pass over the text, and what stands there in the row that is
/// being read. A place that is wanted has a slot; equal pointers share one.
///
/// A tree that `grows` takes in each number and boolean that it meets: whoever reads sees to it that every slot gets a
/// series. It remembers the ways to them and nothing else, at most `slotLimit`, about 200 bytes each.
struct PathTree: Sendable {
    static let root = 0
    static let unwanted = -1
    /// Of a list in a payload no more elements are found by themselves: longer ones are curves, not series.
    static let elementLimit = 64
    /// Longer names of members are not remembered; nor is more than this on the average of all series, so that nobody fills
    /// the memory with long ways.
    private static let nameLimit = 256
    private static let nodesPerSlot = 4
    private static let nameBytesPerSlot = 64

    private struct Node {
        var parent: Int32
        /// Nodes right below.
        var children: Int32 = 0
        var slot: Int32 = -1
        /// When the node was last entered, and in which row.
        var entered = 0
        var row = -1
    }

    private struct State {
        var node: Int32
        /// The row for which `slot` holds, and when its node was entered.
        var row = -1
        var entered = 0
        var slot = JSONSlot()
    }

    let grows: Bool
    private let slotLimit: Int
    /// The way from a node's parent: scope is the parent, entry `node - 1`.
    private var table = ByteTable()
    private var nodes = [Node(parent: -1)]
    private var states: [State] = []
    /// Slots that were filled in the current row.
    private(set) var touched: [Int32] = []
    private var row = 0
    /// Counts values.
    private var clock = 0
    /// Whether a name came twice in the row.
    private var hasRepeats = false
    private var unescaped: [UInt8] = []
    /// How many places were met in the row that would have become series if there were room.
    private(set) var overflowCount = 0

    var slotCount: Int { states.count }
    var nodeCount: Int { nodes.count }

    init(grows: Bool, slotLimit: Int) {
        self.grows = grows
        self.slotLimit = slotLimit
    }

    /// The slot of what `pointer` leads to, given to it now if need be.
    mutating func want(_ pointer: JSONPointer) -> Int {
        var node = PathTree.root
        for token in pointer.tokens {
            node = token.withUnsafeBufferPointer { table.find($0, scope: node).map { $0 + 1 } ?? add($0, below: node) }
        }
        if nodes[node].slot < 0 { giveSlot(to: node) }
        return Int(nodes[node].slot)
    }

    /// The way to a slot, from the outermost level to the innermost.
    func levels(ofSlot slot: Int) -> [ArraySlice<UInt8>] {
        var levels: [ArraySlice<UInt8>] = []
        var node = Int(states[slot].node)
        while node != PathTree.root {
            levels.append(table.text(of: node - 1))
            node = Int(nodes[node].parent)
        }
        return levels.reversed()
    }

    /// What stands at the place of `slot` in the current row. What a name led to that came again later is forgotten.
    func content(ofSlot slot: Int) -> JSONSlot {
        let state = states[slot]
        guard state.row == row else { return JSONSlot() }
        if hasRepeats {
            var ancestor = Int(nodes[Int(state.node)].parent)
            while ancestor >= 0 {
                if nodes[ancestor].entered > state.entered { return JSONSlot() }
                ancestor = Int(nodes[ancestor].parent)
            }
        }
        return state.slot
    }

    // MARK: While a text is read

    mutating func beginRow() {
        row += 1
        touched.removeAll(keepingCapacity: true)
        overflowCount = 0
        hasRepeats = false
    }

    func hasSlot(_ node: Int) -> Bool { nodes[node].slot >= 0 }

    /// A value begins at `node`.
    @inline(__always)
    mutating func enter(_ node: Int) {
        if nodes[node].row == row { hasRepeats = true }
        clock += 1
        nodes[node].row = row
        nodes[node].entered = clock
    }

    /// A value at `node` is over.
    mutating func leave(_ node: Int, with content: JSONSlot) {
        if nodes[node].slot < 0 {
            guard grows else { return }
            guard content.kind == .number || content.kind == .boolean else { return prune(node) }
            guard states.count < slotLimit else {
                overflowCount += 1
                return prune(node)
            }
            giveSlot(to: node)
        }
        let slot = Int(nodes[node].slot)
        if states[slot].row != row { touched.append(Int32(slot)) }
        states[slot].slot = content
        states[slot].row = row
        states[slot].entered = nodes[node].entered
    }

    @inline(__always)
    mutating func child(of node: Int, named name: UnsafeBufferPointer<UInt8>, hasEscapes: Bool) -> Int {
        if !grows, nodes[node].children == 0 { return PathTree.unwanted }
        if hasEscapes { return escapedChild(of: node, name) }
        if let entry = table.find(name, scope: node) { return entry + 1 }
        return grows ? add(name, below: node) : PathTree.unwanted
    }

    mutating func child(of node: Int, at index: Int) -> Int {
        if !grows, nodes[node].children == 0 { return PathTree.unwanted }
        if grows, index >= PathTree.elementLimit {
            overflowCount += 1
            return PathTree.unwanted
        }
        // No leading zeros (RFC 6901 section 4); 19 digits at most.
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            var rest = index
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            return child(of: node, named: UnsafeBufferPointer(rebasing: digits[start...]), hasEscapes: false)
        }
    }

    private mutating func escapedChild(of node: Int, _ name: UnsafeBufferPointer<UInt8>) -> Int {
        guard let bytes = name.baseAddress else { return PathTree.unwanted }
        unescaped.removeAll(keepingCapacity: true)
        var position = 0
        while position < name.count {
            if name[position] == UInt8(ascii: "\\") {
                guard let scalar = JSONEscape.read(bytes, at: &position, end: name.count) else {
                    return PathTree.unwanted
                }
                unescaped.append(contentsOf: Array(String(scalar).utf8))
            } else {
                unescaped.append(name[position])
                position += 1
            }
        }
        let name = unescaped
        return name.withUnsafeBufferPointer { child(of: node, named: $0, hasEscapes: false) }
    }

    // MARK: Growing

    private mutating func giveSlot(to node: Int) {
        nodes[node].slot = Int32(states.count)
        states.append(State(node: Int32(node)))
    }

    private mutating func add(_ name: UnsafeBufferPointer<UInt8>, below parent: Int) -> Int {
        if grows {
            guard name.count <= PathTree.nameLimit, nodes.count < PathTree.nodesPerSlot * slotLimit,
                table.byteCount < PathTree.nameBytesPerSlot * slotLimit
            else {
                overflowCount += 1
                return PathTree.unwanted
            }
        }
        _ = table.add(name, scope: parent)
        nodes[parent].children += 1
        nodes.append(Node(parent: Int32(parent)))
        return nodes.count - 1
    }

    /// Forgets a node that led to no series. Those below it are gone already, so it is the last one.
    private mutating func prune(_ node: Int) {
        guard node == nodes.count - 1, node != PathTree.root, nodes[node].children == 0 else { return }
        nodes[Int(nodes[node].parent)].children -= 1
        nodes.removeLast()
        table.removeLast()
    }
}
