// SPDX-License-Identifier: Apache-2.0

/// The samples of one message and what was wrong with others, as a parser finds them.
struct SampleSink: Sendable {
    var samples: [Sample] = []
    private(set) var faults: [SampleFault] = []
    private let sampleLimit: Int
    private var common: TelemetryFault?
    private var reasonsDiffer = false

    init(sampleLimit: Int) { self.sampleLimit = sampleLimit }

    mutating func begin() {
        samples.removeAll(keepingCapacity: true)
        faults.removeAll(keepingCapacity: true)
        common = nil
        reasonsDiffer = false
    }

    var isFull: Bool { samples.count >= sampleLimit }

    mutating func add(_ reading: TextValue, series: Int, at unixNanoseconds: Int64) {
        switch reading {
        case .number(let value, let isRounded):
            guard !isFull else { return refuse(.tooManySamples, series: series) }
            samples.append(Sample(series: series, value: value, unixNanoseconds: unixNanoseconds))
            if isRounded { note(.rounded, series: series) }
        case .refused(let reason): refuse(reason, series: series)
        }
    }

    /// A value that gives no sample.
    mutating func refuse(_ reason: TelemetryFault, series: Int?) {
        reasonsDiffer = reasonsDiffer || (common ?? reason) != reason
        common = reason
        append(SampleFault(series: series, reason: reason))
    }

    mutating func note(_ reason: TelemetryFault, series: Int?) { append(SampleFault(series: series, reason: reason)) }

    /// Of a payload that could be read.
    var outcome: ParseOutcome {
        guard samples.isEmpty else { return .processed }
        return .failed(reasonsDiffer ? .noSamples : common ?? .noSamples)
    }

    /// A million nulls are as many faults, but need no list of them.
    private mutating func append(_ fault: SampleFault) { if faults.count < 4 * sampleLimit { faults.append(fault) } }
}
