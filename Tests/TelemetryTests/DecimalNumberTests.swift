// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Telemetry

@Suite struct DecimalNumberTests {
    private func parse(_ text: String) -> Double? {
        Array(text.utf8).withUnsafeBytes { DecimalNumber.parse($0) }
    }

    @Test(arguments: [
        "0", "1", "-1", "12.5", "1e22", "1e23", "9007199254740993", "0.1", "2.2250738585072011e-308", "4.9e-324",
        "1.7976931348623157e308", "123456789012345678901234567890", "0.000000000000000000000000000001234",
        "179769313486231580793728971405301e276", "3.141592653589793238462643383279", "1e-400",
    ])
    func roundsCorrectly(text: String) { #expect(parse(text) == Double(text)) }

    @Test(arguments: 1...5)
    func roundsRandomNumbersCorrectly(seed: Int) {
        var generator = SeededGenerator(state: UInt64(seed))
        for _ in 0..<2000 {
            let value = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &generator))
            if value.isFinite { #expect(parse("\(value)") == value) }
            let short = (Double.random(in: -1000...1000, using: &generator) * 1000).rounded() / 1000
            #expect(parse("\(short)") == short)
        }
    }

    @Test func tooLargeIsInfinite() {
        #expect(parse("1e999") == .infinity)
        #expect(parse("-1e99999999999999999999") == -.infinity)
        #expect(parse("1e-99999999999999999999") == 0)
        #expect(parse(String(repeating: "9", count: 5000)) == .infinity)
    }

    @Test(arguments: ["+5", ".5", "5.", "007", "-.5"])
    func takesWhatDevicesWrite(text: String) { #expect(parse(text) != nil) }

    @Test(arguments: [
        "", "-", ".", "1e", "1e+", "e5", "nan", "inf", "0x10", "1,5", "1 ", " 1", "--1", "1.2.3", "1_000",
    ])
    func refusesOtherText(text: String) { #expect(parse(text) == nil) }
}
