// SPDX-License-Identifier: Apache-2.0

/// Remembers which values a quantity took lately, and says how far a new one is from all of them.
///
/// The last 4096 values, about, are kept as the intervals that they cover: eight blocks of 512 values with at most eight
/// intervals each, the closest two of a block being joined when there would be more. The oldest block is forgotten when
/// a new one begins. Of values with a dense middle and a few far ones, a block keeps the middle as one interval and
/// each far one alone; what is beyond all of them, or in a gap, is new.
///
/// The distance of a value is that to the nearest interval of any block, less half of the smallest such distance ever
/// seen (which is the step of a quantity that moves in steps), relative to the range of all blocks:
///
///     distance = max(0, nearest - step / 2) / (largest - smallest), at most 10
///
/// So it depends on neither unit nor offset, and a series that had large excursions needs a larger one to be new.
struct Coverage: Sendable {
    private static let blockCount = 8
    private static let blockLength = 512
    private static let largestDistance: Float = 10
    /// Values before the first distance.
    private static let warmUpCount = 30

    /// Those begun so far: a young series takes room for one.
    private var blocks: [CoverageBlock] = []
    /// The place of the newest one.
    private var newest = 0
    /// Values in the current block.
    private var blockFill: UInt16 = 0
    private var seen: UInt16 = 0
    private var smallestStep = Float.greatestFiniteMagnitude

    init() {}

    /// Returns the distance of a value from those before it, 0...10; then learns it. `fallbackRange`: > 0, counts as
    /// the range as long as all values were the same.
    mutating func take(_ x: Float, fallbackRange: Float) -> Float {
        let nearest = distance(of: x)
        var relative: Float = 0
        if nearest > 0, nearest < .infinity {
            if nearest > 2e-7 * abs(x) { smallestStep = min(smallestStep, nearest) }
            let range = self.range
            relative = max(0, nearest - smallestStep / 2) / (range > 0 ? range : fallbackRange)
        }
        learn(x)
        guard seen > Coverage.warmUpCount else {
            seen += 1
            return 0
        }
        return min(relative, Coverage.largestDistance)
    }

    /// From the newest block back: most values lie within its intervals.
    private func distance(of x: Float) -> Float {
        var nearest = Float.infinity
        var index = newest
        for _ in blocks.indices {
            let distance = blocks[index].distance(of: x)
            if distance <= 0 { return 0 }
            nearest = min(nearest, distance)
            index = (index == 0 ? blocks.count : index) - 1
        }
        return nearest
    }

    private var range: Float {
        var (smallest, largest) = (Float.infinity, -Float.infinity)
        for block in blocks {
            smallest = min(smallest, block.smallest)
            largest = max(largest, block.largest)
        }
        return largest - smallest
    }

    private mutating func learn(_ x: Float) {
        if blocks.isEmpty || Int(blockFill) == Coverage.blockLength {
            if blocks.count < Coverage.blockCount {
                newest = blocks.count
                blocks.append(CoverageBlock())
            } else {
                newest = (newest + 1) % Coverage.blockCount
                blocks[newest] = CoverageBlock()
            }
            blockFill = 0
        }
        blockFill += 1
        blocks[newest].learn(x)
    }
}

extension Coverage: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        var count = blocks.count
        try archive.exchange(&count, in: 0...Coverage.blockCount)
        if blocks.count != count { blocks = Array(repeating: CoverageBlock(), count: count) }
        for index in 0..<count { try blocks[index].exchange(&archive) }
        try archive.exchange(&newest, in: 0...max(count - 1, 0))
        try archive.exchange(&blockFill, in: 0...UInt16(Coverage.blockLength))
        try archive.exchange(&seen, in: 0...UInt16(Coverage.warmUpCount + 1))
        try archive.exchange(&smallestStep)
    }
}
