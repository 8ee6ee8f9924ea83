// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

/// Outputs of a network, made by hand.
struct Outputs {
    var descriptions: [OutputDescription]
    var values: [[Float]]

    /// What the interpreter makes of them for a frame of the input's size.
    func detections(
        _ interpretation: OutputInterpretation, width: Int, height: Int, labels: [String] = [], item: Int = 0,
        geometry: FrameGeometry? = nil, _ change: (inout DetectionInterpreter.Settings) -> Void = { _ in }
    ) throws -> [Detection] {
        var settings = DetectionInterpreter.Settings()
        change(&settings)
        let interpreter = try DetectionInterpreter(
            interpretation, outputs: descriptions, inputWidth: width, inputHeight: height, labels: labels,
            settings: settings)
        let copies = values.map { values in
            let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
            _ = copy.initialize(from: values)
            return copy
        }
        defer { copies.forEach { $0.deallocate() } }
        let input = ImageInput(width: width, height: height)
        return interpreter.detections(
            outputs: copies.map { UnsafeBufferPointer($0) }, item: item,
            geometry: geometry ?? FrameGeometry(frameWidth: width, frameHeight: height, input: input))
    }
}

func isNear(_ box: Box, _ x: Float, _ y: Float, _ width: Float, _ height: Float) -> Bool {
    abs(box.x - x) < 1e-3 && abs(box.y - y) < 1e-3 && abs(box.width - width) < 1e-3 && abs(box.height - height) < 1e-3
}
