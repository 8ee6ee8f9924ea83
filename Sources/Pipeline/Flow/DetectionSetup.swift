// SPDX-License-Identifier: Apache-2.0

import Anomaly

/// How a pipeline looks for what is unusual.
struct DetectionSetup: Sendable {
    var budget: FalseAlarmBudget
    var methods: [DetectionMethod]
    /// With the method `network`.
    var network: SeriesNetwork?
    /// Series of all devices together that are remembered.
    var seriesLimit: Int
    /// Number of the declared series; nil if they are found as they come.
    var declaredCount: Int?

    /// Those that judge each series by itself.
    var seriesMethods: Set<DetectionMethod> { Set(methods.filter(\.isOfOneSeries)) }
    var judgesEachSeries: Bool { !seriesMethods.isEmpty || network?.form.seriesCount == 1 }
    /// The network that takes all series of a device at once.
    var deviceNetwork: SeriesNetwork? { network?.form.seriesCount == 1 ? nil : network }
    var isMultivariate: Bool { methods.contains(.multivariate) }
    /// Those that judge the series of a device together.
    var deviceMethods: Set<DetectionMethod> {
        Set(isMultivariate ? [.multivariate] : []).union(deviceNetwork != nil ? [.network] : [])
    }
    var watchesSilence: Bool { methods.contains(.silence) }
}
