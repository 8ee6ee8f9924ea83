// SPDX-License-Identifier: Apache-2.0

/// Exponential backoff with full jitter: before retry n = 0, 1, ... it waits between `minimum` and
/// `min(maximum, first * 2^n)`, uniformly at random, so that many clients do not return to a broker at once.
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
package struct Backoff: Sendable, Equatable {
    /// Keeps a client whose luck draws zero from spinning.
    package var minimum = Duration.milliseconds(20)
    package var first = Duration.milliseconds(250)
    package var maximum = Duration.seconds(2)

    package init() {}

    package init(minimum: Duration, first: Duration, maximum: Duration) {
        precondition(minimum >= .zero && minimum <= first && first <= maximum)
        self.minimum = minimum
        self.first = first
        self.maximum = maximum
    }

    /// `chance` in 0 ..< 1.
    package func delay(retry: Int, chance: Double) -> Duration {
        assert(retry >= 0 && (0..<1).contains(chance))
        let bound = min(maximum, first * (1 << min(retry, 20)))
        return minimum + (bound - minimum) * chance
    }
}
