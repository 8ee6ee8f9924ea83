// SPDX-License-Identifier: Apache-2.0

import Foundation
import Simulation

/// What came of a run of the demo.
struct DemoSummary: Encodable {
    struct Detection: Encodable {
        struct Class: Encodable {
            let name: String
            let precision: Double
            let recall: Double
        }

        let frames: Int
        let iou: Float
        let precision: Double
        let recall: Double
        let classes: [Class]
    }

    struct FaultOutcome: Encodable {
        let machine: String
        let series: String
        let kind: String
        let startS: Double
        let endS: Double
        /// Null when there was no alert.
        let delayS: Double?

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(machine, forKey: .machine)
            try container.encode(series, forKey: .series)
            try container.encode(kind, forKey: .kind)
            try container.encode(startS, forKey: .start)
            try container.encode(endS, forKey: .end)
            try container.encode(delayS, forKey: .delay)
        }

        private enum Keys: String, CodingKey {
            case machine, series, kind
            case start = "start_s"
            case end = "end_s"
            case delay = "delay_s"
        }
    }

    struct SourceOutcome: Encodable {
        let published: Int
        let counters: DemoDocuments.Source

        var isExact: Bool { counters.isBalanced && counters.inFlight == 0 && counters.received == published }

        func encode(to encoder: any Encoder) throws {
            try counters.encode(to: encoder)
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(published, forKey: .published)
        }

        private enum Keys: String, CodingKey { case published }
    }

    let seconds: Double
    let seed: UInt64
    let detection: Detection
    let faults: [FaultOutcome]
    let falseAlarms: Int
    /// Every message that was published was received and has one outcome.
    let exact: Bool
    let sources: [SourceOutcome]

    init(
        seconds: Double, seed: UInt64, score: DetectionScore, alerts: AlertScore, sources: [SourceOutcome]
    ) {
        self.seconds = DemoSummary.rounded(seconds, 1)
        self.seed = seed
        let total = score.total
        detection = Detection(
            frames: score.frames, iou: DetectionScore.leastOverlap, precision: DemoSummary.rounded(total.precision, 4),
            recall: DemoSummary.rounded(total.recall, 4),
            classes: ObjectClass.allCases.map { object in
                let counts = score.classes[object.rawValue]
                return .init(
                    name: object.label, precision: DemoSummary.rounded(counts.precision, 4),
                    recall: DemoSummary.rounded(counts.recall, 4))
            })
        faults = alerts.outcomes.map { outcome in
            FaultOutcome(
                machine: outcome.fault.machine.rawValue, series: outcome.fault.series,
                kind: outcome.fault.kind.rawValue,
                startS: outcome.fault.start, endS: outcome.fault.end,
                delayS: outcome.delaySeconds.map { DemoSummary.rounded($0, 3) })
        }
        falseAlarms = alerts.falseAlarms.count
        self.sources = sources
        exact = sources.count == DemoConfiguration.sources.count && sources.allSatisfy(\.isExact)
    }

    private static func rounded(_ value: Double, _ places: Int) -> Double {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        return (value * scale).rounded() / scale
    }

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }

    var text: String {
        var lines = [
            "detection   \(detection.frames) frames: precision \(fixed(detection.precision, 3)),"
                + " recall \(fixed(detection.recall, 3)) at IoU \(fixed(Double(detection.iou), 1))"
        ]
        for found in detection.classes {
            lines.append(
                "            \(found.name): precision \(fixed(found.precision, 3)), recall \(fixed(found.recall, 3))")
        }
        for fault in faults {
            let outcome = fault.delayS.map { "alert after \(fixed($0, 2)) s" } ?? "no alert"
            lines.append(
                "fault       \(fault.machine) \(fault.series), \(fault.kind) at \(fixed(fault.startS, 1)) s: \(outcome)"
            )
        }
        if faults.isEmpty { lines.append("fault       none: the run was too short for one") }
        lines.append("            \(falseAlarms) false alarm\(falseAlarms == 1 ? "" : "s")")
        for source in sources {
            let counters = source.counters
            let latency = counters.latency.map { ", half within \(fixed($0.p50, 1)) ms" } ?? ""
            lines.append(
                "source      \(counters.name): published \(source.published), received \(counters.received),"
                    + " processed \(counters.processed), shed \(counters.shed.total), failed \(counters.failed.total)\(latency)"
            )
        }
        lines.append("accounting  \(exact ? "exact: every message has one outcome" : "does not add up")")
        return lines.joined(separator: "\n")
    }
}
