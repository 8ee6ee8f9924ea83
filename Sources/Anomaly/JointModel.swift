// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Learns how the series of one device go together, and judges a set of samples, one of each, as a whole: a set may be
/// unusual though none of its samples is, by breaking a relation or by many small shifts at once.
///
/// Three scales: the samples themselves, and their running means over about 5 and 30 sets. With z the n values of a
/// scale relative to their long-run means, in units of their long-run deviations, and R their correlation, each judges
///
///     T = sqrt(z' R^-1 z / n)        (H. Hotelling, 1947; C. Lowry et al., 1992, for the running means)
///     M = max |z|
///
/// by a `TailModel` each: T for broken relations and shifts of many series, M for a shift of one. A series that drifts has large deviations on the slow scales, so its drift is nothing
/// special, and does not hide what the others do.
///
/// What a set teaches is learned 30 sets later, and never if an extreme one came in between: what builds up slowly is
/// judged by what was before it. Extremes that go on for `patience` are the new normal.
struct JointModel: Sendable {
    static let warmUpCount = 120
    static let patience = 400
    private static let delay = 30
    private static let gains = [1, 0.2, 1.0 / 30]
    private static let logExtreme = log(1e-4)

    private var scales: [JointScale]
    /// Which of the last `delay` sets are to be learned.
    private var isDue = InlineArray<30, Bool>(repeating: false)
    private var seen = 0
    private var extremeRun = 0
    /// Scratch.
    private var bounded: [Double]
    private var usualRun = 0
    /// The series farthest from its mean, by the least probable scale, in the last set.
    private(set) var farthest = 0

    /// `count`: of the series, 1 or more.
    init(count: Int) {
        precondition(count > 0)
        scales = JointModel.gains.map { JointScale(count: count, gain: $0) }
        bounded = Array(repeating: 0, count: count)
    }

    /// Natural logarithm of the probability of a set at least as unusual; then learns it. NaN stands for a sample that
    /// is missing, and counts as the mean. `isHeld`: an alarm goes on, so nothing is learned.
    mutating func judge(_ values: [Double], isHeld: Bool) -> Double {
        let place = seen % JointModel.delay
        let isYoung = seen < JointModel.delay
        if isDue[place] { for index in scales.indices { scales[index].learn(place) } }
        seen += 1
        var logProbability = 0.0
        scales[0].bound(values, into: &bounded)
        for index in scales.indices {
            scales[index].take(index == 0 ? values : bounded, place)
            if isYoung {
                scales[index].learn(place)
            } else {
                let judged = scales[index].judge(place)
                if judged < logProbability { (logProbability, farthest) = (judged, scales[index].farthest) }
            }
        }
        isDue[place] = !isYoung
        guard seen >= JointModel.warmUpCount else {
            if seen >= JointModel.warmUpCount / 2 { for index in scales.indices { scales[index].learnTail() } }
            return 0
        }
        logProbability = min(0, logProbability + log(Double(2 * scales.count)))
        follow(isExtreme: isHeld || logProbability < JointModel.logExtreme)
        return logProbability
    }

    private mutating func follow(isExtreme: Bool) {
        usualRun = isExtreme ? 0 : min(usualRun + 1, JointModel.delay)
        if usualRun == JointModel.delay { extremeRun = 0 }
        guard isExtreme else {
            for index in scales.indices { scales[index].learnTail() }
            return
        }
        extremeRun += 1
        for place in 0..<JointModel.delay { isDue[place] = false }
        guard extremeRun > JointModel.patience else { return }
        extremeRun = 0
        let levels = scales[0].recentMeans
        for index in scales.indices { scales[index].startAnew(at: levels) }
    }
}

/// One scale of a `JointModel`.
struct JointScale: Sendable {
    private static let memory = 600.0
    private static let delay = 30
    /// No deviation counts as larger, in standard deviations.
    private static let limit = 8.0

    private let count: Int
    private let gain: Double
    private var averages: [Double]
    private var waiting: [Double]
    private var means: [Double]
    /// Row by row.
    private var covariance: [Double]
    private var learned = 0.0
    private var distanceTail: TailModel
    private var largestTail: TailModel
    private var distance = 0.0
    private var largest = 0.0
    private(set) var farthest = 0
    // Scratch, so that nothing is allocated per set.
    private var deviations: [Double]
    private var factor: [Double]
    private var solution: [Double]

    init(count: Int, gain: Double) {
        self.count = count
        self.gain = gain
        averages = Array(repeating: .nan, count: count)
        waiting = Array(repeating: 0, count: JointScale.delay * count)
        means = Array(repeating: 0, count: count)
        covariance = Array(repeating: 0, count: count * count)
        deviations = means
        factor = covariance
        solution = means
        // The 90 % quantile of sqrt(chi^2 / n) and the mean excess there (E. Wilson, M. Hilferty, 1931).
        let n = Double(count)
        let quantile = pow(1 - 2 / (9 * n) + 1.2816 * (2 / (9 * n)).squareRoot(), 1.5)
        distanceTail = TailModel(threshold: quantile, scale: 0.29 / n.squareRoot())
        // The 90 % quantile of the largest of n |z| and the mean excess there, by the tail of the normal distribution.
        let largestQuantile = (2 * log(n * 10 / 1.2533)).squareRoot()
        largestTail = TailModel(threshold: largestQuantile, scale: 0.9 / largestQuantile)
    }

