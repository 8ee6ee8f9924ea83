// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a model says of a sample, before it learned from it.
struct SeriesJudgement {
    /// Natural logarithm of the probability of a sample at least as unusual, by prediction or novelty; <= ln 2.
    var logProbability = 0.0
    /// That the sample is new, with a part of the surprise added; see `NoveltyModel`.
    var evidence = 0.0
    /// -ln of the probability by prediction alone, compressed beyond 10^-6.
    var surprise = 0.0
    /// Where 99 of 100 samples were expected.
    var expected: ClosedRange<Double>?
    var isWarmingUp = true
    /// Natural logarithms of the probabilities that single methods go by; 0 where they know too little.
    var logLevel = 0.0
    var logSeason = 0.0
    var logRepeat = 0.0
    /// Half of the smallest step of the values, > 0.
    var floor = 1.0
    var knowsSeason = false
}

/// Learns one series and judges each sample by what came before it. Two judges of a different kind:
///
/// - How far a sample is from what a prediction makes of its past. A `Predictor` says where the next sample should be;
///   four statistics of the residual (`ResidualStatistics`) and the length of repetitions (`RepeatModel`) each have a
///   learned tail probability; the smallest, times their number (Bonferroni), is the surprise. Where the daily course
///   explains the series, a residual is at most as surprising as the deviation from that (`SeasonCheck`).
/// - Whether the series has been there lately (`NoveltyModel`): the evidence.
///
/// The probability of a sample is the smaller one of both, doubled.
struct SeriesModel: Sendable {
    static let warmUpCount = 30

    private var predictor: Predictor?
    private var residuals = ResidualStatistics()
    private var repeats = RepeatModel()
    private var novelty = NoveltyModel()
    private var seasonCheck = SeasonCheck()
    private var resolution = ValueResolution()
    private var delayLine = DelayLine()
    private var seen = 0
    /// Samples since the last extreme one.
    private var usualRun = 0
    /// Episodes of extremes, fading over `recurrenceMemory` samples.
    private var recurrence = 0.0
    private var sameSideRun = 0
    private var recent = InlineArray<9, Double>(repeating: 0)

    init() {}

    /// The value relative to its level, in units of its spread, as of the last sample judged; for what compares series.
    private(set) var standardized = 0.0

    /// `unbounded`: finite. `intervalSeconds`: mean interval of the samples.
    mutating func judge(_ unbounded: Double, at unixNanoseconds: Int64, intervalSeconds: Double) -> SeriesJudgement {
        let value = min(max(unbounded, -SeriesModel.largest), SeriesModel.largest)
        resolution.learn(value)
        let logRepeat = repeats.judge(value)
        repeats.learn(value)
        let floor = resolution.spreadFloor(near: value)
        let evidence = novelty.take(value, at: unixNanoseconds, intervalSeconds: intervalSeconds, floor: floor)
        let logSeason = seasonCheck.take(deviation: novelty.seasonDeviation, value: novelty.relative, floor: floor)
        guard var predictor else {
            predictor = Predictor(first: value)
            seen = 1
            return SeriesJudgement()
        }
        standardized = predictor.standardized(value, floor: floor)
        let prediction = predictor.predict(floor: floor)
        let spread = max(residuals.spread, floor)
        let width = (spread * spread + prediction.uncertainty * prediction.uncertainty).squareRoot()
        let expectedWidth = width * residuals.expectedWidth
        guard prediction.value.isFinite, width.isFinite, expectedWidth >= 0, expectedWidth.isFinite else {
            // No sequence of values is known to lead here; should there be one, learning begins anew.
            self = SeriesModel()
            return SeriesJudgement()
        }
        let residual = (value - prediction.value) / width
        let statistics = residuals.advance(past: residual, smallest: floor / width)
        let judged = residuals.judge(statistics).min()

        let isWarmingUp = seen < SeriesModel.warmUpCount
        var logResidual = min(min(max(judged, logSeason), logRepeat) + SeriesModel.logStatisticCount, 0)
        if isWarmingUp { logResidual = max(logResidual, -log(Double(seen + 1))) }
        let logNovelty = isWarmingUp ? 0 : novelty.logProbability(of: evidence)
        let surprise = SeriesModel.surprise(logResidual)

        let isExtreme = judged < SeriesModel.logExtreme && !isWarmingUp
        if isExtreme && usualRun > SeriesModel.episodeGap { residuals.learnSize(statistics) }
        recurrence -= recurrence / SeriesModel.recurrenceMemory
        if isExtreme && usualRun > SeriesModel.episodeGap { recurrence += 1 }
        let recurs = recurrence > SeriesModel.usualRecurrence
        usualRun = isExtreme ? 0 : usualRun + 1
        var lesson = predictor.lesson(of: value, after: prediction, floor: floor)
        lesson.statistics = statistics
        predictor.advance(past: value, floor: floor)
        if let due = delayLine.add(lesson, isExtreme: isExtreme && !recurs) {
            predictor.learn(due, spread: spread, floor: floor)
            residuals.learn(due, isUsual: recurs)
        }
        if delayLine.takesNewNormal() { residuals.startAnew() }
        followShift(value, residual, &predictor)
        self.predictor = predictor
        seen += 1
        return SeriesJudgement(
            logProbability: min(logResidual, logNovelty) + M_LN2,
            evidence: evidence + SeriesModel.surpriseWeight * max(0, surprise - SeriesModel.usualSurprise),
            surprise: surprise,
            expected: (prediction.value - expectedWidth)...(prediction.value + expectedWidth), isWarmingUp: isWarmingUp,
            logLevel: min(judged + SeriesModel.logResidualCount, 0), logSeason: seasonCheck.logProbability ?? 0,
            logRepeat: logRepeat, floor: floor, knowsSeason: seasonCheck.logProbability != nil)
    }

