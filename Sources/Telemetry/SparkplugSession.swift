// SPDX-License-Identifier: Apache-2.0

/// What is known of an edge node from its births: its metrics and those of its devices, and which message comes next.
struct SparkplugSession: Sendable {
    /// What a birth says of a metric.
    struct Metric: Sendable {
        /// Nil for types that are no numbers.
        var type: SparkplugType?
        /// Position of the series, or below 0: not read.
        var series: Int
    }

    private enum Name: Hashable {
        case alias(UInt64)
        /// Of a device, or of the node itself with an empty device.
        case name(device: String, String)
    }

    private struct Entry {
        var device: String
        var metric: Metric
    }

    private(set) var isAlive = false
    /// Counts sessions of the node; its death says which one ended.
    private var birthDeathSequence: UInt64?
    private var lastSequence: UInt64?
    private var entries: [Name: Entry] = [:]
    private var devices: Set<String> = []
    /// Monotonic; when births were last asked for.
    private var askedAt: Int64?

    /// Aliases, names and devices.
    var entryCount: Int { entries.count + devices.count }
    private static let deviceLimit = 4096

    /// Not more often, as births are large.
    private static let askAgainAfterNanoseconds: Int64 = 10_000_000_000

    mutating func beginBirth(sequence: UInt64?, birthDeathSequence: UInt64?) {
        isAlive = true
        self.birthDeathSequence = birthDeathSequence
        lastSequence = sequence ?? 0
        entries.removeAll()
        devices.removeAll()
    }

    mutating func beginBirth(ofDevice device: String) {
        forget(device)
        if devices.count < SparkplugSession.deviceLimit { devices.insert(device) }
    }

    /// A metric of a birth has a name, and often an alias that is unique for the node and its devices.
    mutating func add(_ metric: Metric, name: String, alias: UInt64?, device: String) {
        let entry = Entry(device: device, metric: metric)
        entries[.name(device: device, name)] = entry
        if let alias { entries[.alias(alias)] = entry }
    }

    func metric(alias: UInt64?, name: String?, device: String) -> Metric? {
        if let alias, let entry = entries[.alias(alias)] { return entry.metric }
        return name.flatMap { entries[.name(device: device, $0)]?.metric }
    }

    func isBorn(device: String) -> Bool { isAlive && (device.isEmpty || devices.contains(device)) }

    /// Whether no message is missing before this one. After a gap the count goes on from here.
    mutating func follows(_ sequence: UInt64?) -> Bool {
        guard let sequence, let last = lastSequence else { return true }
        lastSequence = sequence
        return sequence == (last + 1) & 255
    }

    /// False for the death of another session than the current one.
    mutating func endSession(birthDeathSequence: UInt64?) -> Bool {
        if isAlive, let current = self.birthDeathSequence, let ended = birthDeathSequence, current != ended {
            return false
        }
        isAlive = false
        lastSequence = nil
        entries.removeAll()
        devices.removeAll()
        return true
    }

    mutating func end(device: String) { forget(device) }

    /// Whether it is time to ask for births.
    mutating func mayAsk(at monotonicNanoseconds: Int64) -> Bool {
        if let askedAt, monotonicNanoseconds - askedAt < SparkplugSession.askAgainAfterNanoseconds { return false }
        askedAt = monotonicNanoseconds
        return true
    }

    private mutating func forget(_ device: String) {
        guard devices.remove(device) != nil else { return }
        entries = entries.filter { $0.value.device != device }
    }
}
