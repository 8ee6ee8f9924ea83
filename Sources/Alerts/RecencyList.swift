// SPDX-License-Identifier: Apache-2.0

/// Small numbers in the order they were appended, linked through arrays: each operation takes constant time.
struct RecencyList: Sendable {
    private var next: [Int] = []
    private var previous: [Int] = []
    /// Least recently appended.
    private(set) var first: Int?
    private var last: Int?

    private static let none = -1
    private static let absent = -2

    /// `member` must not be in the list.
    mutating func append(_ member: Int) {
        while next.count <= member {
            next.append(RecencyList.absent)
            previous.append(RecencyList.none)
        }
        assert(next[member] == RecencyList.absent)
        next[member] = RecencyList.none
        previous[member] = last ?? RecencyList.none
        if let last { next[last] = member } else { first = member }
        last = member
    }

    /// `member` must be in the list.
    mutating func remove(_ member: Int) {
        let (before, after) = (previous[member], next[member])
        assert(after != RecencyList.absent)
        if before >= 0 { next[before] = after } else { first = after >= 0 ? after : nil }
        if after >= 0 { previous[after] = before } else { last = before >= 0 ? before : nil }
        next[member] = RecencyList.absent
    }
}
