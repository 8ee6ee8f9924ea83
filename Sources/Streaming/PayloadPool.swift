// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Keeps the memory of finished payloads for the next ones, so that a steady stream allocates none.
/// Sizes are rounded up to powers of two; what is kept is bounded by `capacityBytes`, beyond it memory is freed.
package final class PayloadPool: Sendable {
    /// Memory that nobody uses. `@unchecked Sendable`: the pool is its only owner.
    private struct FreeMemory: @unchecked Sendable { let bytes: UnsafeMutableRawBufferPointer }

    private struct State {
        var free: [[FreeMemory]] = Array(repeating: [], count: PayloadPool.classes)
        var keptBytes = 0
    }

    /// 2^6 ... 2^28 bytes: from a small telemetry message to the largest packet of MQTT (256 MB).
    private static let classes = 23
    private static let smallestShift = 6
    private let capacityBytes: Int
    private let state = Mutex(State())

    package init(capacityBytes: Int) { self.capacityBytes = capacityBytes }

    package func makePayload(copying source: UnsafeRawBufferPointer) -> Payload {
        let index = PayloadPool.sizeClass(source.count)
        let memory =
            state.withLock { state -> FreeMemory? in
                guard let memory = state.free[index].popLast() else { return nil }
                state.keptBytes -= memory.bytes.count
                return memory
            }?.bytes ?? .allocate(byteCount: 1 << (index + PayloadPool.smallestShift), alignment: 16)
        let payload = Payload(memory: memory, count: source.count, pool: self)
        payload.bytes.copyMemory(from: source)
        return payload
    }

    func take(back memory: UnsafeMutableRawBufferPointer) {
        let freed = FreeMemory(bytes: memory)
        let kept = state.withLock { state -> Bool in
            guard state.keptBytes + freed.bytes.count <= capacityBytes else { return false }
            state.keptBytes += freed.bytes.count
            state.free[PayloadPool.sizeClass(freed.bytes.count)].append(freed)
            return true
        }
        if !kept { memory.deallocate() }
    }

    private static func sizeClass(_ byteCount: Int) -> Int {
        precondition(byteCount <= 1 << (smallestShift + classes - 1))
        let bits = Int.bitWidth - max(byteCount - 1, 1).leadingZeroBitCount
        return max(bits - smallestShift, 0)
    }

    deinit { state.withLock { state in for list in state.free { for memory in list { memory.bytes.deallocate() } } } }
}
