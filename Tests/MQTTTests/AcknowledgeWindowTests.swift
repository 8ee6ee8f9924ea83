// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MQTT

struct AcknowledgeWindowTests {
    @Test func writesAreWithheldWhileOneIsOpen() {
        var window = AcknowledgeWindow(size: 3)
        #expect(window.mayWrite(open: 0))
        window.received(now: 5)
        #expect(!window.mayWrite(open: 1))
        #expect(window.mayWrite(open: 0))
    }

    @Test func readingStopsWhenFull() {
        let window = AcknowledgeWindow(size: 3)
        #expect(window.mayRead(open: 2))
        #expect(!window.mayRead(open: 3))
    }

    /// Brokers are known to send more than the receive maximum; what is too much waits in the socket.
    @Test func readingStopsWhenAsManyAreUnacknowledged() {
        var window = AcknowledgeWindow(size: 2)
        window.received(now: 0)
        window.received(now: 0)
        #expect(!window.mayRead(open: 1))
        window.acknowledged()
        #expect(window.mayRead(open: 1))
    }

    /// Else CONNECT and SUBSCRIBE could not be sent after a reconnect.
    @Test func openMessagesOfAnEarlierConnectionDoNotWithholdWrites() {
        var window = AcknowledgeWindow(size: 3)
        window.received(now: 0)
        window.connectionLost()
        #expect(window.mayWrite(open: 1))
    }

    @Test func newMessagesWaitForOldOnesToo() {
        var window = AcknowledgeWindow(size: 3)
        window.received(now: 0)
        window.connectionLost()
        window.received(now: 0)
        // One of the two was finished; it may have been the old one.
        #expect(!window.mayWrite(open: 1))
    }

    @Test func ageCountsFromTheFirstMessage() {
        var window = AcknowledgeWindow(size: 3)
        window.received(now: 10)
        window.received(now: 50)
        #expect(!window.isOverdue(now: 59, limitNanoseconds: 50))
        #expect(window.isOverdue(now: 60, limitNanoseconds: 50))
        window.acknowledged()
        #expect(!window.isOverdue(now: 1000, limitNanoseconds: 50))
    }
}
