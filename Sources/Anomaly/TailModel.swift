// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Learns how often a statistic (>= 0, large is unusual) takes its large values, and says how probable a value at least
/// as large is, far beyond what was seen.
///
/// Above the running 90 % quantile u the excesses of most distributions follow a generalized Pareto distribution
/// (J. Pickands, 1975; as in A. Siffer et al., "Anomaly detection in streams with extreme value theory", 2017):
///
///     P(X > x) = 0.1 (1 + xi (x - u) / beta)^(-1 / xi)
///
/// xi and beta come from the probability-weighted moments of the last 32 excesses (J. Hosking, J. Wallis, "Parameter
/// and quantile estimation for the generalized Pareto distribution", 1987), drawn towards what the statistic would
/// follow under Gaussian noise, as if 20 excesses of that had been seen too; with time beta is left to the data, and xi
/// is drawn towards its own running mean instead. A negative xi would say that the tail ends somewhere; of the
/// logarithm above only the first two terms of its series in xi are kept then, which is a tail like the Gaussian's,
/// without end:
///
///     -ln P(X > x) = ln 10 + y - xi y^2 / 2      y = (x - u) / beta, xi < 0
///
/// An excess counts at most as its own 10^-5 quantile, so a single value cannot spoil the model.
struct TailModel: Sendable {
    private static let tailProbability = 0.1
    private static let ringCount = 32
    /// Of the mean of xi, in excesses.
    private static let memory = 500.0
    /// Weight of the prior, in excesses.
    private static let priorCount = 20.0
    private static let priorShape = -0.05
    private static let shapes = -0.15...0.6

    private var excesses = InlineArray<32, Float>(repeating: 0)
    private var next = 0
    private var count = 0
    private var seen = 0.0
    private var excessCount = 0.0
    /// Running mean of the estimates of xi.
    private var usualShape = TailModel.priorShape
    private var threshold: Double
    private let priorScale: Double
    private var scale: Double
    private var shape = TailModel.priorShape

    /// Of the size of a standard Gaussian, until it has learned.
    static let ofGaussian = TailModel(threshold: 1.645, scale: 0.41)

    /// `threshold`: the 90 % quantile under Gaussian noise; `scale`: the mean excess there.
    init(threshold: Double, scale: Double) {
        self.threshold = threshold
        priorScale = scale
        self.scale = scale * (1 - TailModel.priorShape)
    }

    /// Natural logarithm of P(X > x); finite. Below the threshold a rough interpolation.
    func logSurvival(_ x: Double) -> Double {
        let excess = x - threshold
        guard excess > 0 else { return log(TailModel.tailProbability) * pow(max(x, 0) / threshold, 1.4) }
        let relative = excess / scale
        let tail = shape > 1e-6 ? log1p(shape * relative) / shape : relative - shape / 2 * relative * relative
        return max(log(TailModel.tailProbability) - tail, -700)
    }

    /// The value that is exceeded with `probability`, at most 0.1.
    func quantile(_ probability: Double) -> Double {
        let ratio = log(TailModel.tailProbability / probability)
        if abs(shape) < 1e-6 { return threshold + scale * ratio }
        return threshold + scale * (shape > 0 ? expm1(shape * ratio) : 1 - (1 - 2 * shape * ratio).squareRoot()) / shape
    }

    /// `isUsual`: large values are known to be what the statistic does, so they count in full.
    mutating func learn(_ x: Double, isUsual: Bool = false) {
        seen = min(seen + 1, 2000)
        let isExcess = x > threshold
        // The step that a stochastic approximation of a quantile wants is 1 / (n density), and the density there is
        // tailProbability / scale.
        let step = scale / TailModel.tailProbability / (seen + 60)
        let excess = (isUsual ? x : min(x, quantile(1e-5))) - threshold
        threshold = max(threshold + step * ((isExcess ? 1 : 0) - TailModel.tailProbability), 1e-3 * priorScale)
        guard isExcess else { return }
        excesses[next] = Float(excess)
        next = (next + 1) % TailModel.ringCount
        count = min(count + 1, TailModel.ringCount)
        excessCount = min(excessCount + 1, TailModel.memory)
        fit()
    }

    private mutating func fit() {
        var sorted = InlineArray<32, Float>(repeating: 0)
        for index in 0..<count {
            var place = index
            while place > 0, sorted[place - 1] > excesses[index] {
                sorted[place] = sorted[place - 1]
                place -= 1
            }
            sorted[place] = excesses[index]
        }
        let n = Double(count)
        var mean = 0.0
        var weighted = 0.0
        for index in 0..<count {
            mean += Double(sorted[index]) / n
            weighted += Double(sorted[index]) * (n - Double(index + 1)) / max(n - 1, 1) / n
        }
        let difference = mean - 2 * weighted
        let estimate = count >= 3 && difference > 1e-9 * mean ? 2 - mean / difference : TailModel.priorShape
        let bounded = min(max(estimate, -0.5), 1)
        usualShape += (bounded - usualShape) / (excessCount + 5 * TailModel.priorCount)
        let prior = TailModel.priorCount
        shape = (n * bounded + prior * usualShape) / (n + prior)
        shape = min(max(shape, TailModel.shapes.lowerBound), TailModel.shapes.upperBound)
        let scalePrior = prior * n / excessCount
        scale = (n * mean + scalePrior * priorScale) / (n + scalePrior) * (1 - shape)
    }
}

extension TailModel: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&excesses)
        try archive.exchange(&next, in: 0...TailModel.ringCount - 1)
        try archive.exchange(&count, in: 0...TailModel.ringCount)
        try archive.exchange(&seen, in: 0...2000)
        try archive.exchange(&excessCount, in: 0...TailModel.memory)
        try archive.exchange(&usualShape)
        try archive.exchange(&threshold, in: Double.leastNormalMagnitude...Double.greatestFiniteMagnitude)
        try archive.exchange(&scale, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&shape, in: TailModel.shapes)
    }
}
