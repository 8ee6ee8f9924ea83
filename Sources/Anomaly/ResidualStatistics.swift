// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Judges residuals of a prediction, in units of their spread, in four ways: the size of one (spikes, jumps), running
/// means over about 4 and 16 (drifts, small shifts), and the running magnitude over about 20 against the long-run one (noise
/// that grows or dies). Each has its own tail model.
///
/// What is judged is learned only `delay` samples later, and not at all if something extreme came in between: so a fault that
/// builds up slowly is compared with what was before it. If the extreme lasts, it becomes the new normal.
struct ResidualStatistics: Sendable {
    /// Running means have variance gain / (2 - gain) for white noise.
    private static let shortGain = 0.25
    private static let longGain = 1.0 / 16
    private static let magnitudeGain = 1.0 / 20
    private static let spreadMemory = 200.0
    /// Mean of |z| for a Gaussian z, sqrt(2 / pi), and its standard deviation over that.
    private static let meanMagnitude = 0.7979
    private static let magnitudeDeviation = 0.756
    private static let delay = 12
    /// Learned at once, so that a spread is there early.
    private static let promptCount = 24
    /// So many samples in a row may be kept from learning.
    private static let patience = 40

    private struct Entry: Sendable {
        var residual: Float = 0
        var statistics = SIMD4<Float>.zero
        var isLearned = true
    }

    /// Standard deviation of the residuals, robust, in the units of the series.
    private(set) var spread = 0.0
    private var seen = 0
    private var learned = 0.0
    private var skippedRun = 0
    private var shortMean = 0.0
    private var longMean = 0.0
    private var magnitude = ResidualStatistics.meanMagnitude
    private var waiting = InlineArray<12, Entry>(repeating: Entry())
    // 1.645: 90 % quantile of |z|; 0.41: mean excess there.
    private var size = TailModel(threshold: 1.645, scale: 0.41)
    private var shortShift = TailModel(threshold: 1.645, scale: 0.41)
    private var longShift = TailModel(threshold: 1.645, scale: 0.41)
    private var spreadChange = TailModel(threshold: 1.645, scale: 0.41)

    /// `smallest`: what the resolution of the values hides, in units of the spread; a magnitude below says nothing.
    private func advanced(_ z: Double, smallest: Double) -> (short: Double, long: Double, magnitude: Double) {
        let bounded = min(max(z, -5), 5)
        return (
            shortMean + ResidualStatistics.shortGain * (bounded - shortMean),
            longMean + ResidualStatistics.longGain * (bounded - longMean),
            magnitude + ResidualStatistics.magnitudeGain * (max(abs(bounded), smallest) - magnitude)
        )
    }

    private func statistics(_ z: Double, smallest: Double) -> SIMD4<Float> {
        let next = advanced(z, smallest: smallest)
        func deviation(_ gain: Double) -> Double { (gain / (2 - gain)).squareRoot() }
        let change = log(max(next.magnitude, 1e-3) / ResidualStatistics.meanMagnitude)
        let changeDeviation =
            ResidualStatistics.magnitudeDeviation * deviation(ResidualStatistics.magnitudeGain)
        return SIMD4(
            Float(abs(z)), Float(abs(next.short) / deviation(ResidualStatistics.shortGain)),
            Float(abs(next.long) / deviation(ResidualStatistics.longGain)), Float(abs(change) / changeDeviation))
    }

    /// Logarithms of the four tail probabilities.
    func judge(_ z: Double, smallest: Double) -> SIMD4<Double> {
        let s = SIMD4<Double>(statistics(z, smallest: smallest))
        return SIMD4(
            size.logSurvival(s[0]), shortShift.logSurvival(s[1]), longShift.logSurvival(s[2]),
            spreadChange.logSurvival(s[3]))
    }

    /// Half the width in which 99 of 100 lie, in units of the spread.
    var expectedWidth: Double { size.quantile(0.01) }

    mutating func learn(_ z: Double, smallest: Double, unit: Double, isExtreme: Bool) {
        var entry = Entry(
            residual: Float(abs(z) * unit), statistics: statistics(z, smallest: smallest), isLearned: false)
        (shortMean, longMean, magnitude) = advanced(z, smallest: smallest)
        let place = seen % ResidualStatistics.delay
        seen += 1
        if isExtreme {
            // An extreme size is learned, bounded, or a heavy tail would never be known; but not all of a run.
            if waiting[(place + ResidualStatistics.delay - 1) % ResidualStatistics.delay].isLearned == false {
                size.learn(Double(entry.statistics[0]))
            }
            for index in waiting.indices { waiting[index].isLearned = true }
            skippedRun += 1
            if skippedRun < ResidualStatistics.patience { entry.isLearned = true }
        }
        if seen <= ResidualStatistics.promptCount, !entry.isLearned {
            learn(entry)
            entry.isLearned = true
        }
        let leaving = waiting[place]
        waiting[place] = entry
        if !leaving.isLearned {
            learn(leaving)
            if !isExtreme { skippedRun = 0 }
        }
    }

    private mutating func learn(_ entry: Entry) {
        learned = min(learned + 1, ResidualStatistics.spreadMemory)
        let residual = Double(entry.residual)
        let bounded = learned < 5 ? residual : min(residual, 3 * spread)
        spread += (bounded * 1.2533 - spread) / learned
        guard learned > 10 else { return }
        size.learn(Double(entry.statistics[0]))
        shortShift.learn(Double(entry.statistics[1]))
        longShift.learn(Double(entry.statistics[2]))
        spreadChange.learn(Double(entry.statistics[3]))
    }

    mutating func forgetRecent() {
        shortMean = 0
        longMean = 0
        magnitude = ResidualStatistics.meanMagnitude
    }
}
