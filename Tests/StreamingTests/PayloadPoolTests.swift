// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

struct PayloadPoolTests {
    private func make(_ pool: PayloadPool, _ bytes: [UInt8]) -> Payload {
        bytes.withUnsafeBytes { pool.makePayload(copying: $0) }
    }

    @Test(arguments: [0, 1, 63, 64, 65, 100_000])
    func payloadHoldsItsBytes(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let pool = PayloadPool(capacityBytes: 1 << 20)
        #expect(make(pool, bytes).array == bytes)
        #expect(make(pool, bytes).array == bytes)
    }

    @Test func memoryIsUsedAgain() {
        let pool = PayloadPool(capacityBytes: 1 << 20)
        let first = UInt(bitPattern: make(pool, [1, 2, 3]).bytes.baseAddress)
        let second = make(pool, [4])
        #expect(UInt(bitPattern: second.bytes.baseAddress) == first)
        #expect(second.array == [4])
    }

    @Test func payloadOutlivesItsPool() {
        var pool: PayloadPool? = PayloadPool(capacityBytes: 1 << 20)
        let payload = pool.map { make($0, [7]) }
        pool = nil
        #expect(payload?.array == [7])
    }
}
