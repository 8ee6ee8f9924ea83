// SPDX-License-Identifier: Apache-2.0

/// Learns by how much a series differs from its daily profile in each hour of the week, and takes that off where it
/// explains the series: offices are empty on Sundays.
///
/// An hour holds a running mean of deviations from the `DayProfile`, with a memory of eight weeks. The week explains the
/// series if deviations are on average so much smaller with the mean taken off, over the whole second week at least.
/// 1 KB; the week is that of UTC, and its beginning does not matter.
struct WeekProfile: Sendable {
    private static let hourCount: Int64 = 168
    private static let hourNanoseconds: Int64 = 3_600_000_000_000
    private static let memoryWeeks = 8.0
    private static let explainedRatio: Float = 0.8
    private static let fewestSamples: Float = 100
    private static let memory: Float = 2000

    private var means = InlineArray<168, Float>(repeating: 0)
    /// Deviations that a mean stands for.
    private var weights = InlineArray<168, UInt16>(repeating: 0)
    private var firstTime: Int64?
    /// Mean absolute deviations, from the day and from the week.
    private var fromDay: Float = 0
    private var fromWeek: Float = 0
    private var seen: Float = 0

    init() {}

    /// Returns the deviation of a value from what is usual in that hour of the week, if the week explains the series, else
    /// that from the day; then learns it. `intervalSeconds`: the mean interval of samples.
    mutating func take(_ deviation: Float, at unixNanoseconds: Int64, intervalSeconds: Double) -> Float {
        let start = firstTime ?? unixNanoseconds
        firstTime = start
        let week = WeekProfile.hourCount * WeekProfile.hourNanoseconds
        let ofWeek = unixNanoseconds % week
        let hour = Int((ofWeek < 0 ? ofWeek + week : ofWeek) / WeekProfile.hourNanoseconds)
        let (elapsed, overflow) = unixNanoseconds.subtractingReportingOverflow(start)
        let rest = deviation - means[hour]
        var explains = false
        if weights[hour] > 0, overflow || elapsed >= week - WeekProfile.hourNanoseconds {
            let isJudged = overflow || elapsed >= 2 * week
            explains = isJudged && seen >= WeekProfile.fewestSamples && fromWeek < WeekProfile.explainedRatio * fromDay
            seen = min(seen + 1, WeekProfile.memory)
            fromDay += (abs(deviation) - fromDay) / seen
            fromWeek += (abs(rest) - fromWeek) / seen
        }
        let perVisit = max(1, Double(WeekProfile.hourNanoseconds) * 1e-9 / max(intervalSeconds, 1e-9))
        weights[hour] = min(weights[hour] + 1, UInt16(min(WeekProfile.memoryWeeks * perVisit, 60000)))
        means[hour] += rest / Float(weights[hour])
        return explains ? rest : deviation
    }
}

extension WeekProfile: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&means)
        for index in 0..<168 { try archive.exchange(&weights[index], in: 0...60000) }
        try archive.exchange(&firstTime)
        try archive.exchange(&fromDay)
        try archive.exchange(&fromWeek)
        try archive.exchange(&seen)
        guard fromDay >= 0, fromWeek >= 0, (0...WeekProfile.memory).contains(seen) else {
            throw .outOfRange(offset: archive.position)
        }
    }
}
