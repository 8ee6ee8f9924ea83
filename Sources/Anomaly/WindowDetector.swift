// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a network is given and what it gives back.
package struct WindowForm: Sendable, Equatable {
    package enum Target: String, Sendable {
        /// The window that went in: an autoencoder.
        case window
        /// The samples after it, of which the first is looked at.
        case next
    }

    /// Which numbers the network sees.
    package enum Normalization: String, Sendable, CaseIterable {
        /// Each series relative to its long-run mean, in long-run standard deviations, both learned as it goes.
        case series
        /// Each window relative to its own mean and standard deviation.
        case window
        /// As they come: the network does that itself.
        case none
    }

    /// C
    package var seriesCount: Int
    /// N
    package var length: Int
    /// The input is C x N, else N x C. The output of an autoencoder is laid out as its input.
    package var isSeriesMajor = false
    package var target: Target
    package var normalization = Normalization.series

    package init(seriesCount: Int, length: Int, isSeriesMajor: Bool = false, target: Target) {
        precondition(seriesCount > 0 && length > 0)
        self.seriesCount = seriesCount
        self.length = length
        self.isSeriesMajor = isSeriesMajor
        self.target = target
    }

    package var elementCount: Int { seriesCount * length }
}

/// Finds what a network, trained on usual data, cannot predict or reconstruct.
///
/// The network gets the last N samples of C series, normalized; what it makes of them is compared with what is so: with the
/// next sample, or with the window itself. The root mean square of the differences over the series, of the newest sample and
/// (of an autoencoder) of the whole window, relative to its running mean, has a learned tail (`TailModel`); the smaller
/// probability, times the number of them, is compared with the budget (`AlarmThreshold`). So the network's scale does not
/// matter, and a network that is worse than it was raises alarms less, not more.
///
/// A sample that is missing counts as the last one. 4 N C + 40 C + 800 bytes; deterministic if the network is.
package struct WindowDetector: Sendable {
    /// What the network makes of a window: fills the second from the first. False if it could not.
    package typealias Network = (UnsafeBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) -> Bool

    /// Windows before the first alarm.
    static let warmUpCount = 60
    fileprivate static let memory = 1000.0
    private static let largest = 1e30

    package let form: WindowForm
    private let budget: FalseAlarmBudget
    /// The last samples, the oldest at `first`; N x C.
    private var samples: [Double]
    private var first = 0
    private var filled = 0
    private var means: [Double]
    private var deviations: [Double]
    private var learned = 0.0
    /// What the network predicted for the next sample, in the units of the series.
    private var prediction: [Double]
    private var isPredicted = false
    private var newest = ErrorTail()
    private var whole = ErrorTail()
    private var threshold = AlarmThreshold()
    private var seen = 0
    /// The series with the largest error of the last sample.
    package private(set) var mostUnusual = 0
    // Scratch, so that nothing is allocated per sample.
    private var input: [Float]
    private var output: [Float]
    private var offsets: [Double]
    private var units: [Double]

    /// The running mean of an error and the tail of what it is relative to that.
    fileprivate struct ErrorTail: Sendable {
        var mean = 0.0
        var seen = 0.0
        // Relative to the mean of |z| of a Gaussian: its 90 % quantile and the mean excess there.
        var tail = TailModel(threshold: 2.06, scale: 0.51)

        /// Logarithm of the probability of an error at least as large; then learns it.
        mutating func judge(_ error: Double) -> Double {
            let relative = error / max(mean, 1e-9)
            let judged = seen > 10 ? tail.logSurvival(relative) : 0
            seen = min(seen + 1, WindowDetector.memory)
            mean += ((seen < 5 ? error : min(error, 4 * mean)) - mean) / seen
            if seen > 10 { tail.learn(relative) }
            return judged
        }
    }

    /// - Parameter outputCount: elements of the network's output.
    package init(_ form: WindowForm, outputCount: Int, budget: FalseAlarmBudget) {
        precondition(outputCount >= (form.target == .window ? form.elementCount : form.seriesCount))
        self.form = form
        self.budget = budget
        samples = Array(repeating: 0, count: form.elementCount)
        means = Array(repeating: 0, count: form.seriesCount)
        deviations = means
        prediction = means
        offsets = means
        units = means
        input = Array(repeating: 0, count: form.elementCount)
        output = Array(repeating: 0, count: outputCount)
    }

    /// `values`: one for each series, in their order; one that is not finite is missing. All missing, or the network could
    /// not run: score 0.
    package mutating func score(_ values: [Double], at unixNanoseconds: Int64, _ network: Network) -> AnomalyScore {
        precondition(values.count == form.seriesCount)
        guard values.contains(where: \.isFinite) else { return .none }
        let allowed = threshold.take(time: unixNanoseconds, budget: budget)
        let expected = form.seriesCount == 1 && isPredicted ? expectedRange() : nil
        // Errors against the prediction are taken in the units that it was made in.
        let nextError = isPredicted ? error(of: values, against: prediction) : nil
        append(values)
        guard filled == form.length else { return warmingUp(expected) }
        isPredicted = false
        var logProbability = 0.0
        switch form.target {
        case .next:
            if let nextError { logProbability = newest.judge(nextError) }
            if run(network) { predict() }
            guard nextError != nil else { return warmingUp(expected) }
        case .window:
            guard run(network) else { return warmingUp(nil) }
            let (last, all) = reconstructionErrors()
            logProbability = min(newest.judge(last), whole.judge(all)) + M_LN2
        }
        logProbability = min(logProbability, 0)
        guard logProbability.isFinite else { return warmingUp(expected) }
        let isWarmingUp = seen < WindowDetector.warmUpCount
        seen = min(seen + 1, WindowDetector.warmUpCount)
        return AnomalyScore(
            score: 0 - expm1(logProbability), isAlarm: !isWarmingUp && threshold.isAlarm(logProbability, allowed),
            expected: expected, isWarmingUp: isWarmingUp, isOverBudget: threshold.isOverBudget)
    }

    private func warmingUp(_ expected: ClosedRange<Double>?) -> AnomalyScore {
        AnomalyScore(score: 0, isAlarm: false, expected: expected, isWarmingUp: true)
    }

    /// Where 99 of 100 samples were expected.
    private func expectedRange() -> ClosedRange<Double>? {
        let half = newest.seen > 10 ? newest.tail.quantile(0.01) * newest.mean * units[0] : .nan
        guard half.isFinite, half >= 0, prediction[0].isFinite else { return nil }
        return (prediction[0] - half)...(prediction[0] + half)
    }

    private mutating func append(_ values: [Double]) {
        learned = min(learned + 1, max(WindowDetector.memory, 10 * Double(form.length)))
        let newest = (first + filled) % form.length
        let previous = (newest + form.length - 1) % form.length
        for series in 0..<form.seriesCount {
            var value = filled > 0 ? samples[previous * form.seriesCount + series] : 0
            if values[series].isFinite {
                value = min(max(values[series], -WindowDetector.largest), WindowDetector.largest)
                let bound = learned < 10 ? .infinity : 6 * deviations[series]
                let deviation = value - means[series]
                means[series] += (bound > 0 ? min(max(deviation, -bound), bound) : deviation) / learned
                let square = deviations[series] * deviations[series]
                let target = learned < 2 ? 0 : min(deviation * deviation, bound > 0 ? bound * bound : .infinity)
                deviations[series] = max(square + (target - square) / learned, 0).squareRoot()
            }
            samples[newest * form.seriesCount + series] = value
        }
        if filled < form.length { filled += 1 } else { first = (first + 1) % form.length }
    }

    /// Normalizes the window and lets the network work on it.
    private mutating func run(_ network: Network) -> Bool {
        for series in 0..<form.seriesCount {
            (offsets[series], units[series]) = scale(of: series)
            for row in 0..<form.length {
                let place = (first + row) % form.length * form.seriesCount + series
                let value = Float((samples[place] - offsets[series]) / units[series])
                input[form.isSeriesMajor ? series * form.length + row : row * form.seriesCount + series] = value
            }
        }
        return input.withUnsafeBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in network(input, output) }
        }
    }

    private func scale(of series: Int) -> (offset: Double, unit: Double) {
        switch form.normalization {
        case .none: return (0, 1)
        case .series: return (means[series], deviations[series] > 0 ? deviations[series] : 1)
        case .window:
            var (sum, squares) = (0.0, 0.0)
            for row in 0..<form.length { sum += samples[row * form.seriesCount + series] }
            let mean = sum / Double(form.length)
            for row in 0..<form.length {
                let deviation = samples[row * form.seriesCount + series] - mean
                squares += deviation * deviation
            }
            let deviation = (squares / Double(form.length)).squareRoot()
            return (mean, deviation > 0 ? deviation : 1)
        }
    }

    private mutating func predict() {
        // Of several samples the first: C in a row, or with the series outside the first of each.
        let steps = output.count / form.seriesCount
        for series in 0..<form.seriesCount {
            let place = form.isSeriesMajor ? series * steps : series
            prediction[series] = Double(output[place]) * units[series] + offsets[series]
        }
        isPredicted = prediction.allSatisfy(\.isFinite)
    }

    private mutating func error(of values: [Double], against predicted: [Double]) -> Double {
        var (sum, count, largest) = (0.0, 0.0, -1.0)
        for series in 0..<form.seriesCount where values[series].isFinite {
            let difference = (values[series] - predicted[series]) / units[series]
            if abs(difference) > largest { (largest, mostUnusual) = (abs(difference), series) }
            sum += min(difference * difference, WindowDetector.largest)
            count += 1
        }
        return (sum / max(count, 1)).squareRoot()
    }

    /// Root mean squares of the differences: of the newest sample, and of the window.
    private mutating func reconstructionErrors() -> (newest: Double, whole: Double) {
        var (last, all, largest) = (0.0, 0.0, -1.0)
        for row in 0..<form.length {
            for series in 0..<form.seriesCount {
                let place = form.isSeriesMajor ? series * form.length + row : row * form.seriesCount + series
                let difference = Double(input[place]) - Double(output[place])
                let square = min(difference * difference, WindowDetector.largest)
                all += square
                guard row == form.length - 1 else { continue }
                last += square
                if square > largest { (largest, mostUnusual) = (square, series) }
            }
        }
        return ((last / Double(form.seriesCount)).squareRoot(), (all / Double(form.elementCount)).squareRoot())
    }
}

extension WindowDetector: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&samples)
        try archive.exchange(&first, in: 0...form.length - 1)
        try archive.exchange(&filled, in: 0...form.length)
        try archive.exchange(&means)
        try archive.exchange(&deviations)
        guard deviations.allSatisfy({ $0 >= 0 }) else { throw .outOfRange(offset: archive.position) }
        try archive.exchange(&learned, in: 0...max(WindowDetector.memory, 10 * Double(form.length)))
        try archive.exchange(&prediction)
        try archive.exchange(&isPredicted)
        try archive.exchange(&offsets)
        try archive.exchange(&units)
        guard !isPredicted || units.allSatisfy({ $0 > 0 }) else { throw .outOfRange(offset: archive.position) }
        try newest.exchange(&archive)
        try whole.exchange(&archive)
        try threshold.exchange(&archive)
        try archive.exchange(&seen, in: 0...WindowDetector.warmUpCount)
    }
}

extension WindowDetector.ErrorTail: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&mean, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&seen, in: 0...WindowDetector.memory)
        try tail.exchange(&archive)
    }
}
