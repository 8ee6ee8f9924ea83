// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport

/// Series without faults, of many distributions.
enum Noise: CaseIterable {
    case gaussian, laplace, student3, uniform, autoregressive, quantized, randomWalk, logNormal, poisson
    /// Of a volatility that clusters (T. Bollerslev, 1986).
    case garch
    /// Nothing, and now and then a pulse.
    case pulses
    /// A day has 288 samples.
    case season

    func series(count: Int, seed: UInt64) -> [Double] {
        var random = Random(state: seed &* 0x2545_F491_4F6C_DD1D)
        var (last, variance) = (0.0, 1.0)
        return (0..<count).map { index in
            switch self {
            case .gaussian: return 100 + 3 * random.gaussian()
            case .laplace: return (random.uniform() < 0.5 ? -1 : 1) * -log(random.uniform())
            case .student3:
                let squares = (0..<3).reduce(0) { sum, _ in sum + pow(random.gaussian(), 2) }
                return random.gaussian() / (squares / 3).squareRoot()
            case .uniform: return random.uniform()
            case .autoregressive:
                last = 0.9 * last + random.gaussian()
                return last
            case .quantized: return (220 + 4 * random.gaussian()).rounded() / 10
            case .logNormal: return exp(random.gaussian())
            case .poisson:
                // Of mean 2, by inversion.
                var (value, mass, sum) = (0.0, exp(-2.0), exp(-2.0))
                let place = random.uniform()
                while place > sum, value < 50 {
                    value += 1
                    mass *= 2 / value
                    sum += mass
                }
                return value
            case .garch:
                variance = 0.05 + 0.15 * last * last + 0.8 * variance
                last = variance.squareRoot() * random.gaussian()
                return last
            case .pulses: return random.uniform() < 0.03 ? 20 * random.uniform() : 0
            case .season: return 5 * sin(2 * .pi * Double(index) / 288) + random.gaussian()
            case .randomWalk:
                last += random.gaussian()
                return last
            }
        }
    }
}

struct Random {
    private var generator: SeededGenerator

    init(state: UInt64) { generator = SeededGenerator(state: state) }

    mutating func uniform() -> Double { (Double(generator.next() >> 11) + 0.5) / 9_007_199_254_740_992 }

    /// Box, Muller, 1958.
    mutating func gaussian() -> Double { (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform()) }
}
