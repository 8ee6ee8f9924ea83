// SPDX-License-Identifier: Apache-2.0

/// All that a detector has learned, as bytes with a version and a checksum (see `StateArchive`). The budget is not part of
/// it. Read back, a detector goes on to the bit where it stopped. Reading throws if the bytes are damaged, cut, of another
/// version or of another kind of detector.
private enum SnapshotKind: UInt16 {
    case series = 1
    case device
    case window
    case silence

    func write(_ body: (inout StateArchive) throws(SnapshotFault) -> Void) -> [UInt8] {
        StateArchive.write { (archive) throws(SnapshotFault) in
            var kind = rawValue
            try archive.exchange(&kind, in: rawValue...rawValue)
            try body(&archive)
        }
    }

    func read(_ bytes: [UInt8], _ body: (inout StateArchive) throws(SnapshotFault) -> Void) throws(SnapshotFault) {
        try StateArchive.read(bytes) { (archive) throws(SnapshotFault) in
            var kind = rawValue
            try archive.exchange(&kind, in: rawValue...rawValue)
            try body(&archive)
        }
    }
}

extension SeriesDetector {
    /// 3 KB at first, 4 KB once it knows thousands of samples, 6 KB from the second day on.
    package var snapshot: [UInt8] {
        var copy = self
        return SnapshotKind.series.write { (archive) throws(SnapshotFault) in try copy.exchange(&archive) }
    }

    package init(
        snapshot: [UInt8], budget: FalseAlarmBudget, methods: Set<DetectionMethod> = [.auto]
    ) throws(SnapshotFault) {
        var restored = SeriesDetector(budget: budget, methods: methods)
        try SnapshotKind.series.read(snapshot) { (archive) throws(SnapshotFault) in try restored.exchange(&archive) }
        self = restored
    }
}

extension DeviceDetector {
    /// As that of `SeriesDetector`, with the number of series.
    package var snapshot: [UInt8] {
        var copy = self
        var count = seriesCount
        return SnapshotKind.device.write { (archive) throws(SnapshotFault) in
            try archive.exchange(&count, in: 1...Int.max)
            try copy.exchange(&archive)
        }
    }

    /// `seriesCount`: as many as it was of.
    package init(snapshot: [UInt8], seriesCount: Int, budget: FalseAlarmBudget) throws(SnapshotFault) {
        var restored = DeviceDetector(seriesCount: seriesCount, budget: budget)
        var count = seriesCount
        try SnapshotKind.device.read(snapshot) { (archive) throws(SnapshotFault) in
            try archive.exchange(&count, in: seriesCount...seriesCount)
            try restored.exchange(&archive)
        }
        self = restored
    }
}

extension WindowDetector {
    /// With the form of the window: 8 bytes for each of its values, and 1 KB.
    package var snapshot: [UInt8] {
        var copy = self
        return SnapshotKind.window.write { (archive) throws(SnapshotFault) in
            try copy.exchangeForm(&archive)
            try copy.exchange(&archive)
        }
    }

    /// `form`, `outputCount`: as they were.
    package init(
        snapshot: [UInt8], _ form: WindowForm, outputCount: Int, budget: FalseAlarmBudget
    ) throws(SnapshotFault) {
        var restored = WindowDetector(form, outputCount: outputCount, budget: budget)
        try SnapshotKind.window.read(snapshot) { (archive) throws(SnapshotFault) in
            try restored.exchangeForm(&archive)
            try restored.exchange(&archive)
        }
        self = restored
    }

    private func exchangeForm(_ archive: inout StateArchive) throws(SnapshotFault) {
        var (series, length) = (form.seriesCount, form.length)
        try archive.exchange(&series, in: series...series)
        try archive.exchange(&length, in: length...length)
        var isSeriesMajor = form.isSeriesMajor
        var isNext = form.target == .next
        try archive.exchange(&isSeriesMajor)
        try archive.exchange(&isNext)
        guard isSeriesMajor == form.isSeriesMajor, isNext == (form.target == .next) else {
            throw .outOfRange(offset: archive.position)
        }
    }
}

extension SilenceModel {
    /// About 300 bytes. When the last sample came is not part of it.
    package var snapshot: [UInt8] {
        var copy = self
        return SnapshotKind.silence.write { (archive) throws(SnapshotFault) in try copy.exchange(&archive) }
    }

    package init(snapshot: [UInt8]) throws(SnapshotFault) {
        var restored = SilenceModel()
        try SnapshotKind.silence.read(snapshot) { (archive) throws(SnapshotFault) in try restored.exchange(&archive) }
        self = restored
    }
}
