// SPDX-License-Identifier: Apache-2.0

import Simulation
import Streaming
import TestSupport
import Testing

@testable import MQTT

/// What holds for the real broker and for the one in memory.
@Suite(.timeLimit(.minutes(2)))
struct BrokerContractTests {
    enum Kind: CaseIterable { case inMemory, real }

    /// A broker and a way to cut its connections.
    struct Fixture: Sendable {
        let broker: any Broker
        let process: MosquittoProcess?

        init(_ kind: Kind) throws {
            switch kind {
            case .inMemory:
                broker = InMemoryBroker()
                process = nil
            case .real:
                let process = try MosquittoProcess()
                broker = try MQTTBroker(MQTTSettings(url: process.url))
                self.process = process
            }
        }

        func cut() {
            if let process { cutConnections(toPort: process.port) }
            (broker as? InMemoryBroker)?.drop()
        }
    }

    @Test(arguments: Kind.allCases)
    func deliversWithProperties(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        let client = try Client(fixture.broker, "a", ["in/+"], qos: .atLeastOnce)
        defer { client.stop() }
        var properties = MessageProperties()
        properties.contentType = "application/json"
        properties.messageExpirySeconds = 60
        properties.responseTopic = "answers"
        properties.correlationData = [0, 1, 255]
        properties.userProperties = [("name", "value"), ("name", "other"), ("", "")]
        #expect(await client.isSubscribed())
        client.publish("in/x", "text", qos: .atLeastOnce, properties: properties)
        #expect(await client.received(1))
        let message = try #require(client.recorder.messages.first)
        #expect(message.topic == "in/x")
        #expect(client.recorder.texts == ["text"])
        #expect(message.qos == .atLeastOnce)
        #expect(!message.retained)
        #expect(message.properties == properties)
        #expect(await client.published(1))
        #expect(client.recorder.outcomes == [.accepted])
    }

    @Test(arguments: Kind.allCases)
    func retainedMessageReachesLaterSubscriber(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        let first = try Client(fixture.broker, "a")
        first.publish("state", "on", qos: .atLeastOnce, retained: true)
        #expect(await first.published(1))
        first.stop()
        let second = try Client(fixture.broker, "b", ["state"])
        defer { second.stop() }
        #expect(await second.received(1))
        #expect(second.recorder.texts == ["on"])
        #expect(second.recorder.messages.first?.retained == true)
    }

