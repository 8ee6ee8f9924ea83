// SPDX-License-Identifier: Apache-2.0

/// Predicts the next value of a series from a slow level and an autoregression around it, both learned as it goes.
///
/// With m the slow level, S the spread around it, d = (y - m) / S and f a fast running mean of d:
///
///     prediction = m + S (w1 d[t-1] + w2 d[t-2] + w3 f[t-1])
///
/// w starts at 0 (the level alone) and is tracked by a Kalman filter in which w walks randomly: it finds by itself how much
/// of the series follows its own past, from white noise (w = 0) over autocorrelated noise to smooth oscillations
/// (w1 = 2 cos omega, w2 = -1). Each observation has bounded influence on everything that is learned.
struct Predictor: Sendable {
    /// Memory of level and spread, in samples.
    private static let levelMemory = 200.0
    private static let fastGain = 0.25
    private static let priorVariance = 0.25
    /// Per sample; lets the weights change within some hundred samples.
    private static let walkVariance = 1e-5

    private(set) var level = 0.0
    /// Mean absolute deviation from the level, as a standard deviation.
    private(set) var deviation = 0.0
    private var seen = 0.0
    private var weights = SIMD4<Double>.zero
    private var covariance = (
        SIMD4<Double>(Predictor.priorVariance, 0, 0, 0), SIMD4<Double>(0, Predictor.priorVariance, 0, 0),
        SIMD4<Double>(0, 0, Predictor.priorVariance, 0)
    )
    /// y[t-1], y[t-2] and the fast mean, all in the units of the series.
    private var last = 0.0
    private var secondLast = 0.0
    private var fast = 0.0

    private func features(floor: Double) -> SIMD4<Double> {
        let unit = 1 / max(deviation, floor)
        let values = SIMD4(last - level, secondLast - level, fast - level, 0) * unit
        return values.clamped(lowerBound: SIMD4(repeating: -20), upperBound: SIMD4(repeating: 20))
    }

    /// `floor`: the smallest spread that the resolution of the values allows, > 0.
    func prediction(floor: Double) -> Double {
        guard seen > 0 else { return 0 }
        return level + max(deviation, floor) * (weights * features(floor: floor)).sum()
    }

    /// Learns `value` after its prediction. `spread`: the standard deviation of the residuals, in the units of the series.
    mutating func learn(_ value: Double, residual: Double, spread: Double, floor: Double) {
        if seen == 0 {
            (level, fast, last, secondLast, seen) = (value, value, value, value, 1)
            return
        }
        let unit = max(deviation, floor)
        if seen >= 4 { learnWeights(residual: residual, spread: spread, unit: unit, floor: floor) }
        seen = min(seen + 1, Predictor.levelMemory)
        let bound = seen < 5 ? Double.infinity : 4 * unit
        let step = min(max(value - level, -bound), bound)
        level += step / seen
        deviation += (min(abs(value - level) * 1.2533, bound) - deviation) / seen
        fast += Predictor.fastGain * (value - fast)
        (secondLast, last) = (last, value)
    }

    private mutating func learnWeights(residual: Double, spread: Double, unit: Double, floor: Double) {
        let x = features(floor: floor).clamped(lowerBound: SIMD4(repeating: -3), upperBound: SIMD4(repeating: 3))
        let noise = max(spread / unit, 1e-3) * max(1, abs(residual) / (2.5 * spread))
        let px = SIMD4(
            (covariance.0 * x).sum(), (covariance.1 * x).sum(), (covariance.2 * x).sum(), 0)
        let denominator = noise * noise + (px * x).sum()
        let gain = px / denominator
        let bound = 3 * denominator.squareRoot()
        weights += gain * min(max(residual / unit, -bound), bound)
        covariance.0 -= px * gain[0]
        covariance.1 -= px * gain[1]
        covariance.2 -= px * gain[2]
        let room = Predictor.priorVariance
        covariance.0[0] = min(covariance.0[0] + Predictor.walkVariance, room)
        covariance.1[1] = min(covariance.1[1] + Predictor.walkVariance, room)
        covariance.2[2] = min(covariance.2[2] + Predictor.walkVariance, room)
    }

    /// The series has moved for good: begins at a new level, keeps what it knows of spread and autocorrelation.
    mutating func moveLevel(to newLevel: Double) {
        level = newLevel
        fast = newLevel
        seen = min(seen, 10)
    }
}
