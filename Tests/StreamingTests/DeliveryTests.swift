// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import Streaming

struct DeliveryTests {
    private let ledger = Ledger()

    private func makeDelivery(settled: @escaping @Sendable (Outcome) -> Void = { _ in }) -> Delivery {
        Delivery(Message(topic: "t", payload: Payload("x")), key: "", ledger: ledger, settled: settled)
    }

    @Test func isInFlightUntilFinished() {
        let delivery = makeDelivery()
        #expect(ledger.snapshot.inFlight == 1)
        #expect(ledger.snapshot.isExact)
        delivery.finish(.processed)
        #expect(ledger.snapshot.inFlight == 0)
        #expect(ledger.snapshot.processed == 1)
        #expect(ledger.snapshot.isExact)
    }

    @Test func settlesOnceWhenAllPartsAreFinished() {
        let settled = Mutex(0)
        let delivery = makeDelivery { _ in settled.withLock { $0 += 1 } }
        delivery.split(into: 3)
        delivery.finish(.processed)
        delivery.finish(.processed)
        #expect(settled.withLock { $0 } == 0)
        #expect(ledger.snapshot.inFlight == 1)
        delivery.finish(.processed)
        #expect(settled.withLock { $0 } == 1)
        #expect(ledger.snapshot.processed == 1)
    }

    @Test func theWorstOutcomeOfItsPartsCounts() {
        let delivery = makeDelivery()
        delivery.split(into: 3)
        delivery.finish(.shed(.stale))
        delivery.finish(.failed(reason: "publish_refused"))
        delivery.finish(.processed)
        #expect(ledger.snapshot.failed == ["publish_refused": 1])
        #expect(ledger.snapshot.isExact)
    }

    @Test func reasonsAreCountedByName() {
        makeDelivery().finish(.shed(.superseded))
        makeDelivery().finish(.shed(.superseded))
        makeDelivery().finish(.failed(reason: "not_jpeg"))
        let balance = ledger.snapshot
        #expect(balance.shed == ["superseded": 2])
        #expect(balance.failed == ["not_jpeg": 1])
        #expect(balance.received == 3 && balance.isExact)
    }

    @Test func theNumberOfReasonsIsBounded() {
        for index in 0..<1000 { makeDelivery().finish(.failed(reason: "reason_\(index)")) }
        #expect(ledger.snapshot.failed.count <= 65)
        #expect(ledger.snapshot.failedTotal == 1000)
        #expect(ledger.snapshot.isExact)
    }

    @Test func warningsAreCountedBesideTheOutcome() {
        let delivery = makeDelivery()
        delivery.warn()
        delivery.finish(.processed)
        #expect(ledger.snapshot.warnings == 1)
        #expect(ledger.snapshot.processed == 1)
    }
}

struct LatencyHistogramTests {
    @Test(arguments: [1, 7, 8, 9, 100, 12_345, 999_999, 60_000_000])
    func percentilesAreAtMostAnEighthTooHigh(microseconds: Int64) throws {
        var histogram = LatencyHistogram()
        for _ in 0..<100 { histogram.add(nanoseconds: microseconds * 1000) }
        histogram.add(nanoseconds: 67_000_000_000)
        let exact = Double(microseconds) / 1000
        let median = try #require(histogram.percentileMilliseconds(0.5))
        #expect(median >= exact && median <= exact * 1.126 + 0.001)
    }

    @Test func emptyHasNoPercentiles() { #expect(LatencyHistogram().percentileMilliseconds(0.5) == nil) }

    @Test func addingTwoIsCountingBoth() {
        var a = LatencyHistogram()
        var b = LatencyHistogram()
        a.add(nanoseconds: 1_000_000)
        b.add(nanoseconds: 9_000_000)
        a.add(b)
        #expect(a.count == 2 && a.maximumMicroseconds == 9000)
    }
}
