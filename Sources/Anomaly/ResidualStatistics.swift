// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Judges residuals of a prediction, in units of their spread, in four ways: the size of one (spikes, jumps), running
/// means over about 4 and 16 (drifts, small shifts), and the running magnitude over about 20 against the long-run one
/// (noise that grows or dies). Each has its own tail model.
struct ResidualStatistics: Sendable {
    /// Running means have variance gain / (2 - gain) for white noise.
    private static let shortGain = 0.25
    private static let longGain = 1.0 / 16
    private static let magnitudeGain = 1.0 / 20
    private static let spreadMemory = 200.0
    /// Mean of |z| for a Gaussian z, sqrt(2 / pi), and its standard deviation over that.
    private static let meanMagnitude = 0.7979
    private static let magnitudeDeviation = 0.756

    /// Standard deviation of the residuals, robust, in the units of the series.
    private(set) var spread = 0.0
    private var learned = 0.0
    private var shortMean = 0.0
    private var longMean = 0.0
    private var magnitude = ResidualStatistics.meanMagnitude
    private var size = TailModel.ofGaussian
    private var shortShift = TailModel.ofGaussian
    private var longShift = TailModel.ofGaussian
    private var spreadChange = TailModel.ofGaussian

    /// Takes the next residual and returns the statistics that are judged and learned: in units in which they would
    /// have standard deviation 1 for white Gaussian noise. `smallest`: what the resolution of the values hides, in
    /// units of the spread; a magnitude below says nothing.
    mutating func advance(past z: Double, smallest: Double) -> SIMD4<Float> {
        let bounded = min(max(z, -5), 5)
        shortMean += ResidualStatistics.shortGain * (bounded - shortMean)
        longMean += ResidualStatistics.longGain * (bounded - longMean)
        magnitude += ResidualStatistics.magnitudeGain * (max(abs(bounded), smallest) - magnitude)
        func deviation(_ gain: Double) -> Double { (gain / (2 - gain)).squareRoot() }
        let change = log(max(magnitude, 1e-3) / ResidualStatistics.meanMagnitude)
        let changeDeviation =
            ResidualStatistics.magnitudeDeviation * deviation(ResidualStatistics.magnitudeGain)
        return SIMD4(
            Float(abs(z)), Float(abs(shortMean) / deviation(ResidualStatistics.shortGain)),
            Float(abs(longMean) / deviation(ResidualStatistics.longGain)), Float(abs(change) / changeDeviation))
    }

    /// Logarithms of the four tail probabilities.
    func judge(_ statistics: SIMD4<Float>) -> SIMD4<Double> {
        let s = SIMD4<Double>(statistics)
        return SIMD4(
            size.logSurvival(s[0]), shortShift.logSurvival(s[1]), longShift.logSurvival(s[2]),
            spreadChange.logSurvival(s[3]))
    }

    /// Half the width in which 99 of 100 lie, in units of the spread.
    var expectedWidth: Double { size.quantile(0.01) }

    /// `isUsual`: extremes are known to be what the series does.
    mutating func learn(_ lesson: Lesson, isUsual: Bool) {
        learned = min(learned + 1, ResidualStatistics.spreadMemory)
        let residual = Double(lesson.residual)
        let bounded = learned < 5 ? residual : min(residual, 3 * spread)
        spread += (bounded * 1.2533 - spread) / learned
        guard learned > 10 else { return }
        size.learn(Double(lesson.statistics[0]), isUsual: isUsual)
        shortShift.learn(Double(lesson.statistics[1]), isUsual: isUsual)
        longShift.learn(Double(lesson.statistics[2]), isUsual: isUsual)
        spreadChange.learn(Double(lesson.statistics[3]), isUsual: isUsual)
    }

    /// Learns an extreme alone, of which nothing else is to be learned: a heavy tail would never be known otherwise.
    mutating func learnSize(_ statistics: SIMD4<Float>) { size.learn(Double(statistics[0])) }

    /// What comes now is the new normal: the spread is learned from it.
    mutating func startAnew() { learned = min(learned, 4) }

    mutating func forgetRecent() {
        shortMean = 0
        longMean = 0
        magnitude = ResidualStatistics.meanMagnitude
    }
}

extension ResidualStatistics: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&spread, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&learned, in: 0...ResidualStatistics.spreadMemory)
        try archive.exchange(&shortMean)
        try archive.exchange(&longMean)
        try archive.exchange(&magnitude, in: 0...Double.greatestFiniteMagnitude)
        try size.exchange(&archive)
        try shortShift.exchange(&archive)
        try longShift.exchange(&archive)
        try spreadChange.exchange(&archive)
    }
}
