// SPDX-License-Identifier: Apache-2.0

/// What became of the values that messages carried, since the program started.
package struct SampleCounts: Sendable, Equatable {
    /// Samples that counted.
    package var accepted: UInt64 = 0
    /// By reason: values that gave no sample, and notes about some that did.
    package private(set) var faults: [TelemetryFault: UInt64] = [:]

    package init() {}

    package mutating func add(_ faults: [SampleFault]) { for fault in faults { add(fault.reason) } }

    package mutating func add(_ reason: TelemetryFault) { faults[reason, default: 0] += 1 }

    package mutating func merge(_ other: SampleCounts) {
        accepted += other.accepted
        for (reason, count) in other.faults { faults[reason, default: 0] += count }
    }

    package var refused: [TelemetryFault: UInt64] { faults.filter { !$0.key.isNote } }
    package var noted: [TelemetryFault: UInt64] { faults.filter { $0.key.isNote } }
}