    /// Of what goes beyond a probability of 10^-3: prediction alone raises the score, not to its top.
    private static let surpriseWeight = 0.2
    private static let usualSurprise = 7.0

    /// Of the smallest of five probabilities (four of the residuals, one of repetitions): it is multiplied by their
    /// number.
    private static let logStatisticCount = log(5.0)
    private static let logResidualCount = log(4.0)
    private static let largest = 1e30
    /// What is less probable is not learned like other samples.
    private static let logExtreme = log(1e-5)
    /// Extremes with fewer samples between them are one episode, of which one is learned.
    private static let episodeGap = 16
    /// With more episodes than that in so many samples, extremes are what the series does, and are learned: a machine that
    /// is switched on and off.
    private static let usualRecurrence = 3.0
    private static let recurrenceMemory = 500.0

    /// -ln p. Below p = 10^-6 no experience supports the extrapolation, and the score would soon round to 1; what is
    /// beyond counts by its logarithm only, so that scores keep their order.
    private static func surprise(_ logProbability: Double) -> Double {
        let limit = -log(1e-6)
        return -logProbability < limit ? -logProbability : limit + log1p(-logProbability - limit)
    }

    /// After many residuals in a row far on one side the level has moved: learning goes on from there.
    private mutating func followShift(_ value: Double, _ standardized: Double, _ predictor: inout Predictor) {
        recent[seen % 9] = value
        let side = standardized > 2.5 ? 1 : standardized < -2.5 ? -1 : 0
        sameSideRun = side == 0 ? 0 : sameSideRun.signum() == side ? sameSideRun + side : side
        guard abs(sameSideRun) >= 12 else { return }
        sameSideRun = 0
        var sorted = recent
        for index in 1..<9 {
            var place = index
            while place > 0, sorted[place - 1] > sorted[place] {
                sorted.swapAt(place, place - 1)
                place -= 1
            }
        }
        predictor.moveLevel(to: sorted[4])
        residuals.forgetRecent()
        delayLine.forget()
    }
}

extension SeriesModel: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        var isThere = predictor != nil
        try archive.exchange(&isThere)
        if isThere {
            var known = predictor ?? Predictor(first: 0)
            try known.exchange(&archive)
            predictor = known
        }
        try residuals.exchange(&archive)
        try repeats.exchange(&archive)
        try novelty.exchange(&archive)
        try seasonCheck.exchange(&archive)
        try resolution.exchange(&archive)
        try delayLine.exchange(&archive)
        try archive.exchange(&seen, in: 0...Int.max - 1)
        try archive.exchange(&usualRun, in: 0...Int.max - 1)
        try archive.exchange(&recurrence, in: 0...SeriesModel.recurrenceMemory)
        try archive.exchange(&sameSideRun, in: -12...12)
        try archive.exchange(&recent)
    }
}
