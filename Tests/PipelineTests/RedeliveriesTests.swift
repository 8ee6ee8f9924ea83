// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import Pipeline

struct RedeliveriesTests {
    private let ledger = Ledger()

    private func makeDelivery() -> Delivery {
        Delivery(Message(topic: "t", payload: Payload("x")), key: "", ledger: ledger) { _ in }
    }

    private func take(_ redeliveries: inout Redeliveries, _ number: UInt64, _ delivery: Delivery) -> String {
        switch redeliveries.take(number, delivery) {
        case .first: return "first"
        case .done: return "done"
        case .waits(let replaced): return replaced == nil ? "waits" : "replaces"
        }
    }

    @Test(arguments: [Outcome.processed, .failed(reason: "not_jpeg")])
    func whatIsDoneIsNotDoneAgain(outcome: Outcome) {
        var redeliveries = Redeliveries(capacity: 4)
        let delivery = makeDelivery()
        defer { delivery.finish(.processed) }
        #expect(take(&redeliveries, 1, delivery) == "first")
        #expect(redeliveries.finished(1, outcome) == nil)
        #expect(take(&redeliveries, 1, delivery) == "done")
    }

    @Test func whatWasShedIsDoneAgain() {
        var redeliveries = Redeliveries(capacity: 4)
        let delivery = makeDelivery()
        defer { delivery.finish(.processed) }
        #expect(take(&redeliveries, 1, delivery) == "first")
        #expect(redeliveries.finished(1, .shed(.shutdown)) == nil)
        #expect(take(&redeliveries, 1, delivery) == "first")
    }

    @Test func theLatestDeliveryWaitsForTheOneThatIsOnItsWay() {
        var redeliveries = Redeliveries(capacity: 4)
        let deliveries = (0..<3).map { _ in makeDelivery() }
        defer { for delivery in deliveries { delivery.finish(.processed) } }
        #expect(deliveries.map { take(&redeliveries, 1, $0) } == ["first", "waits", "replaces"])
        let next = redeliveries.finished(1, .shed(.stale))
        #expect(next?.delivery === deliveries[2] && next?.isNext == true)
        #expect(redeliveries.finished(1, .processed) == nil)
        #expect(take(&redeliveries, 1, deliveries[0]) == "done")
    }

    @Test func whoWaitedForSuccessIsNotNeeded() {
        var redeliveries = Redeliveries(capacity: 4)
        let deliveries = (0..<2).map { _ in makeDelivery() }
        defer { for delivery in deliveries { delivery.finish(.processed) } }
        for delivery in deliveries { _ = redeliveries.take(1, delivery) }
        let waiting = redeliveries.finished(1, .processed)
        #expect(waiting?.delivery === deliveries[1] && waiting?.isNext == false)
    }

    @Test func remembersAsManyAsItSays() {
        var redeliveries = Redeliveries(capacity: 2)
        let delivery = makeDelivery()
        defer { delivery.finish(.processed) }
        for number in UInt64(1)...3 {
            _ = redeliveries.take(number, delivery)
            _ = redeliveries.finished(number, .processed)
        }
        #expect(take(&redeliveries, 1, delivery) == "first")
        #expect(take(&redeliveries, 2, delivery) == "done")
        #expect(take(&redeliveries, 3, delivery) == "done")
    }
}
