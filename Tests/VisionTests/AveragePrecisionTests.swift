// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Vision

/// Small cases counted by hand; `Config/ci/check_coco.py` compares large ones with pycocotools.
struct AveragePrecisionTests {
    private typealias Object = AveragePrecision.Object
    private typealias Finding = AveragePrecision.Finding

    private func box(_ x: Double, _ y: Double = 0, _ size: Double = 50) -> AveragePrecision.Rectangle {
        .init(x: x, y: y, width: size, height: size)
    }

    private func summary(_ objects: [Object], _ findings: [Finding]) -> AveragePrecision.Summary {
        var precision = AveragePrecision()
        precision.add(objects: objects, findings: findings)
        return precision.summary
    }

    @Test func whatIsFoundExactlyCountsFully() {
        let result = summary(
            [Object(category: 7, box: box(10))], [Finding(category: 7, box: box(10), score: 0.4)])
        #expect(abs(result.averagePrecision - 1) < 1e-12 && abs(result.averagePrecisionMedium - 1) < 1e-12)
        #expect(result.averagePrecisionSmall == -1 && result.averagePrecisionLarge == -1)
        #expect(result.averageRecall1 == 1 && result.averageRecall100 == 1)
    }

    @Test func aBetterScoredMistakeHalvesThePrecision() {
        // Recall 0.5 at precision 1/2: 51 of 101 recalls, 0 to 0.5.
        let result = summary(
            [Object(category: 1, box: box(0)), Object(category: 1, box: box(200))],
            [Finding(category: 1, box: box(400), score: 0.9), Finding(category: 1, box: box(0), score: 0.8)])
        #expect(abs(result.averagePrecision - 51.0 / 101 / 2) < 1e-12)
        #expect(result.averageRecall100 == 0.5 && result.averageRecall1 == 0)
    }

    @Test func overlapDecidesUpToWhichThresholdABoxCounts() {
        // 50x50 against 50x36 in it: overlap 0.72, enough for 0.5, 0.55, 0.6, 0.65 and 0.7.
        let flat = AveragePrecision.Rectangle(x: 0, y: 0, width: 50, height: 36)
        let result = summary([Object(category: 1, box: box(0))], [Finding(category: 1, box: flat, score: 0.5)])
        #expect(abs(result.averagePrecision - 0.5) < 1e-12)
        #expect(abs(result.averagePrecision50 - 1) < 1e-12 && result.averagePrecision75 == 0)
        #expect(result.averageRecall100 == 0.5)
    }

    @Test func aSecondDetectionOfAnObjectIsAMistake() {
        let result = summary(
            [Object(category: 1, box: box(0)), Object(category: 1, box: box(100))],
            [
                Finding(category: 1, box: box(0), score: 0.9), Finding(category: 1, box: box(0), score: 0.8),
                Finding(category: 1, box: box(100), score: 0.7),
            ])
        // Precision 1 up to recall 0.5, then 2/3.
        #expect(abs(result.averagePrecision - (51 + 50 * 2.0 / 3) / 101) < 1e-12)
    }

    @Test func detectionsInACrowdDoNotCount() {
        let crowd = Object(category: 1, box: box(100, 0, 200), isCrowd: true)
        let findings = [120.0, 130, 140].map { Finding(category: 1, box: box($0), score: 0.9) }
        let result = summary(
            [Object(category: 1, box: box(0)), crowd], findings + [Finding(category: 1, box: box(0), score: 0.1)])
        #expect(abs(result.averagePrecision - 1) < 1e-12)
    }

    @Test func objectsOfAnotherSizeDoNotCount() {
        let result = summary(
            [Object(category: 1, box: box(0, 0, 20)), Object(category: 1, box: box(100, 0, 120))],
            [
                Finding(category: 1, box: box(0, 0, 20), score: 0.9),
                Finding(category: 1, box: box(300, 0, 40), score: 1),
            ])
        #expect(abs(result.averagePrecisionSmall - 1) < 1e-12)
        #expect(result.averagePrecisionMedium == -1 && result.averagePrecisionLarge == 0)
        // A mistake and one of two objects: precision 1/2 up to recall 0.5.
        #expect(abs(result.averagePrecision - 51.0 / 101 / 2) < 1e-12)
    }

    @Test func categoriesWithoutObjectsDoNotCount() {
        let result = summary(
            [Object(category: 1, box: box(0)), Object(category: 2, box: box(0))],
            [Finding(category: 1, box: box(0), score: 0.9), Finding(category: 3, box: box(0), score: 0.9)])
        #expect(abs(result.averagePrecision - 0.5) < 1e-12)
    }

    @Test func onlyTheBestHundredPerPictureAndCategoryCount() {
        let mistakes = (0..<100).map { Finding(category: 1, box: box(Double($0) * 60, 500), score: 0.9) }
        let right = Finding(category: 1, box: box(0), score: 0.1)
        #expect(summary([Object(category: 1, box: box(0))], mistakes + [right]).averageRecall100 == 0)
        #expect(summary([Object(category: 1, box: box(0))], mistakes.dropLast() + [right]).averageRecall100 == 1)
    }

    @Test func betweenEqualScoresTheEarlierPictureComesFirst() {
        var precision = AveragePrecision()
        let found = Finding(category: 1, box: box(0), score: 0.5)
        precision.add(objects: [], findings: [found])
        precision.add(objects: [Object(category: 1, box: box(0))], findings: [found])
        #expect(abs(precision.summary.averagePrecision - 0.5) < 1e-12)
        var other = AveragePrecision()
        other.add(objects: [Object(category: 1, box: box(0))], findings: [found])
        other.add(objects: [], findings: [found])
        #expect(abs(other.summary.averagePrecision - 1) < 1e-12)
    }

    @Test func nothingToFindIsNotZero() {
        let result = summary([], [Finding(category: 1, box: box(0), score: 0.5)])
        #expect(result.averagePrecision == -1 && result.averageRecall100 == -1)
    }

    @Test func foundAgainCountsObjectsNotDetections() {
        var precision = AveragePrecision()
        precision.add(
            objects: [Object(category: 1, box: box(0)), Object(category: 1, box: box(200))],
            findings: [Finding(category: 1, box: box(5), score: 0.9), Finding(category: 1, box: box(0), score: 0.8)])
        #expect(precision.recall50 == 0.5)
    }
}
