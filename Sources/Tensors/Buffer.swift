// SPDX-License-Identifier: Apache-2.0

/// Memory aligned to 64 bytes with one owner, or borrowed from an owner that it keeps alive (a mapped file).
///
/// `@unchecked Sendable`: whoever writes holds the only reference while writing; after that it is read only.
package final class Buffer: @unchecked Sendable {
    package static let alignmentBytes = 64

    package let bytes: UnsafeMutableRawBufferPointer
    private let owner: AnyObject?

    /// Zeroed memory of `byteCount` bytes, followed by 64 bytes that kernels may read past the end.
    package init(byteCount: Int) {
        precondition(byteCount >= 0)
        let base = UnsafeMutableRawPointer.allocate(
            byteCount: byteCount + Buffer.alignmentBytes, alignment: Buffer.alignmentBytes)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount + Buffer.alignmentBytes)
        bytes = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
        owner = nil
    }

    /// Memory that `owner` holds and that stays valid as long as `owner` lives. It is never written.
    package init(borrowing memory: UnsafeRawBufferPointer, owner: AnyObject) {
        bytes = UnsafeMutableRawBufferPointer(mutating: memory)
        self.owner = owner
    }

    deinit { if owner == nil { bytes.baseAddress?.deallocate() } }
}
