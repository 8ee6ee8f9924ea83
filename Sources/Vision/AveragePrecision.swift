// SPDX-License-Identifier: Apache-2.0

/// How well detections fit labelled objects, as COCO counts it: the numbers that `COCOeval` of pycocotools gives for boxes
/// (Lin et al., 2014, arXiv:1405.0312), ties, crowds, area ranges and limits included.
///
/// Add every picture once, in ascending order of its identifier (ties between equal scores are decided by that order), then
/// ask for the `summary`.
package struct AveragePrecision {
    /// A rectangle in pixels, in double as pycocotools has it.
    package struct Rectangle: Hashable, Sendable {
        package var x: Double
        package var y: Double
        package var width: Double
        package var height: Double

        package init(x: Double, y: Double, width: Double, height: Double) {
            self.x = x
            self.y = y
            self.width = width
            self.height = height
        }

        var area: Double { width * height }

        /// Shared area over the area of both, or over this one's where the other is a crowd.
        func overlap(_ object: Rectangle, isCrowd: Bool) -> Double {
            let across = min(x + width, object.x + object.width) - max(x, object.x)
            guard across > 0 else { return 0 }
            let down = min(y + height, object.y + object.height) - max(y, object.y)
            guard down > 0 else { return 0 }
            let shared = across * down
            return shared / (isCrowd ? area : area + object.area - shared)
        }
    }

    /// A labelled object.
    package struct Object: Hashable, Sendable {
        package var category: Int
        package var box: Rectangle
        /// Of the object's outline, which is less than that of its box; it decides the area range.
        package var area: Double
        /// Many objects in one box: matches any number of detections, and none of them counts.
        package var isCrowd: Bool
        /// pycocotools reads a match with identifier 0 as no match, so 0 does here too.
        package var identifier: Int

        package init(
            category: Int, box: Rectangle, area: Double? = nil, isCrowd: Bool = false, identifier: Int = 1
        ) {
            self.category = category
            self.identifier = identifier
            self.box = box
            self.area = area ?? box.area
            self.isCrowd = isCrowd
        }
    }

    /// What a network found.
    package struct Finding: Hashable, Sendable {
        package var category: Int
        package var box: Rectangle
        package var score: Double

        package init(category: Int, box: Rectangle, score: Double) {
            self.category = category
            self.box = box
            self.score = score
        }
    }

    /// Areas in square pixels, both ends included.
    enum AreaRange: Int, CaseIterable {
        case all, small, medium, large

        var bounds: ClosedRange<Double> {
            switch self {
            case .all: 0...1e10
            case .small: 0...1024
            case .medium: 1024...9216
            case .large: 9216...1e10
            }
        }
    }

    /// Least overlaps of a match: 0.5, 0.55 ... 0.95, with the last bits of NumPy's `linspace`.
    static let overlaps: [Double] = {
        let step = (0.95 - 0.5) / 9
        return (0..<9).map { 0.5 + Double($0) * step } + [0.95]
    }()
    /// 0, 0.01 ... 1, the same way.
    static let recalls: [Double] = (0..<100).map { Double($0) * 0.01 } + [1]
    /// Detections of a category in a picture that count at most.
    static let limits = [1, 10, 100]

    /// What became of the detections of one category in one picture, best first.
    struct Outcome {
        var scores: [Double]
        /// Per overlap.
        var isMatched: [[Bool]]
        var isIgnored: [[Bool]]
    }

    struct Key: Hashable {
        var category: Int
        var area: AreaRange
    }

    private(set) var outcomes: [Key: [Outcome]] = [:]
    /// Objects that count.
    private(set) var objectCounts: [Key: Int] = [:]
    package private(set) var pictures = 0

    package init() {}

    package mutating func add(objects: [Object], findings: [Finding]) {
        pictures += 1
        let wanted = Dictionary(grouping: objects, by: \.category)
        let found = Dictionary(grouping: findings, by: \.category)
        for category in Set(wanted.keys).union(found.keys).sorted() {
            // Sorting by score must leave equal ones in their order.
            let best = (found[category] ?? []).enumerated().sorted {
                ($1.element.score, $0.offset) < ($0.element.score, $1.offset)
            }.prefix(AveragePrecision.limits.last ?? 0).map(\.element)
            let objects = wanted[category] ?? []
            let overlaps = best.map { finding in
                objects.map { finding.box.overlap($0.box, isCrowd: $0.isCrowd) }
            }
            for area in AreaRange.allCases {
                let matching = Matching(objects: objects, findings: best, overlaps: overlaps, area: area.bounds)
                let key = Key(category: category, area: area)
                objectCounts[key, default: 0] += matching.objectCount
                outcomes[key, default: []].append(matching.outcome)
            }
        }
    }
}

/// Gives each detection, best first, the object that it overlaps most among those that are still free.
private struct Matching {
    private(set) var outcome: AveragePrecision.Outcome
    let objectCount: Int

    init(
        objects: [AveragePrecision.Object], findings: [AveragePrecision.Finding], overlaps: [[Double]],
        area: ClosedRange<Double>
    ) {
        let isIgnored = objects.map { $0.isCrowd || !area.contains($0.area) }
        // Objects that count come first, the others only get what is left.
        let order = objects.indices.filter { !isIgnored[$0] } + objects.indices.filter { isIgnored[$0] }
        objectCount = isIgnored.count { !$0 }
        outcome = .init(scores: findings.map(\.score), isMatched: [], isIgnored: [])
        for least in AveragePrecision.overlaps {
            var isTaken = [Bool](repeating: false, count: objects.count)
            var matched = [Bool](repeating: false, count: findings.count)
            var ignored = [Bool](repeating: false, count: findings.count)
            for index in findings.indices {
                var best = min(least, 1 - 1e-10)
                var match: Int?
                for object in order {
                    if isTaken[object] && !objects[object].isCrowd { continue }
                    if let match, !isIgnored[match] && isIgnored[object] { break }
                    if overlaps[index][object] < best { continue }
                    best = overlaps[index][object]
                    match = object
                }
                if let match {
                    isTaken[match] = true
                    matched[index] = objects[match].identifier != 0
                    ignored[index] = isIgnored[match]
                }
                if !matched[index] && !area.contains(findings[index].box.area) { ignored[index] = true }
            }
            outcome.isMatched.append(matched)
            outcome.isIgnored.append(ignored)
        }
    }
}
