// SPDX-License-Identifier: Apache-2.0

/// When acknowledgements may be written. libmosquitto queues the PUBACK of a message before it delivers it, but writes
/// nothing until it is told to; so nothing is written while a message of this connection is open, and then everything.
///
/// Messages are only counted. After a reconnect, those of the connection before may still be open: they count against
/// the size, and hold back the acknowledgement of new ones until both are finished. That is late at times, never early.
struct AcknowledgeWindow {
    let size: Int
    /// Received on this connection since acknowledgements were last written.
    private(set) var unacknowledgedCount = 0
    /// When the first of these was received, monotonic nanoseconds.
    private(set) var openedAt: Int64?

    init(size: Int) {
        precondition(size > 0)
        self.size = size
    }

    mutating func received(now: @autoclosure () -> Int64) {
        if unacknowledgedCount == 0 { openedAt = now() }
        unacknowledgedCount += 1
    }

    /// `open`: received and not finished, over all connections.
    ///
    /// What is received and not acknowledged counts by itself too: mosquitto 2.0.11 sends more than the receive maximum once
    /// the first acknowledgement of a window reaches it, and would otherwise have them read in the middle of the next one.
    func mayRead(open: Int) -> Bool { open < size && unacknowledgedCount < size }

    func mayWrite(open: Int) -> Bool { unacknowledgedCount == 0 || open == 0 }

    /// Everything queued is about to be written.
    mutating func acknowledged() {
        unacknowledgedCount = 0
        openedAt = nil
    }

    mutating func connectionLost() { acknowledged() }

    func isOverdue(now: Int64, limitNanoseconds: Int64) -> Bool {
        openedAt.map { now - $0 >= limitNanoseconds } ?? false
    }
}