    @Test(arguments: Kind.allCases)
    func sharedSubscriptionGivesEachMessageToOneMember(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        let members = try ["a", "b"].map {
            try Client(fixture.broker, $0, ["work/#"], qos: .atLeastOnce, share: "group")
        }
        defer { for member in members { member.stop() } }
        for member in members { #expect(await member.isSubscribed()) }
        let publisher = try Client(fixture.broker, "p")
        defer { publisher.stop() }
        for index in 0..<100 { publisher.publish("work/x", "\(index)", qos: .atLeastOnce) }
        #expect(await eventually { members.reduce(0) { $0 + $1.recorder.messageCount } >= 100 })
        let texts = members.map { Set($0.recorder.texts) }
        #expect(texts[0].isDisjoint(with: texts[1]))
        #expect(texts[0].union(texts[1]).count == 100)
        #expect(!texts[0].isEmpty && !texts[1].isEmpty)
    }

    @Test(arguments: Kind.allCases)
    func lastWillIsPublishedWhenCutButNotWhenStopped(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        // Its session is kept while it is cut off too.
        let observer = try Client(fixture.broker, "observer", ["status"], qos: .atLeastOnce, window: 100)
        let publisher = try Client(fixture.broker, "publisher")
        defer { for client in [observer, publisher] { client.stop(within: .zero) } }
        #expect(await observer.isSubscribed())
        let client = try Client(
            fixture.broker, "a", will: Message(topic: "status", payload: Payload("offline"), qos: .atLeastOnce))
        #expect(await client.isConnected())
        fixture.cut()
        #expect(await client.isConnected(times: 2))
        #expect(await eventually { observer.recorder.texts.contains("offline") })
        // The observer was cut too, so the will may come to it a second time, but not behind what follows it.
        publisher.publish("status", "between", qos: .atLeastOnce)
        #expect(await eventually { observer.recorder.texts.contains("between") })
        let count = observer.recorder.texts.count { $0 == "offline" }
        client.stop()
        publisher.publish("status", "end", qos: .atLeastOnce)
        #expect(await eventually { observer.recorder.texts.contains("end") })
        #expect(observer.recorder.texts.count { $0 == "offline" } == count)
    }

    @Test(arguments: Kind.allCases)
    func windowHoldsBackTheRestUntilAllAreFinished(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        let client = try Client(fixture.broker, "a", ["in"], qos: .atLeastOnce, window: 10)
        defer { client.stop() }
        let other = try Client(fixture.broker, "b", ["roundtrip"])
        defer { other.stop() }
        #expect(await client.isSubscribed())
        #expect(await other.isSubscribed())
        for index in 0..<25 { other.publish("in", "\(index)", qos: .atLeastOnce) }
        for total in [10, 20, 25] {
            #expect(await client.received(total))
            #expect(await other.roundTrip())
            #expect(client.recorder.messageCount == total)
            // The last of them still open: nothing comes.
            client.connection.finished(min(10, total) - 1 - (total == 25 ? 5 : 0))
            #expect(await other.roundTrip())
            #expect(client.recorder.messageCount == total)
            client.connection.finished(1)
        }
        #expect(client.recorder.texts == (0..<25).map(String.init))
    }

    @Test(arguments: Kind.allCases)
    func unfinishedMessagesComeAgainAfterReconnect(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        let client = try Client(fixture.broker, "a", ["in"], qos: .atLeastOnce, window: 10)
        defer { client.stop() }
        #expect(await client.isSubscribed())
        let other = try Client(fixture.broker, "b")
        defer { other.stop() }
        for index in 0..<10 { other.publish("in", "\(index)", qos: .atLeastOnce) }
        #expect(await client.received(10))
        fixture.cut()
        #expect(await client.isConnected(times: 2))
        // The old ones, whose outcome says nothing about the new ones.
        client.connection.finished(10)
        #expect(await client.received(20))
        #expect(Set(client.recorder.texts.suffix(10)) == Set((0..<10).map(String.init)))
        client.connection.finished(10)
        other.publish("in", "0", qos: .atLeastOnce)
        #expect(await client.received(21))
        client.connection.finished(1)
        let numbers = client.recorder.messages.map(\.deliveryNumber)
        #expect(Set(numbers.prefix(10)).count == 10 && Set(numbers.prefix(10)) == Set(numbers[10..<20]))
        #expect(!numbers.contains(nil) && !numbers.prefix(20).contains(numbers[20]))
    }

    @Test(arguments: Kind.allCases)
    func pauseHoldsBackMessages(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        let client = try Client(fixture.broker, "a", ["in"], qos: .atMostOnce)
        defer { client.stop() }
        let other = try Client(fixture.broker, "b", ["roundtrip"])
        defer { other.stop() }
        #expect(await client.isSubscribed())
        #expect(await other.isSubscribed())
        client.connection.pause()
        client.connection.pause()
        other.publish("in", "x")
        #expect(await other.roundTrip())
        client.connection.resume()
        #expect(client.recorder.messageCount == 0)
        client.connection.resume()
        #expect(await client.received(1))
    }

    @Test(arguments: Kind.allCases)
    func publishingEndsInOneOutcome(kind: Kind) async throws {
        let fixture = try Fixture(kind)
        let client = try Client(fixture.broker, "a", publishQueueCount: 5)
        #expect(await client.isConnected())
        client.publish("a/b", qos: .atLeastOnce)
        #expect(await client.published(1))
        client.publish("late", deadline: 1)
        #expect(await client.published(2))
        client.publish("not/+/allowed")
        #expect(await client.published(3))
        client.stop()
        client.publish("after")
        #expect(await client.published(4))
        let outcomes = client.recorder.outcomes
        #expect(outcomes.count == 4 && outcomes[0] == .accepted && outcomes[1] == .expired && outcomes[3] == .stopped)
        guard case .refused = outcomes[2] else {
            Issue.record("\(outcomes[2])")
            return
        }
    }
}
