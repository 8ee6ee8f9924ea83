// SPDX-License-Identifier: Apache-2.0

/// Numbers byte strings in the order in which they are added: 0, 1, ... The same bytes in another `scope` are another
/// string. About 24 bytes an entry beside the bytes themselves.
struct ByteTable: Sendable {
    private struct Entry {
        var scope: Int32
        var start: Int32
        var count: Int32
        var hash: UInt32
        /// The next entry of the bucket, or -1.
        var next: Int32
    }

    private var entries: [Entry] = []
    private var bytes: [UInt8] = []
    private var buckets = [Int32](repeating: -1, count: 16)

    /// So that nobody can send names that all fall into one bucket.
    private static let seed = UInt64.random(in: 0...UInt64.max)

    var count: Int { entries.count }
    var byteCount: Int { bytes.count }

    func scope(of entry: Int) -> Int { Int(entries[entry].scope) }

    func text(of entry: Int) -> ArraySlice<UInt8> {
        let start = Int(entries[entry].start)
        return bytes[start..<start + Int(entries[entry].count)]
    }

    @inline(__always)
    func find(_ text: UnsafeBufferPointer<UInt8>, scope: Int) -> Int? { find(text, scope, hash: hash(text, scope)) }

    /// Adds a string that is not there.
    mutating func add(_ text: UnsafeBufferPointer<UInt8>, scope: Int) -> Int {
        let hash = hash(text, scope)
        if entries.count == buckets.count { grow() }
        let bucket = Int(hash) & (buckets.count - 1)
        entries.append(
            Entry(
                scope: Int32(scope), start: Int32(bytes.count), count: Int32(text.count), hash: hash,
                next: buckets[bucket]))
        bytes.append(contentsOf: text)
        buckets[bucket] = Int32(entries.count - 1)
        return entries.count - 1
    }

    mutating func removeLast() {
        guard let last = entries.popLast() else { return }
        // The newest entry is the first of its bucket.
        buckets[Int(last.hash) & (buckets.count - 1)] = last.next
        bytes.removeLast(Int(last.count))
    }

    mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        for index in buckets.indices { buckets[index] = -1 }
    }

    private func find(_ text: UnsafeBufferPointer<UInt8>, _ scope: Int, hash: UInt32) -> Int? {
        var entry = Int(buckets[Int(hash) & (buckets.count - 1)])
        while entry >= 0 {
            let candidate = entries[entry]
            if candidate.hash == hash, Int(candidate.scope) == scope, Int(candidate.count) == text.count,
                isEqual(text, at: Int(candidate.start))
            {
                return entry
            }
            entry = Int(candidate.next)
        }
        return nil
    }

    @inline(__always)
    private func isEqual(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            for index in 0..<text.count where bytes[start + index] != text[index] { return false }
            return true
        }
    }

    /// Eight bytes at a time: multiply, and fold the upper half into the lower (as in wyhash).
    @inline(__always)
    private func hash(_ text: UnsafeBufferPointer<UInt8>, _ scope: Int) -> UInt32 {
        var state = ByteTable.seed ^ UInt64(truncatingIfNeeded: scope &* 0x9E37_79B9)
        func mix(_ word: UInt64) {
            let product = (state ^ word).multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
            state = product.high ^ product.low
        }
        let raw = UnsafeRawBufferPointer(text)
        var index = 0
        while raw.count - index >= 8 {
            mix(raw.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        var rest: UInt64 = 0
        while index < raw.count {
            rest = rest << 8 | UInt64(raw[index])
            index += 1
        }
        mix(rest)
        mix(UInt64(raw.count))
        return UInt32(truncatingIfNeeded: state ^ state >> 32)
    }

    private mutating func grow() {
        buckets = [Int32](repeating: -1, count: buckets.count * 2)
        // In their order, so that the newest is the first of its bucket again.
        for index in entries.indices {
            let bucket = Int(entries[index].hash) & (buckets.count - 1)
            entries[index].next = buckets[bucket]
            buckets[bucket] = Int32(index)
        }
    }
}
