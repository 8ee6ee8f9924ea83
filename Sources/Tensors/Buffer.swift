// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Memory aligned to 64 bytes with one owner, or borrowed from an owner that it keeps alive (a mapped file).
///
/// `@unchecked Sendable`: whoever writes holds the only reference while writing; after that it is read only.
package final class Buffer: @unchecked Sendable {
    package static let alignmentBytes = 64

    /// From this size on memory comes from the system, which has zeroed it and gives pages only as they are touched.
    private static let mappedBytes = 1 << 18

    package let bytes: UnsafeMutableRawBufferPointer
    private let owner: AnyObject?
    private let isMapped: Bool

    /// Zeroed memory of `byteCount` bytes, followed by 64 bytes that kernels may read past the end.
    package init(byteCount: Int) {
        precondition(byteCount >= 0)
        let size = byteCount + Buffer.alignmentBytes
        let base: UnsafeMutableRawPointer
        if byteCount >= Buffer.mappedBytes,
            let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            memory != MAP_FAILED
        {
            base = memory
            isMapped = true
        } else {
            base = .allocate(byteCount: size, alignment: Buffer.alignmentBytes)
            base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
            isMapped = false
        }
        bytes = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
        owner = nil
    }

    /// Memory that `owner` holds and that stays valid as long as `owner` lives. It is never written.
    package init(borrowing memory: UnsafeRawBufferPointer, owner: AnyObject) {
        bytes = UnsafeMutableRawBufferPointer(mutating: memory)
        self.owner = owner
        isMapped = false
    }

    deinit {
        guard owner == nil, let base = bytes.baseAddress else { return }
        if isMapped { munmap(base, bytes.count + Buffer.alignmentBytes) } else { base.deallocate() }
    }
}
