// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The three machines that send telemetry.
package enum MachineKind: String, CaseIterable, Sendable {
    case press, pump, fan

    /// Messages per second.
    package static let samplesPerSecond = 8

    /// One measured quantity of a machine.
    package struct Series: Sendable, Equatable {
        package let name: String
        /// Where it stands in the payload (JSON Pointer, RFC 6901).
        package let pointer: String
        let level: Float
        /// Amplitude of the work cycle.
        let cycle: Float
        let cycleSeconds: Float
        /// Standard deviation of the measurement noise.
        let noise: Float
        /// How much the machine's load, of standard deviation 1, moves it.
        let load: Float

        /// Standard deviation of the series without faults: the unit of a fault's size.
        var spread: Float { (cycle * cycle / 2 + noise * noise + load * load).squareRoot() }
    }

    package var series: [Series] {
        switch self {
        case .press:
            [
                Series(
                    name: "temperature", pointer: "/temp", level: 64, cycle: 0.6, cycleSeconds: 2.5, noise: 0.25,
                    load: 0.3),
                Series(
                    name: "pressure", pointer: "/hydraulics/bar", level: 182, cycle: 6, cycleSeconds: 2.5, noise: 1.2,
                    load: 1.5),
                Series(
                    name: "vibration", pointer: "/vib/rms", level: 2.4, cycle: 0.25, cycleSeconds: 2.5, noise: 0.12,
                    load: 0.08),
            ]
        case .pump:
            [
                Series(name: "flow", pointer: "/flow", level: 38, cycle: 0.8, cycleSeconds: 3, noise: 0.35, load: 0.5),
                Series(
                    name: "pressure", pointer: "/pressure/outlet", level: 5.2, cycle: 0.1, cycleSeconds: 3, noise: 0.05,
                    load: 0.06),
                Series(
                    name: "current", pointer: "/motor/current", level: 11.5, cycle: 0.2, cycleSeconds: 3, noise: 0.12,
                    load: 0.2),
            ]
        case .fan:
            [
                Series(name: "speed", pointer: "/rpm", level: 1460, cycle: 6, cycleSeconds: 3, noise: 4, load: 3),
                Series(
                    name: "vibration", pointer: "/vib/rms", level: 1.1, cycle: 0.05, cycleSeconds: 3, noise: 0.06,
                    load: 0.03),
                Series(
                    name: "temperature", pointer: "/bearing/temp", level: 47, cycle: 0.25, cycleSeconds: 3, noise: 0.15,
                    load: 0.12),
            ]
        }
    }
}

/// A machine with several correlated series, and faults at known times.
///
/// value = level + cycle * sin(2 pi t / cycleSeconds) + load * l(t) + noise, where l, of standard deviation 1, is drawn back to 0
/// (autoregressive of first order). From the same kind, seed and faults come the same values.
package struct SimulatedMachine: Sendable {
    package let kind: MachineKind
    package let faults: [Fault]
    private let series: [MachineKind.Series]
    private var random: SplitMix64
    private var load: Float = 0
    private var index = 0
    private var frozen: [Float?]

    package struct Sample: Sendable, Equatable {
        /// Seconds since the start.
        package let time: Double
        /// In the order of the kind's series.
        package let values: [Float]
    }

    package init(kind: MachineKind, seed: UInt64, faults: [Fault]) {
        self.kind = kind
        self.faults = faults.filter { $0.machine == kind }
        series = kind.series
        random = SplitMix64(seed: seed, stream: 200 + UInt64(MachineKind.allCases.firstIndex(of: kind) ?? 0))
        frozen = Array(repeating: nil, count: series.count)
    }

    /// The next sample, 1 / `samplesPerSecond` after the last one.
    package mutating func next() -> Sample {
        let time = Double(index) / Double(MachineKind.samplesPerSecond)
        load = 0.8 * load + 0.6 * random.gaussian()
        var values: [Float] = []
        values.reserveCapacity(series.count)
        for (position, series) in series.enumerated() {
            let phase = Float((time / Double(series.cycleSeconds)).truncatingRemainder(dividingBy: 1))
            let noise = random.gaussian()
            var value =
                series.level + series.cycle * sinf(2 * .pi * phase) + series.load * load + series.noise * noise
            let jolt = random.gaussian()
            if let fault = faults.first(where: { $0.series == series.name && $0.start <= time && time < $0.end }) {
                value = fault.apply(
                    to: value, at: time, index: index, spread: series.spread, jolt: jolt, frozen: &frozen[position])
            } else {
                frozen[position] = nil
            }
            values.append(value)
        }
        index += 1
        return Sample(time: time, values: values)
    }

    /// `{"machine":"press","time":"2026-01-01T00:00:00.000Z","temp":64.1,"hydraulics":{"bar":181.2},"vib":{"rms":2.4}}`
    package static func payload(of sample: Sample, from kind: MachineKind, timestamp: String) -> String {
        var text = "{\"machine\":\"\(kind.rawValue)\",\"time\":\"\(timestamp)\""
        for (series, value) in zip(kind.series, sample.values) {
            let path = series.pointer.dropFirst().split(separator: "/")
            text += ","
            for key in path { text += key == path.last ? "\"\(key)\":" : "\"\(key)\":{" }
            text += String(describing: (value * 1000).rounded() / 1000)
            text += String(repeating: "}", count: path.count - 1)
        }
        return text + "}"
    }
}
