// SPDX-License-Identifier: Apache-2.0

/// Counts of durations in logarithmic bins: 8 bins per power of two from 1 us to 2^26 us (67 s), so that a percentile is
/// at most 12.5 % too high. Constant memory, nothing allocated after init.
package struct LatencyHistogram: Sendable {
    private static let binsPerOctave = 8
    private static let octaves = 27
    private var bins = [UInt64](repeating: 0, count: binsPerOctave * octaves)
    package private(set) var count: UInt64 = 0
    package private(set) var maximumMicroseconds: UInt64 = 0

    package init() {}

    package mutating func add(nanoseconds: Int64) {
        let microseconds = UInt64(max(nanoseconds, 0)) / 1000
        bins[LatencyHistogram.bin(microseconds)] += 1
        count += 1
        maximumMicroseconds = max(maximumMicroseconds, microseconds)
    }

    package mutating func add(_ other: LatencyHistogram) {
        guard other.count > 0 else { return }
        for index in bins.indices { bins[index] += other.bins[index] }
        count += other.count
        maximumMicroseconds = max(maximumMicroseconds, other.maximumMicroseconds)
    }

    package mutating func reset() {
        for index in bins.indices { bins[index] = 0 }
        count = 0
        maximumMicroseconds = 0
    }

    /// The duration that a share of all counted ones does not exceed; nil while nothing was counted.
    package func percentileMilliseconds(_ share: Double) -> Double? {
        guard count > 0 else { return nil }
        let wanted = UInt64((share * Double(count)).rounded(.up))
        var seen: UInt64 = 0
        for (index, value) in bins.enumerated() {
            seen += value
            if seen >= max(wanted, 1) {
                return min(LatencyHistogram.upperEdge(index), Double(maximumMicroseconds)) / 1000
            }
        }
        return Double(maximumMicroseconds) / 1000
    }

    private static func bin(_ microseconds: UInt64) -> Int {
        guard microseconds > 0 else { return 0 }
        let octave = UInt64.bitWidth - 1 - microseconds.leadingZeroBitCount
        let fraction =
            octave >= 3 ? Int(microseconds >> (octave - 3)) & 7 : Int(microseconds << (3 - octave)) & 7
        return min(octave * binsPerOctave + fraction, binsPerOctave * octaves - 1)
    }

    private static func upperEdge(_ bin: Int) -> Double {
        let octave = bin / binsPerOctave
        let fraction = bin % binsPerOctave
        var edge = 1.0 + Double(fraction + 1) / Double(binsPerOctave)
        for _ in 0..<octave { edge *= 2 }
        return edge
    }
}
