// SPDX-License-Identifier: Apache-2.0

/// A series of one device: the key of its topic and which of the declared series.
package struct SeriesID: Hashable, Sendable {
    package var key: String
    package var series: Int

    package init(key: String, series: Int) {
        self.key = key
        self.series = series
    }
}

/// Gives each series a slot, so that what is known about it can stand in a plain array: `state[slot]`.
///
/// At most `capacity` series have one; a further series takes the slot of the one that was not used for the longest
/// time (counted in `evictedCount`). All memory but the keys' own text is taken at start: 106 bytes per slot.
/// Each look-up is one hash of the key and takes constant time.
package struct SeriesRegistry: Sendable {
    package struct Place: Sendable, Equatable {
        /// In 0..<capacity.
        package var slot: Int
        /// The slot holds nothing yet, or what belonged to an evicted series: its owner starts it anew.
        package var isNew: Bool
    }

    package let capacity: Int
    package private(set) var evictedCount = 0
    private var slots: [SeriesID: Int32]
    private var entries: [Entry] = []
    /// Ends of the list by use.
    private var newest: Int32 = -1
    private var oldest: Int32 = -1

    private struct Entry: Sendable {
        var id: SeriesID
        var newer: Int32 = -1
        var older: Int32 = -1
    }

    package init(capacity: Int) {
        precondition((1...(1 << 30)).contains(capacity))
        self.capacity = capacity
        slots = Dictionary(minimumCapacity: capacity)
        entries.reserveCapacity(capacity)
    }

    package var count: Int { entries.count }

    /// The slot of `id`, which becomes the last used one.
    package mutating func place(of id: SeriesID) -> Place {
        if let slot = slots[id] {
            if slot != newest {
                unlink(slot)
                linkAsNewest(slot)
            }
            return Place(slot: Int(slot), isNew: false)
        }
        let slot: Int32
        if entries.count < capacity {
            slot = Int32(entries.count)
            entries.append(Entry(id: id))
        } else {
            slot = oldest
            unlink(slot)
            slots[entries[Int(slot)].id] = nil
            entries[Int(slot)].id = id
            evictedCount += 1
        }
        slots[id] = slot
        linkAsNewest(slot)
        return Place(slot: Int(slot), isNew: true)
    }

    /// What the slot belongs to now; nil if it was never given away.
    package func id(ofSlot slot: Int) -> SeriesID? { entries.indices.contains(slot) ? entries[slot].id : nil }

    /// The slot that was not used for the longest time; nil if none is.
    package var oldestSlot: Int? { oldest >= 0 ? Int(oldest) : nil }

    /// The slot that was used next after `slot` was.
    package func slotUsed(after slot: Int) -> Int? {
        let newer = entries[slot].newer
        return newer >= 0 ? Int(newer) : nil
    }

    private mutating func unlink(_ slot: Int32) {
        let (newer, older) = (entries[Int(slot)].newer, entries[Int(slot)].older)
        if newer >= 0 { entries[Int(newer)].older = older } else { newest = older }
        if older >= 0 { entries[Int(older)].newer = newer } else { oldest = newer }
    }

    private mutating func linkAsNewest(_ slot: Int32) {
        entries[Int(slot)].older = newest
        entries[Int(slot)].newer = -1
        if newest >= 0 { entries[Int(newest)].newer = slot } else { oldest = slot }
        newest = slot
    }
}
