// SPDX-License-Identifier: Apache-2.0

/// Finds out whether a series follows the time of the day, and if so, how unusual its deviation from the daily profile
/// is. A step that comes at the same time every day is no alarm, however sudden it is.
struct SeasonCheck: Sendable {
    /// The profile explains a series if deviations from it are on average so much smaller than those from its mean.
    private static let explainedRatio = 0.5
    private static let memory = 2000.0
    private static let warmUpCount = 300.0

    private var mean = 0.0
    private var seenValues = 0.0
    /// Mean absolute deviations from the mean and from the profile.
    private var fromMean = 0.0
    private var fromProfile = 0.0
    private var seen = 0.0
    /// Natural logarithm of the probability of the last deviation, whether the daily course explains the series or not;
    /// nil as long as too little is known.
    private(set) var logProbability: Double?
    /// One from the first deviation on, before that none: it takes no room then.
    private var tails: [TailModel] = []

    init() {}

    /// Natural logarithm of the probability of a deviation at least as large; minus infinity where the daily course says
    /// nothing. Then learns. `deviation`: from the profile, if known; `floor`: half of the smallest step of the values.
    mutating func take(deviation: Float?, value: Double, floor: Double) -> Double {
        seenValues = min(seenValues + 1, SeasonCheck.memory)
        mean += (value - mean) / seenValues
        logProbability = nil
        guard let deviation else { return -.infinity }
        if tails.isEmpty { tails = [.ofGaussian] }
        let size = Double(abs(deviation))
        let standardized = size / max(fromProfile * 1.2533, floor)
        let judged = tails[0].logSurvival(standardized)
        if seen >= SeasonCheck.warmUpCount { logProbability = judged }
        let explains = seen >= SeasonCheck.warmUpCount && fromProfile < SeasonCheck.explainedRatio * fromMean
        seen = min(seen + 1, SeasonCheck.memory)
        fromMean += (abs(value - mean) - fromMean) / seen
        let bound = seen <= 5 ? size : min(size, 4 * max(fromProfile, floor))
        fromProfile += (bound - fromProfile) / seen
        if seen > 10 { tails[0].learn(standardized) }
        return explains ? judged : -.infinity
    }
}

extension SeasonCheck: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&mean)
        try archive.exchange(&seenValues, in: 0...SeasonCheck.memory)
        try archive.exchange(&fromMean, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&fromProfile, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&seen, in: 0...SeasonCheck.memory)
        guard seen > 0 else { return }
        if tails.isEmpty { tails = [.ofGaussian] }
        try tails[0].exchange(&archive)
    }
}
