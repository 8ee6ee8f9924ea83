// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Anomaly

@Suite struct SeriesDetectorTests {
    @Test func constantSeriesIsNeverUnusual() {
        var detector = SeriesDetector(budget: FalseAlarmBudget(count: 1, per: .seconds(3600)))
        let scores = (0..<1000).map { detector.score(20.5, at: $0 * 1_000_000_000).score }
        #expect(scores.max()! < 0.99)
    }
}
