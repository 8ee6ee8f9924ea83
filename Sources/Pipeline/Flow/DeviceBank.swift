// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly
import Telemetry

/// The devices of a pipeline, the series of each judged together: by `DeviceDetector`, by a network, or both.
///
/// What a message has of one moment is a set of samples. Without declared series those of the first `gatheringCount` sets
/// are the device's; when others come later, learning begins anew with them. A device has at most `mostSeries`.
struct DeviceBank: Sendable {
    static let mostSeries = 64
    private static let gatheringCount = 20

    /// What is said of a set.
    struct Finding: Sendable {
        var method: DetectionMethod
        var score: AnomalyScore
        /// Number of the series that is most unusual, and its sample.
        var series: Int
        var value: Double
        var time: Int64
        /// It has to be told though it is no alarm: the one before was.
        var isNews: Bool
    }

    /// `@unchecked Sendable`: belongs to one bank, which is never copied.
    private final class Device: @unchecked Sendable {
        let key: String
        /// Numbers of the series, by place in a set.
        var members: [Int] = []
        var gathered = 0
        var together: DeviceDetector?
        var window: WindowDetector?
        var mayBeOpen: Set<DetectionMethod> = [.multivariate, .network]
        var hasLearned = false
        var isOverBudget = false

        init(key: String) { self.key = key }
    }

    private let setup: DetectionSetup
    private let runner: SeriesNetwork.Runner?
    private var registry: SeriesRegistry
    private var devices: [Device] = []
    private(set) var overBudgetCount = 0
    // Scratch.
    private var set: [Double] = []

    var isEmpty: Bool { !setup.isMultivariate && setup.deviceNetwork == nil }

    init(_ setup: DetectionSetup) {
        self.setup = setup
        runner = setup.deviceNetwork?.makeRunner()
        let perDevice = min(setup.declaredCount ?? 8, DeviceBank.mostSeries)
        registry = SeriesRegistry(capacity: max(setup.seriesLimit / max(perDevice, 1), 1))
    }

    /// Judges the sets in the samples of a message of a device, and learns them.
    mutating func score(
        _ samples: [Sample], key: String, memory: inout SeriesMemory, reader: inout SampleReader
    ) -> [Finding] {
        guard !isEmpty, !samples.isEmpty else { return [] }
        let device = device(key, &memory, &reader)
        var findings: [Finding] = []
        var first = 0
        while first < samples.count {
            var end = first + 1
            while end < samples.count, samples[end].unixNanoseconds == samples[first].unixNanoseconds,
                !samples[first..<end].contains(where: { $0.series == samples[end].series })
            {
                end += 1
            }
            score(samples[first..<end], of: device, into: &findings)
            first = end
        }
        return findings
    }

    private mutating func score(_ samples: ArraySlice<Sample>, of device: Device, into findings: inout [Finding]) {
        guard let time = samples.first?.unixNanoseconds, gather(samples, device), !device.members.isEmpty else {
            return
        }
        set.removeAll(keepingCapacity: true)
        set.append(contentsOf: repeatElement(.nan, count: device.members.count))
        for sample in samples {
            if let place = device.members.firstIndex(of: sample.series) { set[place] = sample.value }
        }
        guard set.contains(where: \.isFinite) else { return }
        device.hasLearned = true
        var isOver = false
        func add(_ method: DetectionMethod, _ score: AnomalyScore, _ place: Int) {
            isOver = isOver || score.isOverBudget
            let isNews = score.isAlarm || device.mayBeOpen.contains(method)
            if score.isAlarm { device.mayBeOpen.insert(method) } else { device.mayBeOpen.remove(method) }
            let shown =
                set.indices.contains(place) && set[place].isFinite ? place : set.firstIndex(where: \.isFinite) ?? 0
            findings.append(
                Finding(
                    method: method, score: score, series: device.members[shown], value: set[shown], time: time,
                    isNews: isNews))
        }
        if let score = device.together?.score(set, at: time) {
            add(.multivariate, score, device.together?.mostUnusual ?? 0)
        }
        if let runner, let score = device.window?.score(set, at: time, runner.run) {
            add(.network, score, device.window?.mostUnusual ?? 0)
        }
        if isOver != device.isOverBudget {
            device.isOverBudget = isOver
            overBudgetCount += isOver ? 1 : -1
        }
    }

