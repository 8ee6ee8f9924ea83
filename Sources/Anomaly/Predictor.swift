// SPDX-License-Identifier: Apache-2.0

/// Predicts the next value of a series from a slow level and an autoregression around it, both learned as it goes.
///
/// With m the slow level, S the spread around it, d = (y - m) / S and f a fast running mean of d:
///
///     prediction = m + S (w1 d[t-1] + w2 d[t-2] + w3 f[t-1])
///
/// w starts at 0 (the level alone) and is tracked by a Kalman filter in which w walks randomly: it finds by itself how
/// much of the series follows its own past, from white noise (w = 0) over autocorrelated noise to smooth oscillations
/// (w1 = 2 cos omega, w2 = -1). What the filter does not know about w yet widens the prediction. Each observation has
/// bounded influence on everything that is learned.
struct Predictor: Sendable {
    struct Prediction {
        var value: Double
        /// Standard deviation from the uncertainty of w alone, in the units of the series.
        var uncertainty: Double
        fileprivate(set) var features: SIMD4<Double>
    }

    /// Memory of level and spread, in samples.
    private static let levelMemory = 200.0
    private static let fastGain = 0.25
    /// No past value counts as farther from the level, in spreads.
    private static let featureLimit = 20.0
    private static let priorVariance = 0.25
    /// Per sample; lets the weights change within some hundred samples.
    private static let walkVariance = 1e-5

    private var level = 0.0
    /// Mean absolute deviation from the level, as a standard deviation.
    private var deviation = 0.0
    private var learned = 0.0
    private var weights = SIMD4<Double>.zero
    private var covariance = (
        SIMD4<Double>(Predictor.priorVariance, 0, 0, 0), SIMD4<Double>(0, Predictor.priorVariance, 0, 0),
        SIMD4<Double>(0, 0, Predictor.priorVariance, 0)
    )
    /// y[t-1], y[t-2] and the fast mean, all in the units of the series.
    private var last = 0.0
    private var secondLast = 0.0
    private var fast = 0.0

    init(first value: Double) { (level, last, secondLast, fast, learned) = (value, value, value, value, 1) }

    /// `floor`: the smallest spread that the resolution of the values allows, > 0.
    func predict(floor: Double) -> Prediction {
        let unit = max(deviation, floor)
        let limit = SIMD4<Double>(repeating: Predictor.featureLimit)
        let x = (SIMD4(last - level, secondLast - level, fast - level, 0) / unit).clamped(
            lowerBound: -limit, upperBound: limit)
        let variance = (covarianceTimes(x) * x).sum()
        return Prediction(
            value: level + unit * (weights * x).sum(), uncertainty: unit * max(variance, 0).squareRoot(), features: x)
    }

    /// A value relative to the level, in units of the spread around it.
    func standardized(_ value: Double, floor: Double) -> Double { (value - level) / max(deviation, floor) }

    /// What the sample teaches, to be learned now or later.
    func lesson(of value: Double, after prediction: Prediction, floor: Double) -> Lesson {
        Lesson(
            value: value, target: Float((value - level) / max(deviation, floor)),
            residual: Float(abs(value - prediction.value)), features: SIMD4<Float>(prediction.features))
    }

    /// The next prediction follows this sample.
    mutating func advance(past value: Double, floor: Double) {
        let bound = Predictor.featureLimit * max(deviation, floor)
        fast += Predictor.fastGain * min(max(value - fast, -bound), bound)
        (secondLast, last) = (last, value)
    }

    /// `spread`: the standard deviation of the residuals, in the units of the series.
    mutating func learn(_ lesson: Lesson, spread: Double, floor: Double) {
        let unit = max(deviation, floor)
        if learned >= 4 { learnWeights(lesson, noise: max(spread / unit, 1e-3)) }
        learned = min(learned + 1, Predictor.levelMemory)
        let bound = learned < 5 ? Double.infinity : 4 * unit
        level += min(max(lesson.value - level, -bound), bound) / learned
        deviation += (min(abs(lesson.value - level) * 1.2533, bound) - deviation) / learned
    }

    /// Kalman update. A surprising observation counts as a noisier one, and no feature counts as more than 3 spreads:
    /// one outlier would else look like proof that the series follows its past.
    private mutating func learnWeights(_ lesson: Lesson, noise: Double) {
        let limit = SIMD4<Double>(repeating: 3)
        let raw = SIMD4<Double>(lesson.features)
        let shrink = min(1, 3 / max(raw.max(), -raw.min(), 3))
        let x = (raw * shrink).clamped(lowerBound: -limit, upperBound: limit)
        let error = Double(lesson.target) * shrink - (weights * x).sum()
        let effective = noise * max(1, abs(error) / (2.5 * noise))
        let px = covarianceTimes(x)
        let denominator = effective * effective + (px * x).sum()
        let bound = 3 * denominator.squareRoot()
        let gain = px / denominator
        weights += gain * min(max(error, -bound), bound)
        let room = Predictor.priorVariance
        covariance.0 -= px * gain[0]
        covariance.1 -= px * gain[1]
        covariance.2 -= px * gain[2]
        covariance.0[0] = min(covariance.0[0] + Predictor.walkVariance, room)
        covariance.1[1] = min(covariance.1[1] + Predictor.walkVariance, room)
        covariance.2[2] = min(covariance.2[2] + Predictor.walkVariance, room)
    }

    private func covarianceTimes(_ x: SIMD4<Double>) -> SIMD4<Double> {
        SIMD4((covariance.0 * x).sum(), (covariance.1 * x).sum(), (covariance.2 * x).sum(), 0)
    }

    /// The series has moved for good: begins at a new level, keeps what it knows of spread and autocorrelation.
    mutating func moveLevel(to newLevel: Double) {
        level = newLevel
        fast = newLevel
        learned = min(learned, 10)
    }
}

extension Predictor: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&level)
        try archive.exchange(&deviation, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&learned, in: 1...Predictor.levelMemory)
        try archive.exchange(&weights)
        try archive.exchange(&covariance.0)
        try archive.exchange(&covariance.1)
        try archive.exchange(&covariance.2)
        try archive.exchange(&last)
        try archive.exchange(&secondLast)
        try archive.exchange(&fast)
    }
}
