// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Streaming
import Synchronization
import Testing
import Vision

@testable import Pipeline

/// Lanes and workers without broker, networks or clocks: what a worker does is a closure of the test.
struct SchedulerTests {
    private final class Bench: Sendable {
        let ledger = Ledger()
        let gate = DispatchSemaphore(value: 0)
        private let seen = Mutex<[[String]]>([])
        private let hub = Hub()
        private let pauses = Mutex((paused: 0, resumed: 0))
        private let workers: [Worker]
        let scheduler: Scheduler

        /// - Parameter gated: workers wait for `gate` with each batch.
        init(
            workers count: Int = 1, capacity: Int = 8, overflow: OverflowPolicy = .dropOldest, batch: Int = 1,
            wait: Int64 = 0, concurrency: Int = 1, open: Int = 100, maxAge: Int64? = nil, gated: Bool = false
        ) {
            workers = (0..<count).map { Worker(index: $0, tools: .init(decoder: JPEGDecoder(), networks: [])) }
            let (gate, hub) = (gate, hub)
            let lane = Scheduler.Lane(
                name: "lane", capacity: capacity, overflow: overflow, maxAgeNanoseconds: maxAge, batchSize: batch,
                batchWaitNanoseconds: wait, concurrency: concurrency, openLimit: open, process: { _, _ in },
                pause: {}, resume: {})
            let box = Box()
            var complete = lane
            complete.process = { _, batch in
                if gated { gate.wait() }
                box.bench?.note(batch)
                for taken in batch {
                    for action in hub.scheduler?.sequence(taken, lane: 0, action: { taken.delivery.finish(.processed) })
                        ?? []
                    {
                        action()
                    }
                }
            }
            complete.pause = { box.bench?.pauses.withLock { $0.paused += 1 } }
            complete.resume = { box.bench?.pauses.withLock { $0.resumed += 1 } }
            scheduler = Scheduler(lanes: [complete], workers: workers)
            hub.attach(scheduler)
            box.set(self)
        }

        private final class Box: Sendable {
            private struct Reference: Sendable { weak let bench: Bench? }
            private let content = Mutex<Reference>(Reference(bench: nil))
            var bench: Bench? { content.withLock { $0.bench } }
            func set(_ bench: Bench) { content.withLock { $0 = Reference(bench: bench) } }
        }

        private func note(_ batch: [Scheduler.Taken]) {
            seen.withLock {
                $0.append(batch.map { String(decoding: $0.delivery.message.payload.bytes, as: UTF8.self) })
            }
        }

        var batches: [[String]] { seen.withLock { $0 } }
        var pauseCounts: (paused: Int, resumed: Int) { pauses.withLock { $0 } }

        func submit(_ text: String, key: String = "", at instant: Instant = .now) {
            let message = Message(topic: "t", payload: Payload(text), receivedAt: instant)
            let scheduler = self.scheduler
            scheduler.submit(
                Delivery(message, key: key, ledger: ledger) { _ in scheduler.settled(lane: 0) }, to: 0)
        }

        /// Waits until nothing is in flight.
        func drain() async {
            for _ in 0..<2000 where ledger.snapshot.inFlight > 0 { try? await Task.sleep(for: .milliseconds(1)) }
        }
    }

    @Test func everyMessageIsWorkedOnOnceAndInOrder() async {
        let bench = Bench(capacity: 1000)
        for number in 0..<500 { bench.submit("\(number)") }
        await bench.drain()
        #expect(bench.batches.flatMap { $0 } == (0..<500).map { "\($0)" })
        #expect(bench.ledger.snapshot.processed == 500)
    }

    @Test func aWorkerTakesWhatIsThereUpToTheBatchSize() async {
        let bench = Bench(batch: 3, gated: true)
        bench.submit("first")
        for _ in 0..<1000 where bench.scheduler.waiting(in: 0) > 0 { try? await Task.sleep(for: .milliseconds(1)) }
        for number in 0..<4 { bench.submit("\(number)") }
        for _ in 0..<3 { bench.gate.signal() }
        await bench.drain()
        #expect(bench.batches == [["first"], ["0", "1", "2"], ["3"]])
    }

    @Test func aBatchThatDoesNotFillIsTakenAfterItsWait() async {
        let bench = Bench(batch: 8, wait: 20_000_000)
        bench.submit("a")
        bench.submit("b")
        await bench.drain()
        #expect(bench.batches == [["a", "b"]])
    }

    @Test func overloadShedsAndTheBooksStayExact() async {
        let bench = Bench(capacity: 4, gated: true)
        for number in 0..<20 {
            bench.submit("\(number)")
            #expect(bench.ledger.snapshot.isExact)
        }
        for _ in 0..<20 { bench.gate.signal() }
        await bench.drain()
        let balance = bench.ledger.snapshot
        #expect(balance.isExact && balance.received == 20)
        #expect(balance.processed >= 4 && balance.processed <= 6)
        #expect(balance.shed == ["queue_full": 20 - balance.processed])
        #expect(bench.batches.last == ["19"])
    }

    @Test func whatIsTooOldWhenTakenIsShed() async {
        let bench = Bench(maxAge: 1_000_000_000)
        var old = Instant.now
        old.monotonicNanoseconds -= 2_000_000_000
        bench.submit("old", at: old)
        bench.submit("fresh")
        await bench.drain()
        #expect(bench.batches == [["fresh"]])
        #expect(bench.ledger.snapshot.shed == ["stale": 1])
    }

    @Test func aLaneThatBlocksPausesItsConnectionAndGoesOnAtHalf() async {
        let bench = Bench(capacity: 4, overflow: .block, gated: true)
        for number in 0..<6 { bench.submit("\(number)") }
        #expect(bench.pauseCounts.paused == 1)
        #expect(bench.pauseCounts.resumed == 0)
        for _ in 0..<6 { bench.gate.signal() }
        await bench.drain()
        #expect(bench.pauseCounts.resumed == 1)
        #expect(bench.ledger.snapshot.processed == 6)
    }

    @Test func stoppingShedsWhatWaits() async {
        let bench = Bench(gated: true)
        for number in 0..<5 { bench.submit("\(number)") }
        bench.scheduler.stop()
        bench.submit("late")
        bench.gate.signal()
        await bench.drain()
        let balance = bench.ledger.snapshot
        #expect(balance.isExact && balance.inFlight == 0)
        #expect(balance.processed <= 1)
        #expect(balance.shed["shutdown"] == 6 - balance.processed)
    }

    @Test func manyWorkersFinishEverything() async {
        let bench = Bench(workers: 4, capacity: 10_000, batch: 7, concurrency: 4)
        for number in 0..<5000 { bench.submit("\(number)", key: "\(number % 3)") }
        await bench.drain()
        #expect(bench.ledger.snapshot.processed == 5000)
        #expect(Set(bench.batches.flatMap { $0 }).count == 5000)
    }
}
