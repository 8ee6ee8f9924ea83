// SPDX-License-Identifier: Apache-2.0

/// Within an episode only what goes beyond all before it is news: after a first sample of evidence, more of the same kind
/// is to be expected for some time.
struct Episode: Sendable {
    /// After so many samples without news it is over.
    private static let length = 100

    private var peak = 0.0
    private var sincePeak = 0

    init() {}

    /// The evidence, if it is news; else 0.
    mutating func news(of evidence: Double) -> Double {
        sincePeak += 1
        if sincePeak > Episode.length {
            peak = 0
            sincePeak = 0
        }
        guard evidence > peak else { return 0 }
        peak = evidence
        sincePeak = 0
        return evidence
    }
}

extension Episode: Snapshotting {
    mutating func exchange(_ archive: inout StateArchive) throws(SnapshotFault) {
        try archive.exchange(&peak)
        try archive.exchange(&sincePeak, in: 0...Episode.length)
    }
}
