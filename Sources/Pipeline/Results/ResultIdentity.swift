// SPDX-License-Identifier: Apache-2.0

import Crypto
import Streaming

/// Digests that name a result and what it was made from.
package struct ResultIdentity: Sendable, Hashable {
    /// SHA-256 of the payload, hexadecimal.
    package let inputDigest: String
    /// The same message gives the same id in every run: the first 128 bits of SHA-256 over pipeline, topic, time of the
    /// source and payload digest, hexadecimal.
    package let id: String

    /// - Parameter sourceTime: when the source says it measured, in nanoseconds since 1970; nil if it does not say.
    package init(pipeline: String, message: Message, sourceTime: Int64?) {
        let payload = SHA256.hash(data: UnsafeRawBufferPointer(message.payload.bytes))
        self.init(pipeline: pipeline, topic: message.topic, payload: payload, sourceTime: sourceTime)
    }

    package init(pipeline: String, topic: String, payload: SHA256Digest, sourceTime: Int64?) {
        var hash = SHA256()
        var text = pipeline + "\0" + topic + "\0"
        if let sourceTime { text += String(sourceTime) }
        text += "\0"
        text.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        payload.withUnsafeBytes { hash.update(bufferPointer: $0) }
        inputDigest = payload.withUnsafeBytes { hexadecimal($0) }
        id = hash.finalize().withUnsafeBytes { hexadecimal(UnsafeRawBufferPointer(rebasing: $0[0..<16])) }
    }
}

/// Lower-case hexadecimal digits.
func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
    let digits: StaticString = "0123456789abcdef"
    return String(unsafeUninitializedCapacity: 2 * bytes.count) { buffer in
        for (index, byte) in bytes.enumerated() {
            buffer[2 * index] = digits.utf8Start[Int(byte >> 4)]
            buffer[2 * index + 1] = digits.utf8Start[Int(byte & 15)]
        }
        return 2 * bytes.count
    }
}
