// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Inference
import ModelGraph

struct ModelBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure how fast a network runs here.",
        discussion: """
            Runs the network on inputs of zeros, one run after the other, after a tenth of the time to warm up. Times are of \
            one run of the whole batch. With --profile the time of each step of one item follows.
            """)

    @Argument(help: ArgumentHelp("The network, a .bsm or .onnx file.", valueName: "model"))
    var model: String

    @Option(
        help: "Inputs that one run takes; of a network made for N at a time a multiple of N, N if nothing is said.")
    var batch: Int?

    @Option(help: "Threads that one run uses.")
    var threads = 1

    @Option(help: "How long to measure.")
    var seconds = 3.0

    @Flag(inversion: .prefixedNo, help: "Load with the help of what was kept when the model file was loaded before.")
    var cache = true

    @Flag(help: "Print the time of each step too, the median of 50 runs, and billions of multiplications a second.")
    var profile = false

    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        guard (1...1024).contains(batch ?? 1) else { throw ValidationError("--batch is 1 to 1024") }
        guard (1...256).contains(threads) else { throw ValidationError("--threads is 1 to 256") }
        guard !profile || !json else { throw ValidationError("--profile prints no JSON") }
        guard seconds > 0, seconds <= 3600 else { throw ValidationError("--seconds is more than 0, at most 3600") }
    }

    func run() throws {
        let clock = ContinuousClock()
        let start = clock.now
        let compiled = try reported {
            try ModelSource(path: model).compile(
                inputs: batch, threads: threads, cache: cache ? .standard : PlanCache(folder: nil))
        }
        let (session, items) = (compiled.makeSession(), compiled.batch)
        let load = clock.now - start
        var times: [Duration] = []
        let warm = clock.now + .seconds(seconds / 10)
        repeat { try reported { try session.run(batch: items) } } while clock.now < warm
        let end = clock.now + .seconds(seconds)
        repeat {
            let before = clock.now
            try reported { try session.run(batch: items) }
            times.append(clock.now - before)
        } while clock.now < end
        times.sort()
        let median = Self.milliseconds(times[times.count / 2])
        let late = Self.milliseconds(times[min(times.count - 1, times.count * 99 / 100)])
        let memory = Self.peakMebibytes
        if json {
            print(
                """
                {"median_ms":\(median),"p99_ms":\(late),"load_ms":\(Self.milliseconds(load)),"peak_rss_mib":\(memory),\
                "runs":\(times.count),"batch":\(batch ?? items),"threads":\(threads)}
                """)
        } else {
            if profile { try printProfile(session) }
            print(
                "median \(median) ms, 99th percentile \(late) ms of \(times.count) runs; "
                    + "loaded in \(Self.milliseconds(load)) ms, at most \(memory) MiB resident")
        }
    }

    private func printProfile(_ session: Session) throws {
        var steps: [(name: String, work: Int, times: [Duration])] = []
        for run in 0..<50 {
            var index = 0
            try reported {
                try session.profile { name, work, time in
                    if run == 0 { steps.append((name, work, [])) }
                    steps[index].times.append(time)
                    index += 1
                }
            }
        }
        for step in steps {
            let microseconds = step.times.sorted()[step.times.count / 2] / .microseconds(1)
            let rate = step.work > 0 ? String(format: "%7.1f GMAC/s", Double(step.work) / microseconds / 1000) : ""
            print(String(format: "%9.1f us ", microseconds) + rate + "  " + step.name)
        }
    }

    /// To a thousandth.
    private static func milliseconds(_ duration: Duration) -> Double {
        (duration / .microseconds(1)).rounded() / 1000
    }

    /// `VmHWM`: unlike `getrusage`, it does not count what the parent process held before this one began.
    private static var peakMebibytes: Double {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) } ?? 0
        return (kibibytes / 1024 * 10).rounded() / 10
    }
}
