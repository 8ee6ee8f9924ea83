// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Strings of topics seen lately, so that a stream of messages of the same topics makes none. Direct-mapped: a topic
/// replaces the one before it in its slot.
struct TopicCache {
    private var slots: [String]

    /// `slotCount` is a power of two.
    init(slotCount: Int = 1024) {
        precondition(slotCount > 0 && slotCount & (slotCount - 1) == 0)
        slots = Array(repeating: "", count: slotCount)
    }

    /// Bytes that are not UTF-8 are replaced by U+FFFD.
    mutating func string(_ text: UnsafePointer<CChar>) -> String {
        let bytes = UnsafeRawBufferPointer(start: text, count: strlen(text))
        if bytes.count <= 15 { return String(decoding: bytes, as: UTF8.self) }  // kept inside the String, no memory
        // FNV-1a, 64 bits
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let slot = Int(truncatingIfNeeded: hash ^ hash >> 32) & (slots.count - 1)
        let same =
            slots[slot].utf8.withContiguousStorageIfAvailable {
                UnsafeRawBufferPointer($0).elementsEqualBytes(bytes)
            } ?? false
        if !same { slots[slot] = String(decoding: bytes, as: UTF8.self) }
        return slots[slot]
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func elementsEqualBytes(_ other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let baseAddress, let start = other.baseAddress else { return true }
        return memcmp(baseAddress, start, count) == 0
    }
}
