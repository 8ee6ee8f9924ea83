// SPDX-License-Identifier: Apache-2.0

import Streaming

/// Numbers the QoS 1 messages of a connection with a window, such that a message which the broker delivers again has the
/// number that it had before.
///
/// libmosquitto does not hand on the DUP flag. But what was not acknowledged comes again with its packet identifier
/// (MQTT 5 section 4.4), and before anything new (section 4.6). So after a reconnect to the same session a message is an old
/// one if both identifier and content are those of a message that was not acknowledged, until the first that is not. An
/// acknowledgement that was written but did not arrive is not seen: such a message counts as new.
struct DeliveryNumbers {
    private struct Entry {
        var fingerprint: Int
        var number: UInt64
    }

    /// By packet identifier. Bounded by the window.
    private var unacknowledged: [Int32: Entry] = [:]
    /// Not acknowledged on connections before, not delivered again yet.
    private var lost: [Int32: Entry] = [:]
    private var next: UInt64 = 1

    mutating func number(of message: Message, packetID: Int32) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(message.topic)
        hasher.combine(bytes: UnsafeRawBufferPointer(message.payload.bytes))
        hasher.combine(message.discardedPayloadBytes)
        let fingerprint = hasher.finalize()
        var entry = Entry(fingerprint: fingerprint, number: next)
        if let old = lost.removeValue(forKey: packetID), old.fingerprint == fingerprint {
            entry = old
        } else {
            next += 1
            if !lost.isEmpty { lost.removeAll() }
        }
        unacknowledged[packetID] = entry
        return entry.number
    }

    /// Everything received is acknowledged.
    mutating func acknowledged() { unacknowledged.removeAll(keepingCapacity: true) }

    mutating func connectionLost() {
        lost.merge(unacknowledged) { _, new in new }
        unacknowledged.removeAll(keepingCapacity: true)
    }

    /// A broker without the session has nothing to deliver again.
    mutating func connected(sessionPresent: Bool) { if !sessionPresent { lost.removeAll() } }
}
