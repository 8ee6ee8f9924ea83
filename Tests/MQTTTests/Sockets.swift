// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Cuts every connection of this process to the loopback port, as a failing network would.
func cutConnections(toPort port: UInt16) {
    for descriptor in Int32(3)..<1024 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) != 0 }
        }
        guard !failed, address.sin_family == sa_family_t(AF_INET), address.sin_port == port.bigEndian else { continue }
        shutdown(descriptor, Int32(SHUT_RDWR))
    }
}

/// A broker that says what a test wants it to say, packet bytes and all: `script` gets the number of the connection and
/// its blocking descriptor, on a thread of its own; the connection is closed when it returns.
final class FakeBroker: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init(script: @escaping @Sendable (Int, Int32) -> Void) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) != 0 || getsockname(descriptor, $0, &length) != 0
                    || listen(descriptor, 8) != 0
            }
        }
        if failed { throw POSIXError(.EADDRINUSE) }
        self.descriptor = descriptor
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            var number = 0
            while true {
                let peer = Glibc.accept(descriptor, nil, nil)
                guard peer >= 0 else { return }
                let current = number
                number += 1
                Thread.detachNewThread {
                    script(current, peer)
                    close(peer)
                }
            }
        }
    }

    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    /// Reads one packet (remaining length below 128) and returns its first byte; nil at the end.
    static func readPacket(_ peer: Int32) -> UInt8? {
        var header: [UInt8] = [0, 0]
        guard recv(peer, &header, 2, Int32(MSG_WAITALL)) == 2, header[1] < 128 else { return nil }
        var body = [UInt8](repeating: 0, count: Int(header[1]))
        guard body.isEmpty || recv(peer, &body, body.count, Int32(MSG_WAITALL)) == body.count else {
            return nil
        }
        return header[0]
    }

    static func write(_ peer: Int32, _ bytes: [UInt8]) {
        _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Takes CONNECT and says yes, MQTT 5.
    static func accept(_ peer: Int32) {
        _ = readPacket(peer)
        write(peer, [0x20, 3, 0, 0, 0])
    }

    /// Until the client closes.
    static func waitForEnd(_ peer: Int32) { while readPacket(peer) != nil {} }
}