    /// Finds out which series the device has; false as long as that is not known.
    private func gather(_ samples: ArraySlice<Sample>, _ device: Device) -> Bool {
        guard setup.declaredCount == nil else { return true }
        let isGathering = device.together == nil
        for sample in samples where !device.members.contains(sample.series) {
            guard device.members.count < DeviceBank.mostSeries else { break }
            device.members.append(sample.series)
            if !isGathering { (device.together, device.gathered) = (nil, 0) }
        }
        guard device.together == nil else { return true }
        device.gathered += 1
        guard device.gathered > DeviceBank.gatheringCount else { return false }
        device.members.sort()
        device.together = DeviceDetector(seriesCount: device.members.count, budget: setup.budget)
        return true
    }

    private mutating func device(
        _ key: String, _ memory: inout SeriesMemory, _ reader: inout SampleReader
    ) -> Device {
        let place = registry.place(of: SeriesID(key: key, series: 0))
        guard place.isNew else { return devices[place.slot] }
        let device = Device(key: key)
        if let count = setup.declaredCount {
            device.members = Array(0..<count)
            if setup.isMultivariate { device.together = DeviceDetector(seriesCount: count, budget: setup.budget) }
        }
        if let network = setup.deviceNetwork {
            device.window = WindowDetector(network.form, outputCount: network.outputCount, budget: setup.budget)
        }
        restore(device, &memory, &reader)
        if place.slot == devices.count {
            devices.append(device)
        } else {
            let replaced = devices[place.slot]
            if replaced.isOverBudget { overBudgetCount -= 1 }
            for method in ["multivariate", "network"] {
                memory.forget(SeriesName(key: replaced.key, series: SeriesMemory.device(method)))
            }
            devices[place.slot] = device
        }
        return device
    }

    // MARK: Across restarts

    var count: Int { devices.count }

    /// A snapshot has the names of the series in its first line, with tabs between them.
    private func restore(_ device: Device, _ memory: inout SeriesMemory, _ reader: inout SampleReader) {
        func stored(_ method: DetectionMethod) -> (names: [String], bytes: [UInt8])? {
            let name = SeriesName(key: device.key, series: SeriesMemory.device(method.rawValue))
            guard let bytes = memory.take(name), let end = bytes.firstIndex(of: 0x0A) else { return nil }
            let names = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\t").map(String.init)
            return (names, Array(bytes[(end + 1)...]))
        }
        if setup.isMultivariate, let (names, bytes) = stored(.multivariate), names.count <= DeviceBank.mostSeries {
            let members = names.compactMap { reader.number(of: $0) }
            let isSame = setup.declaredCount == nil ? members.count == names.count : members == device.members
            if isSame, !members.isEmpty,
                let detector = try? DeviceDetector(snapshot: bytes, seriesCount: members.count, budget: setup.budget)
            {
                (device.members, device.together) = (members, detector)
            }
        }
        if let network = setup.deviceNetwork, let (_, bytes) = stored(.network),
            let detector = try? WindowDetector(
                snapshot: bytes, network.form, outputCount: network.outputCount, budget: setup.budget)
        {
            device.window = detector
        }
    }

    /// What a device has learned since this was last asked.
    mutating func takeSnapshots(slot: Int, names: [String]) -> [(name: SeriesName, bytes: [UInt8])] {
        let device = devices[slot]
        guard device.hasLearned else { return [] }
        device.hasLearned = false
        let line = Array((device.members.map { names[$0] }.joined(separator: "\t") + "\n").utf8)
        func row(_ method: DetectionMethod, _ bytes: [UInt8]) -> (name: SeriesName, bytes: [UInt8]) {
            (SeriesName(key: device.key, series: SeriesMemory.device(method.rawValue)), line + bytes)
        }
        var rows: [(name: SeriesName, bytes: [UInt8])] = []
        if let together = device.together { rows.append(row(.multivariate, together.snapshot)) }
        if let window = device.window { rows.append(row(.network, window.snapshot)) }
        return rows
    }
}
