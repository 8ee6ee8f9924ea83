// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct AnchorFreeTests {
    private func head(
        _ form: OutputInterpretation.AnchorFreeHead.BoxForm, objectness: Bool = true, geometricMean: Bool = true
    ) -> OutputInterpretation {
        .anchorFree(
            .init(
                levels: [8, 16].map {
                    .init(
                        stride: $0, scores: "cls_\($0)", objectness: objectness ? "obj_\($0)" : nil, boxes: "bbox_\($0)"
                    )
                }, form: form, scoresAreLogits: false, geometricMean: geometricMean))
    }

    /// A 32 x 16 input: 4 x 2 and 2 x 1 cells, two classes; cell 6 of stride 8 and cell 1 of stride 16 are set.
    private func outputs(planar: Bool) -> Outputs {
        var outputs = Outputs(descriptions: [], values: [])
        for (stride, width, height, cell) in [(8, 4, 2, 6), (16, 2, 1, 1)] {
            for (name, set) in [("cls", [0.2, 0.81]), ("obj", [0.64]), ("bbox", [0.5, 0.25, 0, 0.5])]
                as [(String, [Float])]
            {
                let (cells, count) = (width * height, set.count)
                var values = [Float](repeating: 0, count: cells * count)
                for (index, value) in set.enumerated() {
                    values[planar ? index * cells + cell : cell * count + index] = value
                }
                outputs.descriptions.append(
                    .init(name: "\(name)_\(stride)", shape: planar ? [1, count, height, width] : [1, cells, count]))
                outputs.values.append(values)
            }
        }
        return outputs
    }

    @Test(arguments: [true, false])
    func offsetsDecodeLikeYuNet(planar: Bool) throws {
        let found = try outputs(planar: planar).detections(head(.offsets), width: 32, height: 16)
        try #require(found.count == 2)
        #expect(found.allSatisfy { abs($0.score - 0.72) < 1e-6 && $0.classIndex == 1 })
        // centre ((2 + 0.5) 8, (1 + 0.25) 8), size (8, 8 e^0.5), clipped to the frame
        let height = 8 * Float(1.648_721_3)
        #expect(isNear(found[0].box, 16, 10 - height / 2, 8, 16 - (10 - height / 2)))
        #expect(isNear(found[1].box, 16, 0, 16, 16))
    }

    @Test(arguments: [true, false])
    func distancesDecodeLikeFCOS(planar: Bool) throws {
        let found = try outputs(planar: planar).detections(head(.distances), width: 32, height: 16)
        try #require(found.count == 2)
        // centre (20, 12) of stride 8: left 4, top 2, right 0, bottom 4
        #expect(isNear(found[0].box, 16, 10, 4, 6))
        #expect(isNear(found[1].box, 16, 4, 8, 12))
    }

    @Test func scoresMultiplyOrStandAlone() throws {
        let outputs = outputs(planar: true)
        let product = try outputs.detections(head(.offsets, geometricMean: false), width: 32, height: 16)
        #expect(product.allSatisfy { abs($0.score - 0.5184) < 1e-6 } && product.count == 2)
        let alone = try outputs.detections(head(.offsets, objectness: false), width: 32, height: 16)
        #expect(alone.allSatisfy { $0.score == 0.81 } && alone.count == 2)
    }

    @Test func theThresholdAppliesToTheMean() throws {
        let outputs = outputs(planar: false)
        #expect(try outputs.detections(head(.offsets), width: 32, height: 16) { $0.scoreThreshold = 0.7199 }.count == 2)
        #expect(try outputs.detections(head(.offsets), width: 32, height: 16) { $0.scoreThreshold = 0.7201 }.isEmpty)
    }

    @Test func gridsMustFitTheInput() {
        #expect(throws: InterpretationError.self) {
            try outputs(planar: true).detections(head(.offsets), width: 64, height: 16)
        }
    }
}
