// SPDX-License-Identifier: Apache-2.0

/// Learns in which decimal steps a series is written, so that a series that stood still so far has a spread to compare
/// with.
struct ValueResolution: Sendable {
    /// 1, 0.1, ... 10^-6
    private var step = 1.0

    mutating func learn(_ value: Double) {
        while step > 1e-6 {
            let scaled = value / step
            if abs(scaled - scaled.rounded()) <= 1e-6 * max(1, abs(scaled) * 1e-6) { return }
            step /= 10
        }
    }

    /// Half a step, or what a 64-bit number of this size can still tell apart.
    func spreadFloor(near value: Double) -> Double { max(step / 2, abs(value) * 1e-9) }
}

extension ValueResolution: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&step, in: 1e-8...1)
    }
}
