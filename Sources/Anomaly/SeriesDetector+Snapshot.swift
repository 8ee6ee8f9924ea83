// SPDX-License-Identifier: Apache-2.0

extension SeriesDetector {
    /// All that was learned, as bytes with a version and a checksum (see `StateArchive`): about 4.8 KB. The budget is not
    /// part of it.
    package var snapshot: [UInt8] {
        var copy = self
        return StateArchive.write { (archive) throws(SnapshotFault) in try copy.exchange(&archive) }
    }

    /// Goes on, to the bit, where the detector stopped whose `snapshot` this is. Throws if the bytes are damaged, cut, of
    /// another version or of something else.
    package init(snapshot: [UInt8], budget: FalseAlarmBudget) throws(SnapshotFault) {
        self.init(budget: budget)
        var restored = self
        try StateArchive.read(snapshot) { (archive) throws(SnapshotFault) in try restored.exchange(&archive) }
        self = restored
    }
}

extension DeviceDetector {
    /// As that of `SeriesDetector`, with the number of series.
    package var snapshot: [UInt8] {
        var copy = self
        var count = seriesCount
        return StateArchive.write { (archive) throws(SnapshotFault) in
            try archive.exchange(&count, in: 1...Int.max)
            try copy.exchange(&archive)
        }
    }

    /// Goes on, to the bit, where the detector stopped whose `snapshot` this is. `seriesCount`: as many as it was of.
    package init(snapshot: [UInt8], seriesCount: Int, budget: FalseAlarmBudget) throws(SnapshotFault) {
        self.init(seriesCount: seriesCount, budget: budget)
        var restored = self
        var count = seriesCount
        try StateArchive.read(snapshot) { (archive) throws(SnapshotFault) in
            try archive.exchange(&count, in: seriesCount...seriesCount)
            try restored.exchange(&archive)
        }
        self = restored
    }
}
