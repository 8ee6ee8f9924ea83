// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import MQTT

struct SupervisorTests {
    private static let second: Int64 = 1_000_000_000

    private func make() -> Supervisor { Supervisor(backoff: Backoff(), connectTimeout: .seconds(10)) }

    private func retryDelay(_ actions: [Supervisor.Action]) -> Duration? {
        if case .retry(let delay) = actions.last { delay } else { nil }
    }

    private func connected(at now: Int64 = 0) -> Supervisor {
        var supervisor = make()
        _ = supervisor.handle(.start, now: now)
        _ = supervisor.handle(.opened, now: now)
        _ = supervisor.handle(.accepted(sessionPresent: false), now: now)
        return supervisor
    }

    @Test func subscribesAfterEveryConnect() {
        var supervisor = make()
        #expect(supervisor.handle(.start, now: 0) == [.open])
        #expect(supervisor.handle(.opened, now: 0) == [])
        #expect(
            supervisor.handle(.accepted(sessionPresent: true), now: 0) == [
                .report(.connected(sessionPresent: true)), .subscribe,
            ])
        _ = supervisor.handle(.failed(reason: "gone"), now: 1)
        #expect(supervisor.handle(.retryDue, now: 2) == [.open])
        _ = supervisor.handle(.opened, now: 2)
        #expect(supervisor.handle(.accepted(sessionPresent: false), now: 3).last == .subscribe)
    }

    @Test func lossClosesReportsAndRetriesFast() throws {
        var supervisor = connected()
        let actions = supervisor.handle(.failed(reason: "gone"), now: 1, chance: 0.999)
        let delay = try #require(retryDelay(actions))
        #expect(delay <= .milliseconds(250))
        #expect(actions == [.close, .report(.disconnected(reason: "gone", retryAfter: delay)), .retry(after: delay)])
    }

    @Test func attemptIsGivenUpAtItsDeadline() {
        var supervisor = make()
        _ = supervisor.handle(.start, now: 0)
        _ = supervisor.handle(.opened, now: 9 * Self.second)
        #expect(supervisor.handle(.tick, now: 10 * Self.second - 1) == [])
        #expect(supervisor.handle(.tick, now: 10 * Self.second).first == .close)
        #expect(supervisor.state == .waiting)
    }

    @Test func oneFailureCountsOnce() {
        var supervisor = connected()
        #expect(!supervisor.handle(.failed(reason: "a"), now: 1).isEmpty)
        #expect(supervisor.handle(.failed(reason: "b"), now: 1).isEmpty)
    }

    @Test func retriesForEverWithinFourSeconds() throws {
        var supervisor = make()
        _ = supervisor.handle(.start, now: 0)
        for _ in 0..<1000 {
            let delay = try #require(
                retryDelay(supervisor.handle(.failed(reason: "down"), now: 0, chance: 0.999)))
            #expect(delay <= .seconds(4))
            #expect(supervisor.handle(.retryDue, now: 0) == [.open])
        }
    }

    @Test(arguments: [(Int64(1), false), (Int64(5), true)])
    func onlyALastingConnectionStartsTheBackoffAgain(seconds: Int64, startsAgain: Bool) throws {
        var supervisor = make()
        _ = supervisor.handle(.start, now: 0)
        for _ in 0..<10 {
            _ = supervisor.handle(.failed(reason: "down"), now: 0)
            _ = supervisor.handle(.retryDue, now: 0)
        }
        _ = supervisor.handle(.opened, now: 0)
        _ = supervisor.handle(.accepted(sessionPresent: false), now: 0)
        let actions = supervisor.handle(.failed(reason: "gone"), now: seconds * Self.second, chance: 0.999)
        let delay = try #require(retryDelay(actions))
        #expect((delay <= .milliseconds(250)) == startsAgain)
    }

    @Test func nothingHappensAfterStop() {
        var supervisor = connected()
        #expect(supervisor.handle(.stop, now: 0) == [.close])
        for input in [Supervisor.Input.start, .retryDue, .failed(reason: "x"), .tick, .stop] {
            #expect(supervisor.handle(input, now: 99 * Self.second) == [])
        }
    }
}

struct BackoffTests {
    @Test func delayIsUniformBelowADoublingBound() {
        let backoff = Backoff(minimum: .zero, first: .milliseconds(100), maximum: .seconds(1))
        #expect(backoff.delay(retry: 0, chance: 0.5) == .milliseconds(50))
        #expect(backoff.delay(retry: 1, chance: 0.5) == .milliseconds(100))
        #expect(backoff.delay(retry: 3, chance: 0.5) == .milliseconds(400))
        #expect(backoff.delay(retry: 4, chance: 0.5) == .milliseconds(500))
        #expect(backoff.delay(retry: 100_000, chance: 0) == .zero)
    }
}
