// SPDX-License-Identifier: Apache-2.0

/// A fault of a machine, as it really is.
package struct Fault: Sendable, Equatable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Single samples far off, about two each second.
        case spikes
        /// Another level from one sample to the next.
        case shift
        /// A ramp to another level.
        case drift
        /// The same level, many times the noise.
        case noise
        /// The sensor repeats its last value, off by half a spread or more.
        case stuck
    }

    package let machine: MachineKind
    package let series: String
    package let kind: Kind
    /// Seconds since the start.
    package let start: Double
    package let end: Double
    /// 1 or -1.
    let direction: Float

    /// Sizes in standard deviations of the series without faults.
    private static let spikeSize: Float = 12
    private static let shiftSize: Float = 10
    private static let driftSize: Float = 14
    private static let driftSeconds: Double = 3
    private static let noiseSize: Float = 9

    init(machine: MachineKind, series: String, kind: Kind, start: Double, end: Double, direction: Float) {
        self.machine = machine
        self.series = series
        self.kind = kind
        self.start = start
        self.end = end
        self.direction = direction
    }

    /// What the sensor tells instead of `value`. `jolt` is standard normal; `frozen` belongs to the series.
    func apply(to value: Float, at time: Double, index: Int, spread: Float, jolt: Float, frozen: inout Float?) -> Float
    {
        switch kind {
        case .spikes:
            return (index & 3) == 1 ? value + direction * Fault.spikeSize * spread : value
        case .shift:
            return value + direction * Fault.shiftSize * spread
        case .drift:
            let share = Float(min(1, (time - start) / Fault.driftSeconds))
            return value + direction * Fault.driftSize * spread * share
        case .noise:
            return value + jolt * Fault.noiseSize * spread
        case .stuck:
            let held = frozen ?? value
            frozen = held
            return held
        }
    }
}

/// When which machine fails.
package struct FaultSchedule: Sendable {
    /// Nothing fails before: the time in which a detector learns what is normal.
    package static let normalSeconds: Double = 9
    /// Seconds that are left after the start of the last fault.
    package static let tailSeconds: Double = 6.5
    /// A fault's duration.
    static let durationSeconds: ClosedRange<Float> = 4...6
    /// Normal operation between two faults of a machine.
    static let recoverySeconds: ClosedRange<Float> = 30...50

    package let faults: [Fault]

    /// Faults of all machines within `seconds`, ordered by start. Each machine fails at least once if `seconds` is at
    /// least `normalSeconds + tailSeconds`. `kinds` is not empty.
    package init(seconds: Double, seed: UInt64, kinds: [Fault.Kind] = Fault.Kind.allCases) {
        precondition(!kinds.isEmpty)
        var faults: [Fault] = []
        var random = SplitMix64(seed: seed, stream: 300)
        let first = random.index(below: kinds.count)
        for (order, machine) in MachineKind.allCases.enumerated() {
            let latest = seconds - FaultSchedule.tailSeconds
            let slack = Float(max(0, min(5, latest - FaultSchedule.normalSeconds)))
            var start = FaultSchedule.normalSeconds + Double(random.uniform(0...slack))
            var kind = first + order
            while start <= latest {
                // On the grid of the samples, so that the first bad sample is at the start.
                let step = Double(MachineKind.samplesPerSecond)
                start = (start * step).rounded(.down) / step
                let end = min(seconds - 0.5, start + Double(random.uniform(FaultSchedule.durationSeconds)))
                let series = machine.series[random.index(below: machine.series.count)]
                faults.append(
                    Fault(
                        machine: machine, series: series.name, kind: kinds[kind % kinds.count], start: start,
                        end: (end * step).rounded(.down) / step, direction: random.chance(0.7) ? 1 : -1))
                kind += 1
                start = end + Double(random.uniform(FaultSchedule.recoverySeconds))
            }
        }
        self.faults = faults.sorted { ($0.start, $0.machine.rawValue) < ($1.start, $1.machine.rawValue) }
    }
}
