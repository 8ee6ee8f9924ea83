// SPDX-License-Identifier: Apache-2.0

import Streaming
import Telemetry

/// When a camera says that it took a frame: the user property `captured_at` of MQTT 5, in RFC 3339.
enum CaptureTime {
    static func unixNanoseconds(of message: Message) -> Int64? {
        message.properties.userProperties.first { $0.name == "captured_at" }
            .flatMap { Timestamp.parse($0.value, zoneRequired: true) }
    }
}
