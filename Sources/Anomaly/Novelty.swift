// SPDX-License-Identifier: Apache-2.0

/// Within an episode of extremes only what goes beyond the ones before is news: after the first one, more of the same
/// kind are to be expected for some samples.
struct Novelty: Sendable {
    /// -ln p from which on a sample is an extreme: p = 10^-3.
    private static let least = 6.9
    /// An episode is over after so many samples without an extreme.
    private static let gap = 60

    private var peak = 0.0
    private var quiet = 0

    /// The surprise (-ln p) that is left of `surprise`.
    mutating func take(_ surprise: Double) -> Double {
        if surprise < Novelty.least {
            quiet += 1
            if quiet > Novelty.gap { peak = 0 }
            return surprise
        }
        quiet = 0
        let left = peak == 0 ? surprise : min(surprise, max(Novelty.least / 2, surprise - peak + Novelty.least / 2))
        peak = max(peak, surprise)
        return left
    }
}
