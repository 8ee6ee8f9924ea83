// SPDX-License-Identifier: Apache-2.0

/// What is looked for. The raw values are those of the configuration.
package enum DetectionMethod: String, Sendable, CaseIterable {
    /// Level, spread, season and flat line of one series, and whether it has been there before; the right one for most.
    case auto
    /// Values and spread beside what the past of the series predicts.
    case level
    /// Usual values at an unusual time of the day or of the week.
    case seasonal
    /// Changes that are faster than ever.
    case rate
    /// A value that stands still where it used to vary.
    case flatLine = "flat_line"
    /// Samples that do not come any more.
    case silence
    /// The series of one device together.
    case multivariate
    /// What a network makes of a window of the series.
    case network

    /// Judges each series by itself, see `SeriesDetector`.
    package var isOfOneSeries: Bool {
        switch self {
        case .auto, .level, .seasonal, .rate, .flatLine: true
        case .silence, .multivariate, .network: false
        }
    }
}
