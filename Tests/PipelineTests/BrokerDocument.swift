// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming

/// A published document, read as its consumers would: only what tests ask for.
struct Document: Decodable, Sendable {
    struct Source: Decodable {
        var topic: String
        var key: String
    }

    struct Classification: Decodable, Equatable {
        var `class`: String
        var score: Double
    }

    struct Score: Decodable {
        var series: String
        var value: Double
        var score: Double?
        var alarm: Bool
    }

    struct Counters: Decodable {
        struct Reasons: Decodable {
            var total: Int
            var reasons: [String: Int]
        }

        var name: String
        var received: Int
        var processed: Int
        var shed: Reasons
        var failed: Reasons
        var inFlight: Int
    }

    var schema: String
    var id: String?
    var node: String
    var source: Source?
    var capturedAt: Date?
    var receivedAt: Date?
    var publishedAt: Date?
    var classifications: [Classification]?
    var results: [Score]?
    var rule: String?
    var state: String?
    var status: String?
    var sources: [Counters]?
    var severity: String?
    var event: String?
    var reason: String?
    var alert: String?
    var since: Date?
    var openedAt: Date?
    var closedAt: Date?
    var acknowledged: Acknowledgement?
    var silencedUntil: Date?
    var flapping: Bool?
    var condition: String?
    var explanation: Explanation?
    var result: String?
    var alerts: AlertCounters?

    struct Acknowledgement: Decodable {
        var at: Date
        var by: String?
        var note: String?
    }

    struct Explanation: Decodable {
        struct Sample: Decodable {
            var time: Date
            var value: Double
        }

        struct Part: Decodable {
            var condition: String
            var holds: Bool?
        }

        var series: String?
        var value: Double?
        var expected: [Double]?
        var change: Double?
        var silentS: Double?
        var count: Int?
        var score: Double?
        var peak: Double?
        var samples: [Sample]?
        var conditions: [Part]?
    }

    struct AlertCounters: Decodable {
        struct Commands: Decodable {
            var done: Int
            var refused: Counters.Reasons
        }

        var open: Int
        var acknowledged: Int
        var silences: Int
        var commands: Commands
    }

    /// Nil for what is no such document.
    init?(_ message: Message) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        decoder.dateDecodingStrategy = .custom { try style.parse(try $0.singleValueContainer().decode(String.self)) }
        guard let document = try? decoder.decode(Document.self, from: Data(message.payload.array)) else { return nil }
        self = document
    }
}
