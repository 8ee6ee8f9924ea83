// SPDX-License-Identifier: Apache-2.0

/// The intervals that some values cover, eight at most: when there would be more, the closest two are joined.
struct CoverageBlock: Sendable {
    private static let intervalCount = 8

    /// Both ends of the intervals, rising.
    private var starts = InlineArray<8, Float>(repeating: 0)
    private var ends = InlineArray<8, Float>(repeating: 0)
    private var count: UInt8 = 0

    init() {}

    /// Of what was learned, infinite if nothing was.
    var smallest: Float { count > 0 ? starts[0] : .infinity }
    var largest: Float { count > 0 ? ends[Int(count) - 1] : -.infinity }

    /// To the nearest interval; 0 or less within one, infinite if there is none.
    func distance(of x: Float) -> Float {
        var nearest = Float.infinity
        for index in 0..<Int(count) {
            let distance = max(starts[index] - x, x - ends[index])
            if distance <= 0 { return 0 }
            nearest = min(nearest, distance)
        }
        return nearest
    }

    mutating func learn(_ x: Float) {
        var place = 0
        while place < count, ends[place] < x { place += 1 }
        if place < count, starts[place] <= x { return }
        if count < CoverageBlock.intervalCount {
            makeRoom(at: place, until: Int(count))
            count += 1
            starts[place] = x
            ends[place] = x
        } else {
            insertJoining(x, at: place)
        }
    }

    /// Moves the intervals from `place` to before `end` up by one.
    private mutating func makeRoom(at place: Int, until end: Int) {
        var index = end
        while index > place {
            starts[index] = starts[index - 1]
            ends[index] = ends[index - 1]
            index -= 1
        }
    }

    /// The block is full: of the gaps that there would be with x, the smallest is closed.
    private mutating func insertJoining(_ x: Float, at place: Int) {
        var smallest = Float.infinity
        var joined = 0
        for index in 0..<Int(count) - 1 where index + 1 != place {
            let gap = starts[index + 1] - ends[index]
            if gap < smallest { (smallest, joined) = (gap, index) }
        }
        let below = place > 0 ? x - ends[place - 1] : .infinity
        let above = place < count ? starts[place] - x : .infinity
        if min(below, above) <= smallest {
            if below <= above { ends[place - 1] = x } else { starts[place] = x }
            return
        }
        // Close the gap after `joined` and open a place for x, in one move of what lies between.
        ends[joined] = ends[joined + 1]
        var opened = place
        if joined < place {
            for index in joined + 1..<place - 1 {
                starts[index] = starts[index + 1]
                ends[index] = ends[index + 1]
            }
            opened = place - 1
        } else {
            makeRoom(at: place, until: joined + 1)
        }
        starts[opened] = x
        ends[opened] = x
    }
}

extension CoverageBlock: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&starts)
        try archive.exchange(&ends)
        try archive.exchange(&count, in: 0...UInt8(CoverageBlock.intervalCount))
    }
}
