// SPDX-License-Identifier: Apache-2.0

/// The places of a JSON text that are wanted, as a tree for one pass over the text. Equal pointers share a slot.
struct WantedPaths: Sendable {
    struct Node: Sendable {
        /// Where the children stand in `nodes`.
        var children: Range<Int>
        /// The member name that leads here from the parent, in `names`.
        var name: Range<Int>
        /// The array index that leads here, or -1 if the name is none (RFC 6901 section 4: no leading zeros).
        var arrayIndex: Int
        /// Where the value goes that stands here, or -1.
        var slot: Int
        /// The slots of this node and all below.
        var slots: Range<Int>
    }

    /// Breadth first; the root is the first.
    private(set) var nodes: [Node] = []
    private(set) var names: [UInt8] = []
    private(set) var slotCount = 0
    /// The slot of each pointer, in the order given.
    private(set) var slotOfPointer: [Int]

    init(_ pointers: [JSONPointer]) {
        slotOfPointer = Array(repeating: -1, count: pointers.count)
        // A level of the tree at a time: the pointers that share a prefix stand together in a group.
        let sorted = pointers.indices.sorted { a, b in
            pointers[a].tokens.lexicographicallyPrecedes(pointers[b].tokens) { $0.lexicographicallyPrecedes($1) }
        }
        for (position, index) in sorted.enumerated() {
            if position == 0 || pointers[index].tokens != pointers[sorted[position - 1]].tokens { slotCount += 1 }
            slotOfPointer[index] = slotCount - 1
        }
        var groups = [sorted[...]]
        var depth = 0
        nodes.append(node(of: sorted[...], token: []))
        var first = 0
        while !groups.isEmpty {
            var next: [ArraySlice<Int>] = []
            for (offset, group) in groups.enumerated() {
                let begin = nodes.count
                var rest = group.drop { pointers[$0].tokens.count == depth }
                if rest.count < group.count { nodes[first + offset].slot = slotOfPointer[group[group.startIndex]] }
                while let token = rest.first.map({ pointers[$0].tokens[depth] }) {
                    let members = rest.prefix { pointers[$0].tokens[depth] == token }
                    nodes.append(node(of: members, token: token))
                    next.append(members)
                    rest = rest.dropFirst(members.count)
                }
                nodes[first + offset].children = begin..<nodes.count
            }
            first += groups.count
            groups = next
            depth += 1
        }
    }

    private mutating func node(of members: ArraySlice<Int>, token: [UInt8]) -> Node {
        let begin = names.count
        names += token
        let slots = members.isEmpty ? 0..<0 : slotOfPointer[members.first!]..<slotOfPointer[members.last!] + 1
        return Node(
            children: 0..<0, name: begin..<names.count, arrayIndex: WantedPaths.arrayIndex(token), slot: -1,
            slots: slots)
    }

    private static func arrayIndex(_ token: [UInt8]) -> Int {
        guard token.count == 1 || token.first != UInt8(ascii: "0") else { return -1 }
        guard token.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return -1 }
        return Int(String(decoding: token, as: UTF8.self)) ?? -1
    }
}
