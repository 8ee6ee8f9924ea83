// SPDX-License-Identifier: Apache-2.0

import Streaming

/// A result as it goes to the bus: its bytes, and where in them the time of publication is filled in when it is sent.
package struct ResultDocument: Sendable {
    package var topic: String
    package var bytes: [UInt8]
    package var publishedAtOffset: Int
}

/// What all results of one message of a pipeline have in common.
package struct ResultHeader {
    package var node: String
    package var pipeline: String
    package var modelName: String
    package var modelDigest: String
    package var topics: ResultTopics

    package init(node: String, pipeline: String, modelName: String, modelDigest: String, topics: ResultTopics) {
        self.node = node
        self.pipeline = pipeline
        self.modelName = modelName
        self.modelDigest = modelDigest
        self.topics = topics
    }

    /// Opens the document with the fields that every result has; `body` adds its own part.
    /// Described by `Config/schemas/detection.v1.json` and `score.v1.json`.
    func document(
        schema: String, topic: String, delivery: Delivery, identity: ResultIdentity, capturedAt: Int64?,
        frame: (width: Int, height: Int)?, body: (inout JSONWriter) -> Void
    ) -> ResultDocument {
        var json = JSONWriter()
        var offset = 0
        json.object { json in
            json.field("schema", schema)
            json.field("id", identity.id)
            json.field("node", node)
            json.field("pipeline", pipeline)
            json.key("source")
            json.object { json in
                json.field("topic", delivery.message.topic)
                json.field("key", delivery.key)
            }
            if let capturedAt { json.field("captured_at", time: capturedAt) }
            json.field("received_at", time: delivery.receivedAt.unixNanoseconds)
            offset = json.publishedAt()
            json.key("model")
            json.object { json in
                json.field("name", modelName)
                json.field("digest", modelDigest)
            }
            json.key("input")
            json.object { json in
                json.field("digest", identity.inputDigest)
                if let frame {
                    json.field("width", frame.width)
                    json.field("height", frame.height)
                }
            }
            body(&json)
        }
        return ResultDocument(topic: topic, bytes: json.bytes, publishedAtOffset: offset)
    }
}

extension JSONWriter {
    /// Adds `published_at` with a stand-in that is overwritten when the message is sent. Returns the offset of its bytes.
    mutating func publishedAt() -> Int {
        field("published_at", time: 0)
        return count - TimeText.byteCount - 1
    }
}
