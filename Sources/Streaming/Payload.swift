// SPDX-License-Identifier: Apache-2.0

/// Bytes of a message with one owner; freed, or given back to the pool they came from, with the last reference.
///
/// `@unchecked Sendable`: written only while its maker holds the only reference.
package final class Payload: @unchecked Sendable {
    package let bytes: UnsafeMutableRawBufferPointer
    private let capacityBytes: Int
    private let pool: PayloadPool?

    package convenience init(copying source: UnsafeRawBufferPointer) {
        self.init(memory: .allocate(byteCount: max(source.count, 1), alignment: 16), count: source.count, pool: nil)
        bytes.copyMemory(from: source)
    }

    package convenience init(_ array: [UInt8]) {
        self.init(
            memory: .allocate(byteCount: max(array.count, 1), alignment: 16), count: array.count, pool: nil)
        array.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }

    package convenience init(_ text: String) { self.init(Array(text.utf8)) }

    init(memory: UnsafeMutableRawBufferPointer, count: Int, pool: PayloadPool?) {
        bytes = UnsafeMutableRawBufferPointer(rebasing: memory[0..<count])
        capacityBytes = memory.count
        self.pool = pool
    }

    package var count: Int { bytes.count }

    package var array: [UInt8] { Array(bytes) }

    deinit {
        let memory = UnsafeMutableRawBufferPointer(start: bytes.baseAddress, count: capacityBytes)
        if let pool { pool.take(back: memory) } else { memory.deallocate() }
    }
}
