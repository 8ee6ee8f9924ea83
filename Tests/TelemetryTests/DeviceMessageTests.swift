// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Telemetry

/// Messages of common firmwares, whole and broken: each is read as it is meant, or refused with the reason.
struct DeviceMessageTests {
    @Test(arguments: DeviceShape.all.map(\.name), [1, 2])
    func wholeMessagesAreReadInFull(name: String, seed: Int) throws {
        let shape = try #require(DeviceShape.all.first { $0.name == name }).shape
        var messages = DeviceMessages(generator: SeededGenerator(state: UInt64(seed)))
        var parser = try TelemetryParser.make(.json)
        for _ in 0..<30 {
            let message = messages.message(shape)
            let reading = parser.read(message.text)
            #expect(reading.outcome == .processed)
            #expect(reading.values == message.values, "\(message.text)")
            #expect(reading.faults.isEmpty)
        }
    }

    private enum Damage: CaseIterable {
        case cut, anyByte, missingByte, invalidUTF8, noValue, notANumber, tooDeep, behind, tooLarge
    }

    private struct Damaged {
        var bytes: [UInt8]
        /// Nil: it depends on the place.
        var reason: TelemetryFault?
        /// What the message means where it is read all the same; nil: it depends.
        var lost: Bool?
    }

    private func damage(_ message: DeviceMessages.Message, _ damage: Damage, _ generator: inout SeededGenerator)
        -> Damaged
    {
        var bytes = Array(message.text.utf8)
        let place = Int.random(in: 1..<bytes.count, using: &generator)
        let value = message.places.randomElement(using: &generator) ?? 0..<1
        switch damage {
        case .cut: return Damaged(bytes: Array(bytes[..<place]), reason: .invalidJSON)
        case .anyByte:
            bytes[place] = UInt8.random(in: 0...255, using: &generator)
            return Damaged(bytes: bytes)
        case .missingByte:
            bytes.remove(at: place)
            return Damaged(bytes: bytes)
        case .invalidUTF8:
            bytes.replaceSubrange(value, with: [0x22, 0xC3, 0x28, 0x22])
            return Damaged(bytes: bytes, reason: .invalidUTF8)
        case .noValue:
            let word = ["null", "\"unavailable\"", "\"unknown\"", "\"\""].randomElement(using: &generator) ?? ""
            bytes.replaceSubrange(value, with: Array(word.utf8))
            return Damaged(bytes: bytes, lost: true)
        case .notANumber:
            let word = ["NaN", "-Infinity", "\"nan\"", "1e999"].randomElement(using: &generator) ?? ""
            bytes.replaceSubrange(value, with: Array(word.utf8))
            return Damaged(bytes: bytes, lost: true)
        case .tooDeep:
            bytes.replaceSubrange(value, with: Array(repeating: UInt8(ascii: "["), count: 1000))
            return Damaged(bytes: bytes, reason: .tooDeep)
        case .behind: return Damaged(bytes: bytes + Array("}garbage".utf8), reason: .invalidJSON)
        case .tooLarge:
            return Damaged(bytes: bytes + Array(repeating: UInt8(ascii: " "), count: 1 << 20), reason: .tooLarge)
        }
    }

    @Test(arguments: DeviceShape.all.map(\.name))
    func brokenMessagesAreReadOrRefusedWithTheReason(name: String) throws {
        let shape = try #require(DeviceShape.all.first { $0.name == name }).shape
        var messages = DeviceMessages(generator: SeededGenerator(state: 7))
        var generator = SeededGenerator(state: 8)
        var parser = try TelemetryParser.make(.json)
        _ = parser.read(messages.message(shape).text)
        for round in 0..<45 {
            let message = messages.message(shape)
            let kind = Damage.allCases[round % Damage.allCases.count]
            let damaged = damage(message, kind, &generator)
            let reading = parser.read(damaged.bytes)
            let text = String(decoding: damaged.bytes.prefix(500), as: UTF8.self)
            if let reason = damaged.reason {
                #expect(reading.outcome == .failed(reason), "\(text)")
                #expect(reading.samples.isEmpty)
            } else if damaged.lost == true {
                // Nothing but the one value is lost, and nothing else is read.
                #expect(reading.values.allSatisfy { message.values[$0.key] == $0.value }, "\(text)")
                #expect(reading.values.count >= message.values.count - 1, "\(text)")
            } else if case .failed = reading.outcome {
                #expect(reading.samples.isEmpty)
            }
            #expect(reading.samples.allSatisfy { $0.value.isFinite })
        }
        // The next whole one is read as ever.
        let message = messages.message(shape)
        #expect(parser.read(message.text).values.filter { message.values[$0.key] != nil } == message.values)
    }

    /// Shelly Gen1, Home Assistant's state stream and ESPHome send one state a topic.
    @Test func plainStates() throws {
        var parser = try TelemetryParser.make(.number, [""])
        let states: [(String, Double?, TelemetryFault?)] = [
            ("21.50", 21.5, nil), ("0", 0, nil), ("on", 1, nil), ("off", 0, nil), ("ON", 1, nil), ("OFF", 0, nil),
            ("-12", -12, nil), ("unavailable", nil, .unavailable), ("unknown", nil, .unavailable),
            ("nan", nil, .notFinite),
            ("None", nil, .unavailable), ("", nil, .notANumber), ("overpower", nil, .notANumber),
            ("21.50 °C", nil, .notANumber), ("2026-03-01", nil, .notANumber), ("open", 1, nil),
            ("{}", nil, .notANumber),
        ]
        for (text, value, reason) in states {
            let reading = parser.read(text)
            #expect(reading.samples.first?.value == value, "\(text)")
            #expect(reading.outcome == (reason.map { .failed($0) } ?? .processed), "\(text)")
        }
    }

    @Test func timesOfTheFirmwares() throws {
        var tasmota = try TelemetryParser.make(.json, ["/T"], timestamp: "/Time", TimeReading(zoneSeconds: 3600))
        #expect(tasmota.read(#"{"Time":"2014-04-10T01:04:00","T":1}"#).times == [1_397_088_240_000_000_000])
        var shelly = try TelemetryParser.make(.json, ["/params/t"], timestamp: "/params/ts")
        #expect(shelly.read(#"{"params":{"ts":1397088240.25,"t":1}}"#).times == [1_397_088_240_250_000_000])
        var zigbee = try TelemetryParser.make(.json, ["/t"], timestamp: "/last_seen")
        #expect(zigbee.read(#"{"last_seen":1397088240250,"t":1}"#).times == [1_397_088_240_250_000_000])
        #expect(zigbee.read(#"{"last_seen":"2014-04-10T02:04:00+02:00","t":1}"#).times == [1_397_088_240_000_000_000])
    }
}
