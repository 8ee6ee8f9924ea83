// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming

/// A file of everything that the program published in a demo, as lines `TOPIC PAYLOAD` like those of `mosquitto_sub -v`:
/// what `Config/schemas/validate.py` reads.
final class DemoRecord: Sendable {
    private let file: FileHandle

    /// Empties the file if there is one. Throws `DemoFailure` when it cannot be written.
    init(path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw DemoFailure("\(path): cannot be written") }
        self.file = file
    }

    /// Called on one queue. What the disk refuses is missed by whoever reads the file, not by the demo.
    func add(_ message: Message) {
        var line = Data(message.topic.utf8)
        line.append(UInt8(ascii: " "))
        line.append(contentsOf: message.payload.bytes)
        line.append(UInt8(ascii: "\n"))
        try? file.write(contentsOf: line)
    }
}
