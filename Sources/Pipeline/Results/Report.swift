// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// The counters of the program at one moment. Described by `Config/schemas/report.v1.json`.
package struct Report: Sendable {
    package struct Source: Sendable {
        package var name: String
        package var kind: String
        package var balance: Ledger.Balance
        /// Messages per second since the last report.
        package var rate: Double
        /// Of a source of telemetry.
        package var samples: SampleLedger.Balance?
    }

    package var node: String
    package var sources: [Source]
    package var publishing: ResultPublisher.Counts
    var alerts: AlertBoard.Counts
    package var uptimeSeconds: Double

    /// The document for the bus.
    func document(topic: String) -> ResultDocument {
        var json = JSONWriter()
        var offset = 0
        json.object { json in
            json.field("schema", "brokerside.report/1")
            json.field("node", node)
            json.field("version", Version.number)
            offset = json.publishedAt()
            json.key("sources")
            json.array { json in for source in sources { write(source, &json) } }
            json.key("publishing")
            json.object { json in
                json.field("accepted", publishing.accepted)
                json.field("refused", publishing.refused)
                json.field("queue", publishing.queued)
            }
            json.key("alerts")
            json.object { json in
                json.field("pending", alerts.pending)
                json.field("open", alerts.open)
                json.field("acknowledged", alerts.acknowledged)
                json.field("silences", alerts.silences)
                json.field("evicted", alerts.evicted)
                json.field("refused", alerts.refused)
                json.key("commands")
                json.object { json in
                    json.field("done", alerts.commands)
                    let refused = alerts.refusedCommands.mapValues { UInt64($0) }
                    write("refused", total: refused.values.reduce(0, +), refused, &json)
                }
            }
            json.key("process")
            json.object { json in
                json.field("uptime_s", rounded(uptimeSeconds))
                json.field("resident_mib", rounded(ProcessUsage.residentMebibytes))
                json.field("cpu_s", rounded(ProcessUsage.processorSeconds))
            }
        }
        return ResultDocument(topic: topic, bytes: json.bytes, publishedAtOffset: offset)
    }

    private func write(_ source: Source, _ json: inout JSONWriter) {
        let balance = source.balance
        json.object { json in
            json.field("name", source.name)
            json.field("kind", source.kind)
            json.field("received", balance.received)
            json.field("processed", balance.processed)
            write("shed", total: balance.shedTotal, balance.shed, &json)
            write("failed", total: balance.failedTotal, balance.failed, &json)
            json.field("in_flight", balance.inFlight)
            json.field("warnings", balance.warnings)
            json.key("latency_ms")
            if let p50 = balance.latency.percentileMilliseconds(0.5),
                let p90 = balance.latency.percentileMilliseconds(0.9),
                let p99 = balance.latency.percentileMilliseconds(0.99)
            {
                json.object { json in
                    json.field("p50", rounded(p50))
                    json.field("p90", rounded(p90))
                    json.field("p99", rounded(p99))
                    json.field("max", rounded(Double(balance.latency.maximumMicroseconds) / 1000))
                }
            } else {
                json.null()
            }
            json.field("rate", rounded(source.rate))
            if let samples = source.samples { write(samples, &json) }
        }
    }

    private func write(_ samples: SampleLedger.Balance, _ json: inout JSONWriter) {
        json.key("samples")
        json.object { json in
            json.field("accepted", samples.counts.accepted)
            write("refused", samples.counts.refused, &json)
            write("noted", samples.counts.noted, &json)
            json.field("series", samples.series.known)
            json.field("evicted", samples.series.evicted)
            json.field("over_budget", samples.series.overBudget)
        }
    }

    private func write(_ name: String, _ faults: [TelemetryFault: UInt64], _ json: inout JSONWriter) {
        write(
            name, total: faults.values.reduce(0, +),
            Dictionary(uniqueKeysWithValues: faults.map { ($0.key.rawValue, $0.value) }), &json)
    }

    private func write(_ name: String, total: UInt64, _ reasons: [String: UInt64], _ json: inout JSONWriter) {
        json.key(name)
        json.object { json in
            json.field("total", total)
            json.key("reasons")
            json.object { json in
                for (reason, count) in reasons.sorted(by: { $0.key < $1.key }) { json.field(reason, count) }
            }
        }
    }

    /// To a tenth of a percent of a unit: more digits would only pretend.
    private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}

/// What the operating system says of this process.
enum ProcessUsage {
    static var residentMebibytes: Double {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
            let pages = text.split(separator: " ").dropFirst().first.flatMap({ Double($0) })
        else { return 0 }
        return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1_048_576
    }

    static var processorSeconds: Double {
        var usage = rusage()
        getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
