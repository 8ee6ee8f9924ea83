// SPDX-License-Identifier: Apache-2.0

/// What one sample has to teach.
struct Lesson: Sendable {
    var value = 0.0
    /// What the prediction should have been; see `Predictor`.
    var target: Float = 0
    /// Absolute, in the units of the series.
    var residual: Float = 0
    /// What the prediction was made from.
    var features = SIMD4<Float>.zero
    /// See `ResidualStatistics`.
    var statistics = SIMD4<Float>.zero
}

/// Holds back what a sample teaches until it is known that it was usual: a fault that builds up slowly is then judged
/// by what was before it, and does not become normal by and by.
///
/// A lesson is learned `count` samples later, and never if an extreme sample came in between. If extremes go on for
/// longer than `patience`, they are the new normal: then all lessons are learned at once for a while, as the first ones
/// are, so that something is known early.
struct DelayLine: Sendable {
    private static let count = 12
    private static let promptLessons = 24
    private static let patience = 48
    /// So many samples in a row without an extreme end an excursion.
    private static let calm: UInt8 = 24
    private static let fewEpisodes: UInt8 = 8

    private var waiting = InlineArray<12, Lesson>(repeating: Lesson())
    /// Bit k: place k of `waiting` holds a lesson to be learned.
    private var isDue: UInt32 = 0
    private var seen = 0
    private var skippedRun = 0
    private var calmRun: UInt8 = 0
    /// Times that extremes came again since the last calm.
    private var episodes: UInt8 = 0
    /// Lessons still to be learned at once.
    private var promptCount = DelayLine.promptLessons

    init() {}

    /// Takes a lesson and returns the one to learn now, if any.
    mutating func add(_ lesson: Lesson, isExtreme: Bool) -> Lesson? {
        let place = seen % DelayLine.count
        let bit: UInt32 = 1 << UInt32(place)
        seen += 1
        if promptCount > 0 {
            promptCount -= 1
            return lesson
        }
        let leaving = isDue & bit != 0 ? waiting[place] : nil
        waiting[place] = lesson
        isDue |= bit
        if isExtreme {
            if calmRun > 0 { episodes = min(episodes + 1, DelayLine.fewEpisodes) }
            calmRun = 0
            isDue = 0
            skippedRun += 1
            return nil
        }
        calmRun = min(calmRun + 1, DelayLine.calm)
        if calmRun == DelayLine.calm { (skippedRun, episodes) = (0, 0) }
        return leaving
    }

    /// Extremes have gone on for so long, or come and gone so often without a calm between them, that they are the new
    /// normal; said once.
    mutating func takesNewNormal() -> Bool {
        guard skippedRun >= DelayLine.patience || episodes >= DelayLine.fewEpisodes else { return false }
        (skippedRun, episodes) = (0, 0)
        promptCount = 4 * DelayLine.promptLessons
        return true
    }

    mutating func forget() { isDue = 0 }
}

extension DelayLine: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        for index in 0..<DelayLine.count {
            try archive.exchange(&waiting[index].value)
            try archive.exchange(&waiting[index].features)
            try archive.exchange(&waiting[index].target)
            try archive.exchange(&waiting[index].residual)
            try archive.exchange(&waiting[index].statistics)
        }
        try archive.exchange(&isDue, in: 0...0xFFF)
        try archive.exchange(&seen, in: 0...Int.max - 1)
        try archive.exchange(&skippedRun, in: 0...Int.max - 1)
        try archive.exchange(&calmRun, in: 0...DelayLine.calm)
        try archive.exchange(&episodes, in: 0...DelayLine.fewEpisodes)
        try archive.exchange(&promptCount, in: 0...4 * DelayLine.promptLessons)
    }
}
