// SPDX-License-Identifier: Apache-2.0

/// What an earlier run has learned and this one has not used yet, and what is not to be kept any longer.
///
/// Beside the series of devices there are entries for what else is learned of a device, under names that no series has.
struct SeriesMemory: Sendable {
    /// What is learned of the series of a device together.
    static func device(_ method: String) -> String { "~" + method }
    /// How often the series comes.
    static func silence(_ series: String) -> String { "~silence:" + series }

    /// Whether anything is stored at all.
    var isKept = false
    private let capacity: Int
    private var remembered: [SeriesName: [UInt8]] = [:]
    private var forgotten: Set<SeriesName> = []

    init(capacity: Int) { self.capacity = capacity }

    mutating func remember(_ name: SeriesName, _ snapshot: [UInt8]) {
        if remembered.count < capacity { remembered[name] = snapshot } else { forget(name) }
    }

    /// What is remembered of a series that is new to this run.
    mutating func take(_ name: SeriesName) -> [UInt8]? { isKept ? remembered.removeValue(forKey: name) : nil }

    /// The series has lost its place to another one.
    mutating func forget(_ name: SeriesName) {
        // With so many series that come and go, what stays in the store is taken away at the next start.
        if isKept, forgotten.count < capacity { forgotten.insert(name) }
    }

    mutating func takeForgotten() -> [SeriesName] {
        defer { forgotten.removeAll() }
        return Array(forgotten)
    }
}
