// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Vision

struct ExponentialTests {
    @Test func isTheNearestFloat() {
        for step in -10_300..<8_800 {
            let x = Float(step) / 100 + 0.001_37
            #expect(exponential(x) == Float(exp(Double(x))), "\(x)")
        }
    }

    @Test func endsAreZeroAndInfinity() {
        #expect(exponential(-200) == 0 && exponential(-.infinity) == 0)
        #expect(exponential(100) == .infinity && exponential(.infinity) == .infinity)
        #expect(exponential(.nan).isNaN)
        #expect(exponential(0) == 1)
    }
}
