// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct ClassificationInterpreterTests {
    private func classified(
        _ values: [Float], shape: Shape? = nil, logits: Bool = false, labels: [String] = [],
        _ change: (inout ClassificationInterpreter.Settings) -> Void = { _ in }
    ) throws -> [Classification] {
        var settings = ClassificationInterpreter.Settings()
        change(&settings)
        let interpreter = try ClassificationInterpreter(
            .classification(.init(output: "out", scoresAreLogits: logits)),
            outputs: [.init(name: "out", shape: shape ?? [1, values.count])], labels: labels, settings: settings)
        return values.withUnsafeBufferPointer { interpreter.classifications(outputs: [$0]) }
    }

    @Test func bestClassesComeFirst() throws {
        let found = try classified([0.1, 0.5, 0.2, 0.15]) { $0.maximumClasses = 2 }
        #expect(found == [.init(classIndex: 1, score: 0.5), .init(classIndex: 2, score: 0.2)])
    }

    @Test func logitsGoThroughSoftmax() throws {
        let found = try classified([1, 3, 2, 1000 - 1000], shape: [1, 4, 1, 1], logits: true)
        #expect(found.map(\.classIndex) == [1, 2, 0, 3])
        #expect(abs(found[0].score - 0.643_914) < 1e-5)
        #expect(abs(found.map(\.score).reduce(0, +) - 1) < 1e-6)
    }

    @Test func largeLogitsDoNotOverflow() throws {
        let found = try classified([1e30, -1e30, 3], logits: true)
        #expect(found[0] == .init(classIndex: 0, score: 1))
    }

    @Test(arguments: [true, false])
    func nonsenseIsIgnored(logits: Bool) throws {
        #expect(try classified([.nan, 0.5, 0.2], logits: logits).map(\.classIndex) == [1, 2])
        #expect(try classified([.nan, .nan], logits: logits).isEmpty)
    }

    @Test func thresholdAndWantedClassesSelect() throws {
        let found = try classified([0.1, 0.5, 0.4], labels: ["a", "b", "c"]) {
            $0.scoreThreshold = 0.2
            $0.classes = ["a", "c"]
        }
        #expect(found.map(\.classIndex) == [2])
    }

    @Test func outputsWithMoreThanOneExtentAreRefused() {
        #expect(throws: InterpretationError.self) { try classified([0, 0, 0, 0], shape: [1, 2, 2]) }
    }
}
