// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import Pipeline

struct SequencerTests {
    private final class Trace: Sendable {
        private let entries = Mutex<[String]>([])

        var all: [String] { entries.withLock { $0 } }

        func note(_ text: String) -> Sequencer.Action { { self.entries.withLock { $0.append(text) } } }
    }

    private func finish(_ sequencer: Sequencer, _ ticket: UInt64, _ key: String, _ action: @escaping Sequencer.Action) {
        for ready in sequencer.end(ticket, key: key, action: action) { ready() }
    }

    @Test func actionsOfAKeyKeepTheOrderOfItsTickets() {
        let sequencer = Sequencer()
        let trace = Trace()
        let tickets = (0..<3).map { _ in sequencer.begin("a") }
        finish(sequencer, tickets[2], "a", trace.note("2"))
        finish(sequencer, tickets[1], "a", trace.note("1"))
        #expect(trace.all.isEmpty)
        finish(sequencer, tickets[0], "a", trace.note("0"))
        #expect(trace.all == ["0", "1", "2"])
    }

    @Test func keysDoNotWaitForEachOther() {
        let sequencer = Sequencer()
        let trace = Trace()
        let slow = sequencer.begin("slow")
        let fast = sequencer.begin("fast")
        finish(sequencer, fast, "fast", trace.note("fast"))
        #expect(trace.all == ["fast"])
        finish(sequencer, slow, "slow", trace.note("slow"))
        #expect(trace.all == ["fast", "slow"])
    }

    @Test(arguments: [1, 2, 3, 4, 5])
    func anyOrderOfEndsGivesTheOrderOfBegins(seed: UInt64) {
        let sequencer = Sequencer()
        let trace = Trace()
        var state = seed
        func chance(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var open: [(UInt64, String, Int)] = []
        var counts: [String: Int] = [:]
        for _ in 0..<500 {
            if open.count < 10, chance(2) == 0 {
                let key = ["a", "b", "c"][chance(3)]
                open.append((sequencer.begin(key), key, counts[key, default: 0]))
                counts[key, default: 0] += 1
            } else if !open.isEmpty {
                let (ticket, key, number) = open.remove(at: chance(open.count))
                finish(sequencer, ticket, key, trace.note("\(key)\(number)"))
            }
        }
        for (ticket, key, number) in open { finish(sequencer, ticket, key, trace.note("\(key)\(number)")) }
        for key in ["a", "b", "c"] {
            let seen = trace.all.filter { $0.hasPrefix(key) }
            #expect(seen == (0..<counts[key, default: 0]).map { "\(key)\($0)" })
        }
    }
}
