// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

@Suite struct SeasonTests {
    private static let interval: Int64 = 300_000_000_000
    private static let day = 288

    /// What repeats every day, without noise.
    enum Course: CaseIterable {
        case wave, square, pulse

        func value(_ index: Int) -> Double {
            let phase = Double(index % SeasonTests.day) / Double(SeasonTests.day)
            switch self {
            case .wave: return 50 + 20 * sin(2 * .pi * phase)
            case .square: return phase < 0.375 || phase > 0.75 ? 20 : 80
            case .pulse: return phase < 0.5 || phase > 0.53 ? 0 : 9
            }
        }
    }

    private func scores(_ series: [Double], budget: String = "1/day") throws -> [AnomalyScore] {
        var detector = SeriesDetector(budget: try FalseAlarmBudget(budget))
        return series.enumerated().map { detector.score($1, at: Int64($0) * SeasonTests.interval) }
    }

    @Test(arguments: Course.allCases)
    func whatComesEveryDayIsNoAlarm(course: Course) throws {
        var random = Random(state: 3)
        let series = (0..<20 * SeasonTests.day).map { course.value($0) + 0.5 * random.gaussian() }
        let alarms = try scores(series, budget: "1/week").dropFirst(5 * SeasonTests.day).map(\.isAlarm)
        let onsets = zip(alarms.dropFirst(), alarms).count { $0 && !$1 }
        #expect(onsets <= 4, "\(onsets) alarms in 15 days")
    }

    @Test(arguments: [Course.square, .wave])
    func aDayThatIsMissingIsNews(course: Course) throws {
        var random = Random(state: 4)
        let quiet = 10 * SeasonTests.day..<11 * SeasonTests.day
        let series = (0..<12 * SeasonTests.day).map { index in
            course.value(quiet.contains(index) ? 0 : index) + 0.5 * random.gaussian()
        }
        let scores = try scores(series).map(\.score)
        #expect((scores[quiet].max() ?? 0) > (scores[5 * SeasonTests.day..<quiet.lowerBound].max() ?? 1))
    }
}
