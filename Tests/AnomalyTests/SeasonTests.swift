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

    /// Work from Monday to Friday: a day of rest that comes every week is usual, one that does not is not.
    @Test func aDayOfRestIsUsualOnItsDayOfTheWeek() throws {
        let days = 56
        let strike = 50
        var detector = SeriesDetector(budget: try FalseAlarmBudget("1/week"), methods: [.seasonal])
        var random = Random(state: 8)
        var highest = Array(repeating: 0.0, count: days)
        for index in 0..<days * SeasonTests.day {
            let day = index / SeasonTests.day
            let isRest = day % 7 >= 5 || day == strike
            let value = Course.square.value(isRest ? 0 : index) + 0.5 * random.gaussian()
            highest[day] = max(highest[day], detector.score(value, at: Int64(index) * SeasonTests.interval).score)
        }
        // From the fifth week on, weekends are known.
        let weekends = (28..<days).filter { $0 % 7 >= 5 }.map { highest[$0] }
        #expect(strike % 7 < 5 && highest[strike] > weekends.max() ?? 1, "\(highest[strike]), \(weekends)")
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
