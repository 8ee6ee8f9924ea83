// SPDX-License-Identifier: Apache-2.0

import Vision

/// Precision and recall against the truth.
///
/// Per frame and class, detections by falling score take the free true object that they overlap most, by at least 0.5
/// (intersection over union). A detection that takes none is false, unless it overlaps an ignored object as much or lies
/// with more than half of its area in one. True objects that nobody took, and that are not ignored, are missed.
package struct DetectionScore: Sendable, Equatable {
    package static let leastOverlap: Float = 0.5

    package struct Counts: Sendable, Equatable {
        package var found = 0
        package var falsely = 0
        package var missed = 0

        /// 1 when nothing was said.
        package var precision: Double { found + falsely == 0 ? 1 : Double(found) / Double(found + falsely) }
        /// 1 when there was nothing to find.
        package var recall: Double { found + missed == 0 ? 1 : Double(found) / Double(found + missed) }
    }

    package private(set) var frames = 0
    /// Indexed by class.
    package private(set) var classes = Array(repeating: Counts(), count: ObjectClass.allCases.count)

    package init() {}

    package var total: Counts {
        classes.reduce(into: Counts()) { sum, counts in
            sum.found += counts.found
            sum.falsely += counts.falsely
            sum.missed += counts.missed
        }
    }

    package mutating func add(found: [Detection], truth: [TrueObject]) {
        frames += 1
        for object in ObjectClass.allCases {
            let real = truth.filter { $0.object == object }
            var isTaken = real.map(\.isIgnored)
            var counts = Counts()
            for detection in found.filter({ $0.classIndex == object.rawValue }).sorted(by: { $0.score > $1.score }) {
                let best = real.indices.filter { !isTaken[$0] }
                    .map { (index: $0, overlap: detection.box.overlap(with: real[$0].box)) }
                    .max { $0.overlap < $1.overlap }
                if let best, best.overlap >= DetectionScore.leastOverlap {
                    isTaken[best.index] = true
                    counts.found += 1
                } else if !real.contains(where: { $0.isIgnored && DetectionScore.concerns(detection.box, $0.box) }) {
                    counts.falsely += 1
                }
            }
            counts.missed = isTaken.count { !$0 }
            classes[object.rawValue].found += counts.found
            classes[object.rawValue].falsely += counts.falsely
            classes[object.rawValue].missed += counts.missed
        }
    }

    private static func concerns(_ box: Box, _ ignored: Box) -> Bool {
        let across = min(box.x + box.width, ignored.x + ignored.width) - max(box.x, ignored.x)
        let down = min(box.y + box.height, ignored.y + ignored.height) - max(box.y, ignored.y)
        let inside = max(0, across) * max(0, down)
        return box.overlap(with: ignored) >= leastOverlap || inside > box.area / 2
    }
}
