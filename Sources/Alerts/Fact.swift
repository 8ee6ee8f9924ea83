// SPDX-License-Identifier: Apache-2.0

/// Something known about a key at a moment: what conditions look at.
package enum Fact: Sendable {
    /// A sample of a series with the time of its measurement (nanoseconds since 1970), and what the detector said of it
    /// if there is one.
    case sample(series: Int, value: Double, time: Int64, judgement: Judgement?)
    /// All that was detected in one frame, possibly nothing.
    case detections([DetectedClass])
    /// For how long nothing came, and whether that is longer than it should be.
    case silence(seconds: Double, isTooLong: Bool)

    /// A detector's word on a sample.
    package struct Judgement: Sendable, Equatable {
        /// 0...1
        package var score: Double
        package var isAlarm: Bool
        package var expected: ClosedRange<Double>?
        /// Where several series are judged together, the name of the one that the value is of.
        package var series: String?

        package init(score: Double, isAlarm: Bool, expected: ClosedRange<Double>?, series: String? = nil) {
            self.score = score
            self.isAlarm = isAlarm
            self.expected = expected
            self.series = series
        }
    }

    package struct DetectedClass: Sendable, Equatable {
        package var `class`: Int
        /// 0...1
        package var score: Double

        package init(class: Int, score: Double) {
            self.class = `class`
            self.score = score
        }
    }
}