    /// Values, but none farther than four deviations from its mean: one far value does not fill a running mean for long.
    func bound(_ values: [Double], into bounded: inout [Double]) {
        for index in 0..<count {
            let limit = learned < 30 ? .infinity : 4 * covariance[index * count + index].squareRoot()
            bounded[index] =
                values[index].isNaN ? .nan : min(max(values[index], means[index] - limit), means[index] + limit)
        }
    }

    /// The next set, to be kept at a place.
    mutating func take(_ values: [Double], _ place: Int) {
        for index in 0..<count {
            if averages[index].isNaN {
                averages[index] = values[index]
                if !values[index].isNaN { means[index] = values[index] }
            } else if !values[index].isNaN {
                averages[index] += gain * (values[index] - averages[index])
            }
            waiting[place * count + index] = values[index].isNaN ? means[index] : averages[index]
        }
    }

    /// Logarithm of the smaller one of the probabilities of T and M of the set at a place.
    mutating func judge(_ place: Int) -> Double {
        factorize()
        var squares = 0.0
        largest = 0
        for row in 0..<count {
            let deviation = covariance[row * count + row].squareRoot()
            let z = deviation > 0 ? (waiting[place * count + row] - means[row]) / deviation : 0
            if abs(z) > largest { (largest, farthest) = (abs(z), row) }
            var value = min(max(z, -JointScale.limit), JointScale.limit)
            for k in 0..<row { value -= factor[row * count + k] * solution[k] }
            solution[row] = value / factor[row * count + row]
            squares += solution[row] * solution[row]
        }
        distance = (squares / Double(count)).squareRoot()
        return min(distanceTail.logSurvival(distance), largestTail.logSurvival(largest))
    }

    mutating func learnTail() {
        distanceTail.learn(distance)
        largestTail.learn(largest)
    }

    /// Cholesky factor of the correlation, drawn towards independence as long as little is known.
    private mutating func factorize() {
        let own = 0.05 + Double(count) / (Double(count) + learned * gain / (2 - gain))
        let shared = 1 - min(own, 1)
        for row in 0..<count {
            for column in 0...row {
                var sum = row == column ? 1.0 : shared * correlation(row, column)
                for k in 0..<column { sum -= factor[row * count + k] * factor[column * count + k] }
                factor[row * count + column] =
                    row == column ? max(sum, 1e-4).squareRoot() : sum / factor[column * count + column]
            }
        }
    }

    private func correlation(_ row: Int, _ column: Int) -> Double {
        let product = covariance[row * count + row] * covariance[column * count + column]
        return product > 0 ? covariance[row * count + column] / product.squareRoot() : 0
    }

    mutating func learn(_ place: Int) {
        learned = min(learned + 1, JointScale.memory)
        for row in 0..<count {
            let limit = learned < 10 ? .infinity : 4 * covariance[row * count + row].squareRoot()
            let deviation = waiting[place * count + row] - means[row]
            deviations[row] = limit > 0 ? min(max(deviation, -limit), limit) : deviation
        }
        for row in 0..<count {
            means[row] += deviations[row] / learned
            for column in 0...row {
                let target = deviations[row] * deviations[column] * (1 - 1 / learned)
                covariance[row * count + column] += (target - covariance[row * count + column]) / learned
            }
        }
    }

    /// Of the last sets.
    var recentMeans: [Double] {
        (0..<count).map { index in
            stride(from: index, to: waiting.count, by: count).reduce(0) { $0 + waiting[$1] } / Double(JointScale.delay)
        }
    }

    /// Learning begins anew at other levels; what is known of deviations and correlation stays.
    mutating func startAnew(at levels: [Double]) {
        learned = min(learned, 20)
        means = levels
        guard gain < 1 else { return }
        averages = levels
        for index in waiting.indices { waiting[index] = levels[index % count] }
    }
}

extension JointModel: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        for index in scales.indices { try scales[index].exchange(&archive) }
        for index in 0..<JointModel.delay { try archive.exchange(&isDue[index]) }
        try archive.exchange(&seen, in: 0...Int.max - 1)
        try archive.exchange(&extremeRun, in: 0...JointModel.patience)
        try archive.exchange(&usualRun, in: 0...JointModel.delay)
    }
}

extension JointScale: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        for index in averages.indices {
            var known: Double? = averages[index].isNaN ? nil : averages[index]
            try archive.exchange(&known)
            averages[index] = known ?? .nan
        }
        try archive.exchange(&waiting)
        try archive.exchange(&means)
        try archive.exchange(&covariance)
        for index in 0..<count where covariance[index * count + index] < 0 {
            throw .outOfRange(offset: archive.position)
        }
        try archive.exchange(&learned, in: 0...JointScale.memory)
        try distanceTail.exchange(&archive)
        try largestTail.exchange(&archive)
        try archive.exchange(&distance, in: 0...Double.greatestFiniteMagnitude)
        try archive.exchange(&largest, in: 0...Double.greatestFiniteMagnitude)
    }
}
