// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Anomaly

@Suite struct SnapshotTests {
    private let budget = FalseAlarmBudget(count: 1, per: .seconds(86400))

    private func time(_ index: Int) -> Int64 { 1_700_000_000_000_000_000 + Int64(index) * 300_000_000_000 }

    private func detector(_ series: ArraySlice<Double>) -> SeriesDetector {
        var detector = SeriesDetector(budget: budget)
        for (index, value) in zip(series.indices, series) { _ = detector.score(value, at: time(index)) }
        return detector
    }

    @Test(arguments: Noise.allCases, [0, 1, 2, 17, 250, 1500])
    func restoredDetectorGoesOnBitByBit(noise: Noise, count: Int) throws {
        let series = noise.series(count: count + 400, seed: 8)
        var original = detector(series[..<count])
        var restored = try SeriesDetector(snapshot: original.snapshot, budget: budget)
        #expect(restored.snapshot == original.snapshot)
        for index in count..<count + 400 {
            let value = index % 97 == 0 ? series[index] * 9 : series[index]
            #expect(restored.score(value, at: time(index)) == original.score(value, at: time(index)))
        }
    }

    @Test func snapshotIsAsSmallAsDocumented() {
        #expect(detector(Noise.gaussian.series(count: 2000, seed: 1)[...]).snapshot.count < 5900)
        #expect(detector(Noise.gaussian.series(count: 200, seed: 1)[...]).snapshot.count < 4900)
    }

    @Test func otherBytesAreRefused() {
        #expect(throws: SnapshotFault.notASnapshot) { try SeriesDetector(snapshot: [], budget: budget) }
        #expect(throws: SnapshotFault.notASnapshot) {
            try SeriesDetector(snapshot: Array("SQLite format 3".utf8), budget: budget)
        }
    }

    @Test func laterVersionsAreRefused() {
        var bytes = detector(Noise.gaussian.series(count: 50, seed: 1)[...]).snapshot
        bytes[4] = 200
        #expect(throws: SnapshotFault.version(200)) { try SeriesDetector(snapshot: bytes, budget: budget) }
    }

    @Test func cutSnapshotsAreRefused() {
        let bytes = detector(Noise.gaussian.series(count: 50, seed: 1)[...]).snapshot
        for count in Swift.stride(from: 0, to: bytes.count, by: 61) {
            #expect(throws: SnapshotFault.self) {
                try SeriesDetector(snapshot: Array(bytes[..<count]), budget: budget)
            }
        }
    }

    @Test func alteredSnapshotsAreRefused() {
        let bytes = detector(Noise.gaussian.series(count: 50, seed: 1)[...]).snapshot
        for index in Swift.stride(from: 6, to: bytes.count, by: 43) {
            var altered = bytes
            altered[index] ^= 0x10
            #expect(throws: SnapshotFault.damaged) { try SeriesDetector(snapshot: altered, budget: budget) }
        }
    }

    /// Whoever writes a right checksum under wrong values gets an error or a detector that works, never a trap.
    @Test func wrongValuesUnderARightChecksumDoNotTrap() throws {
        let bytes = detector(Noise.gaussian.series(count: 50, seed: 1)[...]).snapshot
        var random = Random(state: 4)
        var refused = 0
        for _ in 0..<300 {
            var altered = Array(bytes.dropLast(8))
            for _ in 0..<8 {
                altered[6 + Int(random.uniform() * Double(altered.count - 6))] = UInt8(random.uniform() * 255)
            }
            let sum = altered.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            withUnsafeBytes(of: sum.littleEndian) { altered.append(contentsOf: $0) }
            guard var restored = try? SeriesDetector(snapshot: altered, budget: budget) else {
                refused += 1
                continue
            }
            for index in 50..<80 {
                let score = restored.score(Double(index % 7), at: time(index)).score
                #expect((0...1).contains(score))
            }
        }
        #expect(refused > 10)
    }
}
