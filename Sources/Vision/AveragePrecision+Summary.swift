// SPDX-License-Identifier: Apache-2.0

extension AveragePrecision {
    /// The twelve numbers of COCO, 0...1; -1 where there is no object to count.
    package struct Summary: Hashable, Sendable, Codable {
        /// Mean over overlaps 0.5 ... 0.95, recalls 0 ... 1 and categories.
        package var averagePrecision: Double
        package var averagePrecision50: Double
        package var averagePrecision75: Double
        package var averagePrecisionSmall: Double
        package var averagePrecisionMedium: Double
        package var averagePrecisionLarge: Double
        /// Of at most 1, 10 and 100 detections per picture and category.
        package var averageRecall1: Double
        package var averageRecall10: Double
        package var averageRecall100: Double
        package var averageRecallSmall: Double
        package var averageRecallMedium: Double
        package var averageRecallLarge: Double
    }

    package var summary: Summary {
        func mean(_ values: [Double]) -> Double { values.isEmpty ? -1 : values.reduce(0, +) / Double(values.count) }
        func precision(_ area: AreaRange, _ overlaps: Range<Int>? = nil) -> Double {
            mean(
                categories.flatMap { category -> [Double] in
                    guard let curves = curves(category, area, limit: 100) else { return [] }
                    return curves.precisions[overlaps ?? curves.precisions.indices].flatMap { $0 }
                })
        }
        func recall(_ area: AreaRange, limit: Int) -> Double {
            mean(categories.flatMap { curves($0, area, limit: limit)?.recalls ?? [] })
        }
        return Summary(
            averagePrecision: precision(.all), averagePrecision50: precision(.all, 0..<1),
            averagePrecision75: precision(.all, 5..<6), averagePrecisionSmall: precision(.small),
            averagePrecisionMedium: precision(.medium), averagePrecisionLarge: precision(.large),
            averageRecall1: recall(.all, limit: 1), averageRecall10: recall(.all, limit: 10),
            averageRecall100: recall(.all, limit: 100), averageRecallSmall: recall(.small, limit: 100),
            averageRecallMedium: recall(.medium, limit: 100), averageRecallLarge: recall(.large, limit: 100))
    }

    /// Average precision of one category over all overlaps; nil if it has no object that counts.
    package func averagePrecision(category: Int) -> Double? {
        guard let precisions = curves(category, .all, limit: 100)?.precisions.flatMap({ $0 }) else { return nil }
        return precisions.reduce(0, +) / Double(max(precisions.count, 1))
    }

    /// Share of the objects of all categories that were found at an overlap of at least 0.5, by the best 100 per picture.
    package var recall50: Double {
        var (found, all) = (0, 0)
        for category in categories {
            let key = Key(category: category, area: .all)
            all += objectCounts[key] ?? 0
            for outcome in outcomes[key] ?? [] {
                found += zip(outcome.isMatched[0], outcome.isIgnored[0]).count { $0 && !$1 }
            }
        }
        return all > 0 ? Double(found) / Double(all) : -1
    }

    private var categories: [Int] { Set(outcomes.keys.map(\.category)).sorted() }

    /// Precision at each of `recalls`, per overlap, and the recall reached; nil where there is nothing to find.
    private func curves(
        _ category: Int, _ area: AreaRange, limit: Int
    ) -> (precisions: [[Double]], recalls: [Double])? {
        let key = Key(category: category, area: area)
        guard let count = objectCounts[key], count > 0 else { return nil }
        let pictures = outcomes[key] ?? []
        let scores = pictures.flatMap { $0.scores.prefix(limit) }
        let order = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }
        var precisions: [[Double]] = []
        var reached: [Double] = []
        for overlap in AveragePrecision.overlaps.indices {
            let matched = pictures.flatMap { $0.isMatched[overlap].prefix(limit) }
            let ignored = pictures.flatMap { $0.isIgnored[overlap].prefix(limit) }
            var (right, wrong) = (0.0, 0.0)
            var recalls: [Double] = []
            var curve: [Double] = []
            for index in order {
                if !ignored[index] {
                    if matched[index] { right += 1 } else { wrong += 1 }
                }
                recalls.append(right / Double(count))
                curve.append(right / (wrong + right + Double.ulpOfOne))
            }
            // Precision at a recall is the best at that or any higher one.
            for index in curve.indices.dropLast().reversed() { curve[index] = max(curve[index], curve[index + 1]) }
            var position = 0
            precisions.append(
                AveragePrecision.recalls.map { recall in
                    while position < recalls.count && recalls[position] < recall { position += 1 }
                    return position < curve.count ? curve[position] : 0
                })
            reached.append(recalls.last ?? 0)
        }
        return (precisions, reached)
    }
}
