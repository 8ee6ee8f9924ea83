// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Runs measurements and prints a line for each.
final class Bench {
    /// What is measured: items a second, with the time that one takes.
    struct Result {
        let name: String
        let unit: String
        /// Per item, of each sample, sorted.
        let nanoseconds: [Double]

        var median: Double { nanoseconds[nanoseconds.count / 2] }
        /// Distance of the quartiles as a share of the median.
        var spread: Double {
            (nanoseconds[nanoseconds.count * 3 / 4] - nanoseconds[nanoseconds.count / 4]) / median
        }
    }

    private let filter: String
    private let isJSON: Bool
    let isQuick: Bool

    init(filter: String, isQuick: Bool, isJSON: Bool) {
        self.filter = filter
        self.isQuick = isQuick
        self.isJSON = isJSON
    }

    /// Prints where and how this was measured.
    func begin() {
        #if DEBUG
            let build = "debug build: these figures say nothing"
        #else
            let build = "release build"
        #endif
        let cores = ProcessInfo.processInfo.activeProcessorCount
        guard !isJSON else { return }
        print("\(Bench.processor), \(cores) cores, \(build)\(isQuick ? ", quick" : "")\n")
        print(Bench.columns("benchmark", "median", "per second", "spread"))
    }

    func wants(_ name: String) -> Bool { filter.isEmpty || name.contains(filter) }

    /// Calls `body` until it has taken long enough, for each of several samples, after one sample to warm up.
    /// - Parameter count: items that one call works on.
    @discardableResult
    func measure(_ name: String, unit: String, count: Int = 1, _ body: () throws -> Void) rethrows -> Result? {
        guard wants(name) else { return nil }
        let least = isQuick ? Duration.milliseconds(1) : .milliseconds(200)
        return try samples(name, unit: unit) {
            let clock = ContinuousClock()
            let start = clock.now
            var calls = 0
            repeat {
                try body()
                calls += 1
            } while clock.now - start < least
            return Bench.nanoseconds(clock.now - start) / Double(calls * count)
        }
    }

    /// As `measure`, for a body that says itself how many nanoseconds an item took.
    @discardableResult
    func samples(_ name: String, unit: String, _ body: () throws -> Double) rethrows -> Result? {
        guard wants(name) else { return nil }
        _ = try body()
        let times = try (0..<(isQuick ? 2 : 7)).map { _ in try body() }
        let result = Result(name: name, unit: unit, nanoseconds: times.sorted())
        print(result)
        return result
    }

    static func nanoseconds(_ duration: Duration) -> Double { duration / .nanoseconds(1) }

    /// A remark under the lines before it.
    func note(_ text: String) { if !isJSON { print("    \(text)") } }

    private func print(_ result: Result) {
        let rate = 1e9 / result.median
        if isJSON {
            Swift.print(
                """
                {"name":"\(result.name)","unit":"\(result.unit)","median_ns":\(result.median.rounded()),\
                "per_second":\((rate * 1000).rounded() / 1000),"spread":\((result.spread * 1000).rounded() / 1000)}
                """)
        } else {
            Swift.print(
                Bench.columns(
                    result.name, Bench.time(result.median), "\(Bench.number(rate)) \(result.unit)",
                    "\(Int((result.spread * 100).rounded())) %"))
        }
        fflush(nil)
    }

    private func print(_ line: String) {
        Swift.print(line)
        fflush(nil)
    }

    private static func columns(_ name: String, _ median: String, _ rate: String, _ spread: String) -> String {
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        return name.padding(toLength: 52, withPad: " ", startingAt: 0) + right(median, 10) + right(rate, 20)
            + right(spread, 8)
    }

    private static func time(_ nanoseconds: Double) -> String {
        switch nanoseconds {
        case ..<1e3: "\(Int(nanoseconds.rounded())) ns"
        case ..<1e6: "\((nanoseconds / 10).rounded() / 100) us"
        default: "\((nanoseconds / 1e4).rounded() / 100) ms"
        }
    }

    private static func number(_ value: Double) -> String {
        value < 1000 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))"
    }

    private static var processor: String {
        let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        let name = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
        return name.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
    }
}
