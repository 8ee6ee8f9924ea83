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
    /// Without a mean.
    case cauchy
    /// Of 200 samples one is thirty times as far away.
    case contaminated
    /// A machine that is switched on and off at random, for 100 samples on average.
    case onOff
    /// A duty cycle that is not quite regular.
    case dutyCycle
    /// Two levels and spreads that change at random, after 200 samples on average.
    case regimes
    /// From 0 to 100 in 1000 samples, then from 0 again.
    case sawtooth
    /// A thermometer of coarse steps that stands still for long.
    case rareSteps
    /// Of energy or messages, set back at 4096.
    case counter

    func series(count: Int, seed: UInt64) -> [Double] {
        var random = Random(state: seed &* 0x2545_F491_4F6C_DD1D)
        var (last, variance) = (0.0, 1.0)
        var (isOn, left) = (false, 0)
        // Of the given mean, by inversion.
        func poisson(_ mean: Double) -> Double {
            var (value, mass, sum) = (0.0, exp(-mean), exp(-mean))
            let place = random.uniform()
            while place > sum, value < 50 {
                value += 1
                mass *= mean / value
                sum += mass
            }
            return value
        }
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
            case .poisson: return poisson(2)
            case .garch:
                variance = 0.05 + 0.15 * last * last + 0.8 * variance
                last = variance.squareRoot() * random.gaussian()
                return last
            case .pulses: return random.uniform() < 0.03 ? 20 * random.uniform() : 0
            case .season: return 5 * sin(2 * .pi * Double(index) / 288) + random.gaussian()
            case .randomWalk:
                last += random.gaussian()
                return last
            case .cauchy: return random.gaussian() / random.gaussian()
            case .contaminated: return (random.uniform() < 0.005 ? 30 : 1) * random.gaussian()
            case .onOff:
                if random.uniform() < 0.01 { isOn.toggle() }
                return (isOn ? 50 : 2) + random.gaussian()
            case .dutyCycle:
                if left == 0 {
                    isOn.toggle()
                    left = Int(20 + 40 * random.uniform()) + (isOn ? 0 : 100)
                }
                left -= 1
                return isOn ? 1500 + 20 * random.gaussian() : 3 + 0.5 * random.gaussian()
            case .regimes:
                if random.uniform() < 0.005 { isOn.toggle() }
                return isOn ? 5 + 3 * random.gaussian() : random.gaussian()
            case .sawtooth: return Double(index % 1000) / 10 + 0.5 * random.gaussian()
            case .rareSteps:
                if random.uniform() < 0.005 { last += random.uniform() < 0.5 ? 1 : -1 }
                return (210 + last) / 10
            case .counter:
                last = last > 4096 ? 0 : last + poisson(3)
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
