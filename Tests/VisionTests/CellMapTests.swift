// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

@testable import Vision

struct CellMapTests {
    private let head = OutputInterpretation.cellMap(.init(output: "out"))

    /// Of an input of 64 x 32, 4 x 2 cells and two classes: [7, 2, 4].
    private func outputs(_ cells: [Int: [Float]]) -> Outputs {
        var values = [Float](repeating: 0, count: 7 * 8)
        for (cell, column) in cells {
            for (index, value) in column.enumerated() { values[index * 8 + cell] = value }
        }
        return Outputs(descriptions: [.init(name: "out", shape: [1, 7, 2, 4])], values: [values])
    }

    @Test func cellsDecodeLikeFastestDet() throws {
        // atanh(0.5) = 0.549306, logit(1/4) = -1.098612
        let found = try outputs([
            6: [0.9, 0.549_306_1, -0.549_306_1, -1.098_612_3, 0, 0.2, 0.7], 0: [1, 0, 0, 0, 0, 1, 0],
        ])
        .detections(head, width: 64, height: 32)
        try #require(found.count == 2)
        #expect(found[0].classIndex == 0 && found[0].score == 1)
        #expect(isNear(found[0].box, 0, 0, 16, 8))
        // 0.9^0.6 * 0.7^0.4; cell 6 is column 2, row 1: centre ((2.5 / 4) 64, (0.5 / 2) 32), size (64 / 4, 32 / 2)
        #expect(found[1].classIndex == 1 && abs(found[1].score - 0.813_925_6) < 1e-6)
        #expect(isNear(found[1].box, 32, 0, 16, 16))
    }

    @Test func cellsBelowTheThresholdAreLeftOut() throws {
        let cells: [Int: [Float]] = [
            1: [0.5, 0, 0, 0, 0, 0.5, 0], 2: [0.499, 0, 0, 0, 0, 0.5, 0], 3: [0.02, 0, 0, 0, 0, 1, 0],
            4: [1, 0, 0, 0, 0, 0.1, 0.05], 5: [.nan, 0, 0, 0, 0, 1, 1], 7: [1, 0, 0, 0, 0, .nan, .nan],
        ]
        let found = try outputs(cells).detections(head, width: 64, height: 32)
        #expect(found.count == 1 && abs(found[0].score - 0.5) < 1e-6)
    }

    @Test func rootsAreRoots() {
        for x in [Float(1), 0.5, 0.03125, 1e-5, 1e-30, .leastNonzeroMagnitude] {
            let root = Double(fifthRoot(x))
            #expect(abs(root * root * root * root * root / Double(x) - 1) < 1e-6)
        }
        #expect(fifthRoot(1) == 1 && fifthRoot(0.03125) == 0.5 && fifthRoot(0) == 0)
    }

    @Test func otherShapesAreRefused() {
        for shape in [Shape([1, 7, 8]), Shape([1, 5, 2, 4])] {
            let outputs = Outputs(descriptions: [.init(name: "out", shape: shape)], values: [[]])
            #expect(throws: InterpretationError.self) {
                _ = try outputs.detections(head, width: 64, height: 32)
            }
        }
    }
}
