// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Telemetry

/// The scanner against Foundation's, on generated texts.
@Suite struct JSONParityTests {
    /// Writes random JSON texts.
    private struct Writer {
        var generator: SeededGenerator
        var text = ""
        /// With an exponent out of range Foundation refuses the text, where the scanner gives an infinity.
        var hasExponents = true

        mutating func space() {
            if Int.random(in: 0..<8, using: &generator) == 0 {
                text += [" ", "\n", "\t "].randomElement(using: &generator)!
            }
        }

        mutating func string() {
            text += "\""
            for _ in 0..<Int.random(in: 0..<12, using: &generator) {
                text += ["a", "temperature", "é", "漢", "😀", "\\n", "\\u0041", "\\ud83d\\ude00", "\\\\", " ", "~", "/"]
                    .randomElement(using: &generator)!
            }
            text += "\""
        }

        mutating func number() {
            let digits = Int.random(in: 1..<22, using: &generator)
            text += Bool.random(using: &generator) ? "-" : ""
            text += String(Int.random(in: 1..<10, using: &generator))
            for _ in 1..<digits { text += String(Int.random(in: 0..<10, using: &generator)) }
            if Bool.random(using: &generator) {
                text += "." + String(UInt32.random(in: 0...UInt32.max, using: &generator))
            }
            if hasExponents, Int.random(in: 0..<3, using: &generator) == 0 {
                text += "e" + String(Int.random(in: -200..<200, using: &generator))
            }
        }

        mutating func value(_ depth: Int) {
            space()
            switch Int.random(in: 0..<(depth > 4 ? 5 : 9), using: &generator) {
            case 0: text += ["true", "false", "null"].randomElement(using: &generator)!
            case 1: string()
            case 2...4: number()
            case 5, 6:
                text += "["
                let count = Int.random(in: 0..<4, using: &generator)
                for index in 0..<count {
                    if index > 0 { text += "," }
                    value(depth + 1)
                }
                text += "]"
            default:
                text += "{"
                let count = Int.random(in: 0..<4, using: &generator)
                for index in 0..<count {
                    if index > 0 { text += "," }
                    space()
                    text += "\"\(["a", "b", "c", "d"][index])\""
                    space()
                    text += ":"
                    value(depth + 1)
                }
                text += "}"
            }
            space()
        }
    }

    private func foundation(_ text: [UInt8]) -> Any? {
        try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed)
    }

    @Test(arguments: 1...20)
    func findsTheSameNumbers(seed: Int) throws {
        var writer = Writer(generator: SeededGenerator(state: UInt64(seed)))
        for _ in 0..<100 {
            writer.text = ""
            writer.value(0)
            let expected = try #require(foundation(Array(writer.text.utf8)), "\(writer.text)")
            for pointer in ["", "/a", "/b", "/a/a", "/a/b", "/0", "/1", "/0/a", "/a/1", "/c/0/1", "/b/b/b"] {
                let slot = try scan(writer.text, [pointer])[0]
                let number = value(at: pointer, in: expected) as? NSNumber
                let found = slot.kind == .number || slot.kind == .boolean ? slot.value : nil
                // Foundation goes by way of decimals of 38 digits and is off by some units in the last place; that ours
                // are exact is tested with `DecimalNumber`.
                let tolerance = 1e-14 * abs(number?.doubleValue ?? 0)
                #expect((found == nil) == (number == nil), "\(pointer) in \(writer.text)")
                #expect(abs((found ?? 0) - (number?.doubleValue ?? 0)) <= tolerance, "\(pointer) in \(writer.text)")
            }
        }
    }

    @Test(arguments: 1...10)
    func findsTheSameNumbersByItself(seed: Int) throws {
        var writer = Writer(generator: SeededGenerator(state: UInt64(seed * 77)), hasExponents: false)
        var parser = try TelemetryParser.make(.json, limits: .init(samples: 100_000))
        for _ in 0..<100 {
            writer.text = ""
            writer.value(0)
            // At the top an array of objects would be read row by row.
            let text = Array("{\"r\":\(writer.text)}".utf8)
            var expected: [String: Double] = [:]
            collect(try #require(foundation(text)), "", &expected)
            let found = parser.read(text).values
            #expect(Set(found.keys) == Set(expected.keys), "\(writer.text)")
            for (name, value) in found {
                let other = expected[name] ?? .nan
                #expect(abs(value - other) <= 1e-14 * abs(other), "\(name) in \(writer.text)")
            }
        }
    }

    private func collect(_ value: Any, _ name: String, _ numbers: inout [String: Double]) {
        func below(_ level: String) -> String { name.isEmpty ? level : name + "." + level }
        switch value {
        case let object as [String: Any]: for (key, member) in object { collect(member, below(key), &numbers) }
        case let array as [Any]:
            for (index, member) in array.enumerated() { collect(member, below("\(index)"), &numbers) }
        case let number as NSNumber: numbers[name] = number.doubleValue
        default: break
        }
    }

    private func value(at pointer: String, in root: Any) -> Any? {
        pointer.split(separator: "/").reduce(Optional(root)) { value, token in
            if let object = value as? [String: Any] { return object[String(token)] }
            guard let array = value as? [Any], let index = Int(token), array.indices.contains(index) else { return nil }
            return array[index]
        }
    }

    @Test(arguments: 1...20)
    func judgesDamagedTextsAlike(seed: Int) {
        var writer = Writer(generator: SeededGenerator(state: UInt64(seed * 1000)), hasExponents: false)
        // Bytes that JSON is made of come more often than others; no zero bytes: Foundation would guess UTF-16.
        let alphabet = Array("{}[]\",:0123456789.+-\\utfn \n".utf8) + [0x01, 0x1F, 0x7F, 0x80, 0xC3, 0xE2, 0xF0, 0xFF]
        for _ in 0..<200 {
            writer.text = ""
            writer.value(0)
            var bytes = Array(writer.text.utf8)
            for _ in 0..<Int.random(in: 1...2, using: &writer.generator) {
                let place = Int.random(in: 0..<bytes.count, using: &writer.generator)
                switch Int.random(in: 0..<3, using: &writer.generator) {
                case 0: bytes[place] = alphabet.randomElement(using: &writer.generator)!
                case 1: bytes.insert(alphabet.randomElement(using: &writer.generator)!, at: place)
                default: bytes.remove(at: place)
                }
                if bytes.isEmpty { bytes = [0x30] }
            }
            let accepted = (try? scan(bytes)) != nil
            #expect(accepted == (foundation(bytes) != nil), "\(String(decoding: bytes, as: UTF8.self)) \(bytes)")
        }
    }
}
