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
    private static let intervalCount = 8
    private static let largestDistance: Float = 10
    /// Values before the first distance.
    private static let warmUpCount = 30

    /// Both ends of the intervals; those of block b from 8 b on, rising.
    private var starts = InlineArray<64, Float>(repeating: 0)
    private var ends = InlineArray<64, Float>(repeating: 0)
    private var counts = InlineArray<8, UInt8>(repeating: 0)
    private var block: UInt8 = 0
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
        for age in 0..<Coverage.blockCount {
            let first = (Int(block) + Coverage.blockCount - age) % Coverage.blockCount * Coverage.intervalCount
            for index in first..<first + Int(counts[first / Coverage.intervalCount]) {
                let distance = max(starts[index] - x, x - ends[index])
                if distance <= 0 { return 0 }
                nearest = min(nearest, distance)
            }
        }
        return nearest
    }

    private var range: Float {
        var (smallest, largest) = (Float.infinity, -Float.infinity)
        for block in 0..<Coverage.blockCount where counts[block] > 0 {
            smallest = min(smallest, starts[block * Coverage.intervalCount])
            largest = max(largest, ends[block * Coverage.intervalCount + Int(counts[block]) - 1])
        }
        return largest - smallest
    }

    private mutating func learn(_ x: Float) {
        if Int(blockFill) == Coverage.blockLength {
            block = (block + 1) % UInt8(Coverage.blockCount)
            counts[Int(block)] = 0
            blockFill = 0
        }
        blockFill += 1
        let first = Int(block) * Coverage.intervalCount
        let end = first + Int(counts[Int(block)])
        var place = first
        while place < end, ends[place] < x { place += 1 }
        if place < end, starts[place] <= x { return }
        if end - first < Coverage.intervalCount {
            insert(x, at: place, end: end)
            counts[Int(block)] += 1
        } else {
            insertJoining(x, at: place, first: first, end: end)
        }
    }

    private mutating func insert(_ x: Float, at place: Int, end: Int) {
        var index = end
        while index > place {
            starts[index] = starts[index - 1]
            ends[index] = ends[index - 1]
            index -= 1
        }
        starts[place] = x
        ends[place] = x
    }

    /// The block is full: of the gaps that there would be with x, the smallest is closed.
    private mutating func insertJoining(_ x: Float, at place: Int, first: Int, end: Int) {
        var smallest = Float.infinity
        var joined = first
        for index in first..<end - 1 where index + 1 != place {
            let gap = starts[index + 1] - ends[index]
            if gap < smallest { (smallest, joined) = (gap, index) }
        }
        let below = place > first ? x - ends[place - 1] : .infinity
        let above = place < end ? starts[place] - x : .infinity
        if min(below, above) <= smallest {
            if below <= above { ends[place - 1] = x } else { starts[place] = x }
            return
        }
        // Close the gap after `joined` and open a place for x, in one move of what lies between.
        ends[joined] = ends[joined + 1]
        if joined < place {
            for index in joined + 1..<place - 1 {
                starts[index] = starts[index + 1]
                ends[index] = ends[index + 1]
            }
            starts[place - 1] = x
            ends[place - 1] = x
        } else {
            var index = joined + 1
            while index > place {
                starts[index] = starts[index - 1]
                ends[index] = ends[index - 1]
                index -= 1
            }
            starts[place] = x
            ends[place] = x
        }
    }
}

extension Coverage: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&starts)
        try archive.exchange(&ends)
        for index in 0..<Coverage.blockCount {
            try archive.exchange(&counts[index], in: 0...UInt8(Coverage.intervalCount))
        }
        try archive.exchange(&block, in: 0...UInt8(Coverage.blockCount - 1))
        try archive.exchange(&blockFill, in: 0...UInt16(Coverage.blockLength))
        try archive.exchange(&seen, in: 0...UInt16(Coverage.warmUpCount + 1))
        try archive.exchange(&smallestStep)
    }
}
