// SPDX-License-Identifier: Apache-2.0

/// Learns what a series is usually like at each time of the day, in 96 bins of a quarter of an hour, and tells how far a
/// value is from that.
///
/// A bin holds a running mean with a memory of 20 days: of 20 samples where a bin has one a day, of more where it has
/// more. The day is that of UTC; for a daily course its beginning does not matter.
struct DayProfile: Sendable {
    private static let binCount: Int64 = 96
    private static let dayNanoseconds: Int64 = 86_400_000_000_000
    private static let memoryDays = 20.0
    /// Before that, and before a whole day has passed, nothing is said.
    private static let fewestSamples: UInt16 = 300

    private var means = InlineArray<96, Float>(repeating: 0)
    /// Samples that a mean stands for.
    private var weights = InlineArray<96, UInt16>(repeating: 0)
    private var firstTime: Int64?
    private var seen: UInt16 = 0

    init() {}

    /// Returns the deviation of a value from the profile, nil as long as it is not known; then learns the value.
    /// `intervalSeconds`: the mean interval of samples.
    mutating func take(_ x: Float, at unixNanoseconds: Int64, intervalSeconds: Double) -> Float? {
        let start = firstTime ?? unixNanoseconds
        firstTime = start
        let ofDay = unixNanoseconds % DayProfile.dayNanoseconds
        let positive = ofDay < 0 ? ofDay + DayProfile.dayNanoseconds : ofDay
        let bin = Int(positive / (DayProfile.dayNanoseconds / DayProfile.binCount))
        let (elapsed, overflow) = unixNanoseconds.subtractingReportingOverflow(start)
        let isKnown =
            weights[bin] > 0 && seen >= DayProfile.fewestSamples && (overflow || elapsed >= DayProfile.dayNanoseconds)
        let deviation = x - means[bin]

        let binSeconds = Double(DayProfile.dayNanoseconds / DayProfile.binCount) * 1e-9
        let perVisit = max(1, binSeconds / max(intervalSeconds, 1e-9))
        let limit = UInt16(min(DayProfile.memoryDays * perVisit, 60000))
        weights[bin] = min(weights[bin] + 1, limit)
        means[bin] += deviation / Float(weights[bin])
        if seen < DayProfile.fewestSamples { seen += 1 }
        return isKnown ? deviation : nil
    }
}

extension DayProfile: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&means)
        for index in 0..<96 { try archive.exchange(&weights[index], in: 0...60000) }
        try archive.exchange(&firstTime)
        try archive.exchange(&seen, in: 0...DayProfile.fewestSamples)
    }
}
