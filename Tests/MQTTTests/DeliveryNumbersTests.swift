// SPDX-License-Identifier: Apache-2.0

import Streaming
import Testing

@testable import MQTT

struct DeliveryNumbersTests {
    private func message(_ text: String) -> Message { Message(topic: "t", payload: Payload(text), qos: .atLeastOnce) }

    @Test func whatWasNotAcknowledgedHasItsNumberAgain() {
        var numbers = DeliveryNumbers()
        let first = [1, 2].map { numbers.number(of: message("\($0)"), packetID: $0) }
        numbers.connectionLost()
        numbers.connected(sessionPresent: true)
        let again = [1, 2].map { numbers.number(of: message("\($0)"), packetID: $0) }
        #expect(Set(first).count == 2 && again == first)
    }

    @Test func whatWasAcknowledgedIsNotKnownAgain() {
        var numbers = DeliveryNumbers()
        let first = numbers.number(of: message("same"), packetID: 1)
        numbers.acknowledged()
        numbers.connectionLost()
        numbers.connected(sessionPresent: true)
        #expect(numbers.number(of: message("same"), packetID: 1) != first)
    }

    /// A sensor may send equal values for ever; brokers use packet identifiers again.
    @Test func anotherContentOrAnotherSessionIsNew() {
        var numbers = DeliveryNumbers()
        let first = numbers.number(of: message("same"), packetID: 1)
        numbers.connectionLost()
        numbers.connected(sessionPresent: true)
        #expect(numbers.number(of: message("other"), packetID: 1) != first)
        numbers.connectionLost()
        numbers.connected(sessionPresent: false)
        #expect(numbers.number(of: message("same"), packetID: 1) != first)
    }

    @Test func afterTheFirstNewMessageNothingIsOld() {
        var numbers = DeliveryNumbers()
        let first = [1, 2].map { numbers.number(of: message("\($0)"), packetID: $0) }
        numbers.connectionLost()
        numbers.connected(sessionPresent: true)
        _ = numbers.number(of: message("new"), packetID: 3)
        #expect(numbers.number(of: message("2"), packetID: 2) != first[1])
    }

    @Test func survivesASecondLossBeforeAllCameAgain() {
        var numbers = DeliveryNumbers()
        let first = [1, 2].map { numbers.number(of: message("\($0)"), packetID: $0) }
        for _ in 0..<2 {
            numbers.connectionLost()
            numbers.connected(sessionPresent: true)
            #expect(numbers.number(of: message("1"), packetID: 1) == first[0])
        }
        #expect(numbers.number(of: message("2"), packetID: 2) == first[1])
    }
}
