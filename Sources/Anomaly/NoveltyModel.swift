// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Judges how new a sample is: whether the series has been there lately, in four respects, each with its own `Coverage`:
///
/// - level: the value
/// - spread: the root of a running mean square of deviations from a running mean, both over about three samples
/// - lasting level: of the last six values the one closest to the slow level, so an excursion that stays counts once more
/// - season: the deviation from the usual value at that time of the day (`DayProfile`) and of the week (`WeekProfile`)
///
/// The distances d add up to the evidence
///
///     E = sum of ln(1 + d / 0.005)
///
/// so something slightly new in all respects weighs as much as something very new in one. What is new once is not new
/// again, so a fault is seen when it begins. (Novelty as the anomaly: adaptive resonance, G. Carpenter, S. Grossberg,
/// 1987; contexts, M. Smirnov, CAD-OSE, 2016; k-nearest neighbours with conformal scores, E. Burnaev, V. Ishimtsev, 2016.)
struct NoveltyModel: Sendable {
    private static let scale = 0.005
    private static let fastGain = 0.3
    private static let slowGain = 0.01
    private static let lastingCount = 6

    private var level = Coverage()
    private var spread = Coverage()
    private var lasting = Coverage()
    private var profile = DayProfile()
    /// One from the second day on, before that none: it takes no room then.
    private var weeks: [WeekProfile] = []
    private var season = Coverage()
    /// All values are taken relative to the first one, so that single precision is enough.
    private var origin: Double?
    /// The last sample so, and its deviation from the profile of the day and the week if that is known.
    private(set) var relative = 0.0
    private(set) var seasonDeviation: Float?
    private var fastMean = 0.0
    private var fastSquare = 0.0
    private var slowMean = 0.0
    private var slowDeviation = 0.0
    private var recent = InlineArray<6, Float>(repeating: 0)
    private var seen = 0.0

    init() {}

    /// The evidence that a sample is new, >= 0; then learns the sample. `floor`: half of the smallest step of the values,
    /// > 0.
    mutating func take(_ value: Double, at unixNanoseconds: Int64, intervalSeconds: Double, floor: Double) -> Double {
        let start = origin ?? value
        origin = start
        let x = value - start
        relative = x
        seen = min(seen + 1, 4096)
        followSpread(x)
        let lastingLevel = followLasting(x)
        let range = Float(20 * floor)
        var evidence = NoveltyModel.evidence(level.take(Float(x), fallbackRange: range))
        if seen > 8 {
            evidence += NoveltyModel.evidence(spread.take(Float(fastSquare.squareRoot()), fallbackRange: range))
        }
        evidence += NoveltyModel.evidence(lasting.take(lastingLevel, fallbackRange: range))
        seasonDeviation = profile.take(Float(x), at: unixNanoseconds, intervalSeconds: intervalSeconds)
        if let ofDay = seasonDeviation {
            if weeks.isEmpty { weeks = [WeekProfile()] }
            seasonDeviation = weeks[0].take(ofDay, at: unixNanoseconds, intervalSeconds: intervalSeconds)
        }
        if let deviation = seasonDeviation {
            evidence += NoveltyModel.evidence(season.take(deviation, fallbackRange: range))
        }
        return evidence
    }

    /// The probability of evidence at least as large, in a series that goes on as it was. Fitted to samples of nine
    /// kinds of noise (normal, Laplace, Student with 3 degrees of freedom, uniform, log-normal, autoregressive, rounded,
    /// and with a daily season), to lie above the heaviest of them: E > 0, 4.2 and 12 have probabilities 0.022, 10^-3
    /// and 10^-4 once the coverage is full; before, there is more to be new.
    func logProbability(of evidence: Double) -> Double {
        min(0, NoveltyModel.fullLogProbability(of: evidence) + log(4096 / max(seen, 1)))
    }

    private static func fullLogProbability(of evidence: Double) -> Double {
        evidence > 0 ? log(rate) - 2.6 * log1p(evidence / 1.9) : 0
    }

    /// Of what is news; what is none has at least the probability of any evidence at all.
    static func scoreLogProbability(news: Double, surprise: Double) -> Double {
        news > 0 ? fullLogProbability(of: news) : max(-surprise, log(rate))
    }

    /// Of evidence above 0, see `logProbability`.
    private static let rate = 0.022

    private static func evidence(_ distance: Float) -> Double {
        distance > 0 ? log1p(Double(distance) / scale) : 0
    }

    private mutating func followSpread(_ x: Double) {
        let deviation = x - fastMean
        let gain = max(NoveltyModel.fastGain, 1 / seen)
        fastMean += gain * deviation
        fastSquare = (1 - gain) * (fastSquare + gain * deviation * deviation)
    }

    private mutating func followLasting(_ x: Double) -> Float {
        let gain = max(NoveltyModel.slowGain, 1 / seen)
        let deviation = x - slowMean
        let bound = seen <= 10 ? .greatestFiniteMagnitude : 4 * slowDeviation + 1e-12
        slowMean += gain * min(max(deviation, -bound), bound)
        slowDeviation += gain * (min(abs(deviation), bound) - slowDeviation)
        for index in 1..<NoveltyModel.lastingCount { recent[index - 1] = recent[index] }
        recent[NoveltyModel.lastingCount - 1] = Float(x)
        var closest = Float(x)
        let center = Float(slowMean)
        for index in max(0, NoveltyModel.lastingCount - Int(seen))..<NoveltyModel.lastingCount
        where abs(recent[index] - center) < abs(closest - center) {
            closest = recent[index]
        }
        return closest
    }
}

extension NoveltyModel: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try level.exchange(&archive)
        try spread.exchange(&archive)
        try lasting.exchange(&archive)
        try season.exchange(&archive)
        try profile.exchange(&archive)
        var hasWeek = !weeks.isEmpty
        try archive.exchange(&hasWeek)
        if hasWeek {
            if weeks.isEmpty { weeks = [WeekProfile()] }
            try weeks[0].exchange(&archive)
        }
        try archive.exchange(&origin)
        try archive.exchange(&fastMean)
        try archive.exchange(&fastSquare)
        try archive.exchange(&slowMean)
        try archive.exchange(&slowDeviation)
        try archive.exchange(&recent)
        try archive.exchange(&seen, in: 0...4096)
        guard fastSquare >= 0 else { throw .outOfRange(offset: archive.position) }
    }
}
