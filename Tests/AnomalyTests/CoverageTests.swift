// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Anomaly

@Suite struct CoverageTests {
    /// Learns 0...100 in steps of 1, over and over, as often as it takes for the warm-up to be over.
    private func learned(_ values: [Float], count: Int = 200) -> Coverage {
        var coverage = Coverage()
        for index in 0..<count { _ = coverage.take(values[index % values.count], fallbackRange: 1) }
        return coverage
    }

    @Test func whatWasThereIsNotNew() {
        var coverage = learned([1, 2, 5, 7, 100])
        for value: Float in [1, 2, 5, 7, 100] { #expect(coverage.take(value, fallbackRange: 1) == 0) }
    }

    /// Half the smallest step, 1, is taken off; the range is 100.
    @Test(arguments: [(Float(103), Float(0.025)), (-20, 0.195), (50, 0.395), (5000, 10)])
    func distanceIsThatToTheNearestOverTheRange(value: Float, expected: Float) {
        var coverage = learned([0, 1, 10, 90, 100])
        #expect(abs(coverage.take(value, fallbackRange: 1) - expected) < 0.006)
    }

    @Test func whatIsNewOnceIsNotNewAgain() {
        var coverage = learned([0, 1, 10, 90, 100])
        #expect(coverage.take(300, fallbackRange: 1) > 1)
        #expect(coverage.take(300, fallbackRange: 1) == 0)
    }

    @Test func unitAndOffsetDoNotMatter() {
        let series = Noise.laplace.series(count: 3000, seed: 3)
        var (one, other) = (Coverage(), Coverage())
        for value in series {
            let a = one.take(Float(value), fallbackRange: 1)
            let b = other.take(Float(value * 1024), fallbackRange: 1)
            #expect(a == b)
        }
    }

    @Test func constantValuesUseTheFallbackRange() {
        var coverage = learned([5])
        #expect(coverage.take(6, fallbackRange: 10) == 0.05)
    }

    @Test func forgetsWhatIsLongGone() {
        var coverage = learned([0, 1, 2])
        _ = coverage.take(2.5, fallbackRange: 1)
        for index in 0..<3000 { _ = coverage.take(Float(index % 3), fallbackRange: 1) }
        #expect(coverage.take(2.5, fallbackRange: 1) == 0)
        for index in 0..<4200 { _ = coverage.take(Float(index % 3), fallbackRange: 1) }
        #expect(coverage.take(2.5, fallbackRange: 1) > 0)
    }

    /// Against the definition, with all values of the same blocks kept: intervals join only what is close, so the
    /// distance is never larger than the exact one, and not much smaller.
    @Test(arguments: [Noise.gaussian, .laplace, .student3, .quantized])
    func agreesWithAllValuesKept(noise: Noise) {
        let series = noise.series(count: 6000, seed: 11).map(Float.init)
        var coverage = Coverage()
        var largest: Float = 0
        var step = Float.greatestFiniteMagnitude
        for (index, value) in series.enumerated() {
            let found = coverage.take(value, fallbackRange: 1)
            guard index > 600 else { continue }
            let kept = series[max(0, (index - 1) / 512 - 7) * 512..<index]
            let nearest = kept.reduce(Float.infinity) { min($0, abs($1 - value)) }
            if nearest > 0 { step = min(step, nearest) }
            let exact = nearest / ((kept.max() ?? 0) - (kept.min() ?? 0))
            #expect(found <= exact + 1e-6)
            largest = max(largest, exact - found)
        }
        #expect(largest < 0.03, "\(largest)")
    }
}
