// SPDX-License-Identifier: Apache-2.0

import Dispatch

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Tells when a socket can be read or written, on a duplicate of its descriptor: libmosquitto closes its own when a
/// connection dies, and the number may be another file's before Dispatch has heard of it. Used on one serial queue.
final class SocketWatch {
    private let descriptor: Int32
    private let read: any DispatchSourceRead
    private let write: any DispatchSourceWrite
    private var reads = false
    private var writes = false

    /// Nil when the descriptor cannot be duplicated. Handlers are called only while `wants` asks for it.
    init?(
        descriptor original: Int32, queue: DispatchQueue, onReadable: @escaping @Sendable () -> Void,
        onWritable: @escaping @Sendable () -> Void, onClosed: @escaping @Sendable () -> Void = {}
    ) {
        let duplicate = fcntl(original, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else { return nil }
        descriptor = duplicate
        read = DispatchSource.makeReadSource(fileDescriptor: duplicate, queue: queue)
        write = DispatchSource.makeWriteSource(fileDescriptor: duplicate, queue: queue)
        read.setEventHandler(handler: onReadable)
        write.setEventHandler(handler: onWritable)
        // Dispatch is done with the descriptor when both sources are cancelled.
        let cancelled = DispatchGroup()
        cancelled.enter()
        cancelled.enter()
        read.setCancelHandler { cancelled.leave() }
        write.setCancelHandler { cancelled.leave() }
        cancelled.notify(queue: queue) {
            close(duplicate)
            onClosed()
        }
    }

    func wants(reads: Bool, writes: Bool) {
        if reads != self.reads {
            self.reads = reads
            if reads { read.resume() } else { read.suspend() }
        }
        if writes != self.writes {
            self.writes = writes
            if writes { write.resume() } else { write.suspend() }
        }
    }

    /// Whether the peer is gone, for one who does not read at the moment: the connection is broken, or, if `ignoresUnread`
    /// allows to forget what was not read yet, the peer has closed its side.
    func isHungUp(ignoresUnread: Bool) -> Bool {
        let closedByPeer: Int16 = 0x2000  // POLLRDHUP of Linux, which Swift does not import
        var state = pollfd(fd: descriptor, events: ignoresUnread ? closedByPeer : 0, revents: 0)
        return poll(&state, 1, 0) > 0
    }

    /// Ends the sending direction: the broker sees the end after everything written.
    func shutdownSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Reads and forgets what is there. False at the end of the stream.
    func discardInput() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { scratch in
            while true {
                let count = recv(descriptor, scratch.baseAddress, scratch.count, Int32(MSG_DONTWAIT))
                if count > 0 { continue }
                return count < 0 && (errno == EAGAIN || errno == EINTR)
            }
        }
    }

    /// Ends both directions at once. Must be called before the last reference goes.
    func cancel() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        read.cancel()
        write.cancel()
        // A suspended source would neither call its cancel handler nor may it be released.
        if !reads { read.resume() }
        if !writes { write.resume() }
        reads = true
        writes = true
    }
}
