// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Anomaly

@Suite struct TailModelTests {
    private func learned(_ noise: Noise, seed: UInt64 = 1) -> TailModel {
        var model = TailModel(threshold: 1.645, scale: 0.41)
        for value in noise.series(count: 20000, seed: seed) { model.learn(abs(value)) }
        return model
    }

    @Test(arguments: [Noise.laplace, .student3, .uniform])
    func quantileInvertsSurvival(noise: Noise) {
        let model = learned(noise)
        for probability in [0.1, 0.01, 1e-4, 1e-6] {
            #expect(abs(exp(model.logSurvival(model.quantile(probability))) / probability - 1) < 1e-6)
        }
    }

    /// The mean over runs of ln(estimated / true) probability at the true quantile of 0.1 %.
    @Test func tailOfLaplaceIsRight() {
        let errors = (1...20).map { learned(.laplace, seed: $0).logSurvival(log(1000)) - log(0.001) }
        let mean = errors.reduce(0, +) / 20
        #expect(abs(mean) < 0.5, "\(mean)")
    }

    @Test func survivalFalls() {
        let model = learned(.student3)
        let values = stride(from: 0.0, to: 100, by: 0.1).map { model.logSurvival($0) }
        #expect(zip(values, values.dropFirst()).allSatisfy { $0 >= $1 })
        #expect(values[0] == 0)
    }
}
