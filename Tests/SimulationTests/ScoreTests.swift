// SPDX-License-Identifier: Apache-2.0

import Testing
import Vision

@testable import Simulation

@Suite struct DetectionScoreTests {
    private func box(_ x: Float, _ y: Float = 0, _ width: Float = 10, _ height: Float = 10) -> Box {
        Box(x: x, y: y, width: width, height: height)
    }

    private func person(_ x: Float, score: Float = 0.9) -> Detection {
        Detection(classIndex: ObjectClass.person.rawValue, score: score, box: box(x))
    }

    private func score(_ found: [Detection], _ truth: [TrueObject]) -> DetectionScore.Counts {
        var score = DetectionScore()
        score.add(found: found, truth: truth)
        return score.total
    }

    @Test func exactBoxIsFound() {
        let counts = score([person(0)], [TrueObject(object: .person, box: box(0))])
        #expect((counts.found, counts.falsely, counts.missed) == (1, 0, 0))
    }

    @Test func overlapBelowHalfIsFalseAndMissed() {
        // 6 of 14 columns are common.
        let counts = score([person(4)], [TrueObject(object: .person, box: box(0))])
        #expect((counts.found, counts.falsely, counts.missed) == (0, 1, 1))
    }

    @Test func anotherClassDoesNotMatch() {
        let counts = score([person(0)], [TrueObject(object: .parcel, box: box(0))])
        #expect((counts.found, counts.falsely, counts.missed) == (0, 1, 1))
    }

    @Test func secondDetectionOfOneObjectIsFalse() {
        let counts = score([person(0), person(1, score: 0.5)], [TrueObject(object: .person, box: box(0))])
        #expect((counts.found, counts.falsely, counts.missed) == (1, 1, 0))
    }

    @Test func higherScoreChoosesFirst() {
        let truth = [TrueObject(object: .person, box: box(0)), TrueObject(object: .person, box: box(3))]
        // The better one takes 3, which leaves 0 to the other.
        let counts = score([person(1, score: 0.4), person(3, score: 0.9)], truth)
        #expect((counts.found, counts.falsely, counts.missed) == (2, 0, 0))
    }

    @Test func ignoredObjectsCountNeitherWay() {
        let ignored = [TrueObject(object: .person, box: box(0), isIgnored: true)]
        #expect(score([person(1)], ignored) == DetectionScore.Counts())
        #expect(score([], ignored) == DetectionScore.Counts())
    }

    @Test func emptyFrameIsPerfect() {
        let counts = score([], [])
        #expect(counts.precision == 1 && counts.recall == 1)
    }
}

@Suite struct AlertScoreTests {
    private let fault = Fault(machine: .fan, series: "speed", kind: .shift, start: 10, end: 14, direction: 1)

    @Test func delayIsThatOfTheFirstAlert() {
        let score = AlertScore(
            faults: [fault], alerts: [.init(machine: .fan, time: 12), .init(machine: .fan, time: 11.5)])
        #expect(score.outcomes.map(\.delaySeconds) == [1.5])
        #expect(score.falseAlarms.isEmpty)
    }

    @Test func alertsBeforeOrLongAfterAreFalse() {
        let score = AlertScore(
            faults: [fault], alerts: [.init(machine: .fan, time: 9), .init(machine: .fan, time: 19)])
        #expect(score.outcomes.map(\.delaySeconds) == [nil])
        #expect(score.falseAlarms.count == 2)
    }

    @Test func alertsOfOtherMachinesDoNotCount() {
        let score = AlertScore(faults: [fault], alerts: [.init(machine: .pump, time: 11)])
        #expect(score.outcomes.map(\.delaySeconds) == [nil])
        #expect(score.falseAlarms == [.init(machine: .pump, time: 11)])
    }
}

@Suite struct LiveTableTests {
    @Test func aFixedStateGivesFixedLines() {
        var table = LiveTable()
        table.title = "Demo 3 s"
        var yard = LiveTable.Source(name: "yard")
        (yard.received, yard.processed, yard.shed, yard.ageMilliseconds) = (20, 18, 2, 7.25)
        yard.rates = [0, 3, 6]
        table.sources = [yard]
        table.detections = [.init(name: "yard", text: "2 person, 1 parcel")]
        table.alerts = [.init(name: "press", text: "vibration open", isAlarming: true)]
        table.footer = "precision 1.00"
        #expect(
            table.lines(columns: 100, isStyled: false).filter { !$0.isEmpty } == [
                "Demo 3 s",
                "source      received processed      shed    failed       age      rate  results",
                "yard              20        18         2         0    7.3 ms     6.0/s  ▁▄█",
                "detections", "yard      2 person, 1 parcel",
                "alerts", "press     vibration open",
                "precision 1.00",
            ])
    }

    @Test func heightDoesNotDependOnTheAlerts() {
        var table = LiveTable()
        let empty = table.lines(columns: 80, isStyled: true).count
        table.alerts = Array(repeating: .init(name: "fan", text: "open"), count: 20)
        #expect(table.lines(columns: 80, isStyled: true).count == empty)
    }

    @Test func linesFitTheTerminal() {
        var table = LiveTable()
        table.footer = String(repeating: "x", count: 300)
        for line in table.lines(columns: 40, isStyled: false) { #expect(line.count <= 40) }
    }

    @Test func fixedRoundsAndPads() {
        #expect(fixed(1.005, 1) == "1.0")
        #expect(fixed(-0.04, 1) == "0.0")
        #expect(fixed(12.096, 2) == "12.10")
        #expect(fixed(7, 0) == "7")
        #expect(fixed(.infinity, 1) == "inf")
    }
}

@Suite struct TruthAnnotatorTests {
    @Test func boxesAtTheBordersStayInside() {
        let black = [UInt8](repeating: 0, count: 20 * 16 * 3)
        var annotator = black.withUnsafeBufferPointer { TruthAnnotator(pixels: $0, width: 20, height: 16) }
        annotator.draw([Detection(classIndex: 0, score: 0.5, box: Box(x: -5, y: -5, width: 60, height: 60))])
        annotator.draw([TrueObject(object: .person, box: Box(x: 3, y: 3, width: 4, height: 4))])
        #expect(annotator.pixels[(3 * 20 + 3) * 3] == 230)
    }
}
