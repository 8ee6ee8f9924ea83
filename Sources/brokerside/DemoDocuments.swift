// SPDX-License-Identifier: Apache-2.0

/// What the demo reads of the documents that the program publishes.
enum DemoDocuments {
    struct Detections: Decodable {
        struct Input: Decodable { let digest: String }
        struct Detection: Decodable {
            let `class`: String
            let score: Float
            /// x, y, width, height in pixels.
            let box: [Float]
        }

        let input: Input
        let detections: [Detection]
    }

    struct Alert: Decodable {
        struct Explanation: Decodable {
            let series: String?
            let value: Double?
        }

        /// Of an alert's state, not of the event that tells of its change.
        static let stateSchema = "brokerside.alert/1"

        let schema: String
        let id: String
        let pipeline: String
        let rule: String
        let severity: String
        let state: String
        let explanation: Explanation
    }

    struct Report: Decodable {
        let sources: [Source]
    }

    /// Counters of a source, as the report gives them.
    struct Source: Codable {
        struct Reasons: Codable {
            let total: Int
            let reasons: [String: Int]
        }

        struct Latency: Codable {
            let p50: Double
            let p99: Double
            let max: Double
        }

        enum CodingKeys: String, CodingKey {
            case name, received, processed, shed, failed
            case inFlight = "in_flight"
            case latency = "latency_ms"
        }

        let name: String
        let received: Int
        let processed: Int
        let shed: Reasons
        let failed: Reasons
        let inFlight: Int
        let latency: Latency?

        var isBalanced: Bool { received == processed + shed.total + failed.total + inFlight }
    }

    struct Status: Decodable { let status: String }
}
