// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Finds what is unusual in the series of one device, scored together: sets of samples of the same moment, one of each
/// series.
///
/// Each series has its own `SeriesModel`, all together a `JointModel`. The smallest of their probabilities, times their
/// number, makes the alarm under one budget for all (`AlarmThreshold`). The evidence of the series together is
///
///     E = max over k of (sum of the k largest) / sqrt(k)
///
/// with the joint surprise as one of them; the score is that of n times its probability. So a fault counts whether one
/// series shows it clearly or several a little.
///
/// n series take 3 to 7 KB each, see `SeriesDetector`, and 0.3 KB n + 12 n^2 bytes together.
package struct DeviceDetector: Sendable {
    private let budget: FalseAlarmBudget
    private var models: [SeriesModel]
    private var joint: JointModel
    private var threshold = AlarmThreshold()
    private var episode = Episode()
    private var seen = 0
    private var isHeld = false
    private var heldCount = 0
    private var quietCount = 0
    private var evidence: [Double]
    private var known: [Double]

    /// `seriesCount`: 1 or more.
    package init(seriesCount: Int, budget: FalseAlarmBudget) {
        self.budget = budget
        models = Array(repeating: SeriesModel(), count: seriesCount)
        joint = JointModel(count: seriesCount)
        evidence = Array(repeating: 0, count: seriesCount + 1)
        known = Array(repeating: .nan, count: seriesCount)
    }

    package var seriesCount: Int { models.count }
    /// The series that was most unusual in the last set.
    package private(set) var mostUnusual = 0

    /// `values`: one for each series, in their order; one that is not finite is missing. All missing: score 0, nothing
    /// learned.
    package mutating func score(_ values: [Double], at unixNanoseconds: Int64) -> AnomalyScore {
        precondition(values.count == models.count)
        guard values.contains(where: \.isFinite) else { return .none }
        let allowed = threshold.take(time: unixNanoseconds, budget: budget)
        var (logProbability, surprise) = (0.0, 0.0)
        mostUnusual = values.firstIndex(where: \.isFinite) ?? 0
        for index in models.indices {
            evidence[index] = 0
            known[index] = .nan
            guard values[index].isFinite else { continue }
            let judgement = models[index].judge(
                values[index], at: unixNanoseconds, intervalSeconds: threshold.intervalSeconds)
            evidence[index] = judgement.evidence
            known[index] = min(max(values[index], -DeviceDetector.largest), DeviceDetector.largest)
            surprise = max(surprise, judgement.surprise)
            if judgement.logProbability < logProbability {
                (logProbability, mostUnusual) = (judgement.logProbability, index)
            }
        }
        if models.count > 1 {
            let logJoint = joint.judge(known, isHeld: isHeld)
            if logJoint < logProbability { mostUnusual = joint.farthest }
            hold(whileUnusual: logJoint)
            logProbability = min(logProbability, logJoint) + log(Double(models.count + 1))
            evidence[models.count] = DeviceDetector.jointWeight * max(0, -logJoint - DeviceDetector.usualSurprise)
        }
        let isWarmingUp = seen < DeviceDetector.warmUpCount(models.count)
        seen = min(seen + 1, DeviceDetector.warmUpCount(models.count))
        var isAlarm = !isWarmingUp && threshold.isAlarm(logProbability, allowed, continues: isHeld)
        if models.count > 1 {
            if isAlarm { (isHeld, quietCount) = (true, 0) }
            isAlarm = isHeld
        }
        let news = episode.news(of: combined())
        let logCount = log(Double(models.count))
        let scored = min(
            0, NoveltyModel.scoreLogProbability(news: news, surprise: max(0, surprise - logCount)) + logCount)
        return AnomalyScore(
            score: 0 - expm1(scored), isAlarm: isAlarm, expected: nil, isWarmingUp: isWarmingUp,
            isOverBudget: threshold.isOverBudget)
    }

    /// As much as the surprise of one series adds to its evidence; see `SeriesModel`.
    private static let jointWeight = 0.2
    private static let usualSurprise = 7.0
    private static let largest = 1e30

    /// An alarm lasts until the set has been usual for some samples, or until that is the new normal.
    private mutating func hold(whileUnusual logJoint: Double) {
        guard isHeld else { return }
        heldCount += 1
        quietCount = logJoint < DeviceDetector.logUnusual ? 0 : quietCount + 1
        if quietCount > DeviceDetector.quietLimit || heldCount > JointModel.patience {
            (isHeld, heldCount, quietCount) = (false, 0, 0)
        }
    }

    /// Sets before the first alarm.
    private static func warmUpCount(_ seriesCount: Int) -> Int {
        seriesCount > 1 ? JointModel.warmUpCount : SeriesModel.warmUpCount
    }

    private static let logUnusual = log(0.03)
    private static let quietLimit = 10

    private mutating func combined() -> Double {
        for index in 1..<evidence.count {
            var place = index
            while place > 0, evidence[place - 1] < evidence[place] {
                evidence.swapAt(place, place - 1)
                place -= 1
            }
        }
        var (best, sum) = (0.0, 0.0)
        for (index, value) in evidence.enumerated() {
            sum += value
            best = max(best, sum / Double(index + 1).squareRoot())
        }
        return best
    }
}

extension DeviceDetector: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        for index in models.indices { try models[index].exchange(&archive) }
        try joint.exchange(&archive)
        try threshold.exchange(&archive)
        try episode.exchange(&archive)
        try archive.exchange(&seen, in: 0...DeviceDetector.warmUpCount(models.count))
        try archive.exchange(&isHeld)
        try archive.exchange(&heldCount, in: 0...JointModel.patience + 1)
        try archive.exchange(&quietCount, in: 0...DeviceDetector.quietLimit + 1)
    }
}
