// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import MQTT

struct MQTTSettingsTests {
    @Test(arguments: [
        ("mqtt://broker.local", "broker.local", 1883, false),
        ("mqtts://broker.local", "broker.local", 8883, true),
        ("MQTT://127.0.0.1:2000/", "127.0.0.1", 2000, false),
        ("mqtt://[::1]", "::1", 1883, false),
        ("mqtts://[fe80::1%eth0]:99", "fe80::1%eth0", 99, true),
    ])
    func understandsAddresses(url: String, host: String, port: UInt16, isTLS: Bool) throws {
        let settings = try MQTTSettings(url: url)
        #expect(settings.host == host)
        #expect(settings.port == port)
        #expect((settings.tls != nil) == isTLS)
    }

    @Test func takesCredentialsFromTheAddress() throws {
        let settings = try MQTTSettings(url: "mqtt://gate%201:p%40ss:w@host:1")
        #expect(settings.username == "gate 1")
        #expect(settings.password == "p@ss:w")
        #expect(settings.host == "host")
    }

    @Test(arguments: [
        "", "host", "ws://host", "mqtt://", "mqtt://host:", "mqtt://host:0", "mqtt://host:65536", "mqtt://host:x",
        "mqtt://host/path", "mqtt://[::1", "mqtt://[::1]x", "mqtt://[]", "mqtt://a b", "mqtt://%zz@host",
        "mqtt://%4@host",
    ])
    func refusesWhatIsNoAddress(url: String) {
        #expect(throws: MQTTError.self) { try MQTTSettings(url: url) }
    }

    @Test func errorsDoNotTellThePassword() {
        do { _ = try MQTTSettings(url: "mqtt://user:secret@host:x") } catch {
            return #expect(!error.description.contains("secret"))
        }
        Issue.record("no error")
    }

    @Test func refusesSettingsThatCannotWork() throws {
        var keepAlive = try MQTTSettings(url: "mqtt://host")
        keepAlive.keepAliveSeconds = 4
        var password = try MQTTSettings(url: "mqtt://host")
        password.password = "x"
        var key = try MQTTSettings(url: "mqtts://host")
        key.tls?.keyFile = "key.pem"
        for settings in [keepAlive, password, key] { #expect(throws: MQTTError.self) { try MQTTBroker(settings) } }
    }

    @Test func refusesOptionsThatCannotWork() throws {
        let broker = try MQTTBroker(MQTTSettings(url: "mqtt://host"))
        let filter = try #require(TopicFilter("a/#"))
        let wrong = [
            ConnectionOptions(clientID: "", window: 10), ConnectionOptions(clientID: "a\0b"),
            ConnectionOptions(clientID: "a", window: 0), ConnectionOptions(clientID: "a", window: 65536),
            ConnectionOptions(clientID: "a", publishQueueCount: 0),
            ConnectionOptions(clientID: "a", subscriptions: [.init(filter: filter, qos: .atMostOnce, share: "b/c")]),
            ConnectionOptions(clientID: "a", will: Message(topic: "a/+", payload: Payload(""))),
        ]
        for options in wrong {
            #expect(throws: MQTTError.self) {
                try broker.makeConnection(options, onMessage: { _ in }, onEvent: { _ in })
            }
        }
    }
}
