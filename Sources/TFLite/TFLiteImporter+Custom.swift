// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// Operators outside of TensorFlow Lite's schema, known by a name.
extension TFLiteImporter {
    mutating func addCustom(_ name: String, _ node: OperatorReader) throws {
        switch name {
        case "TFLite_Detection_PostProcess": try addDetectionPostProcess(node)
        case "edgetpu-custom-op":
            throw Unsupported("it is compiled for the Edge TPU; import the file that the compiler was given")
        default: throw Unsupported("unknown custom operator")
        }
    }

    /// (codes of boxes [1, B, 4], scores [1, B, C], anchors [B, 4]) -> boxes, classes, scores, count
    private mutating func addDetectionPostProcess(_ node: OperatorReader) throws {
        guard let bytes = node.customOptions else { throw Unsupported("options are missing") }
        let options = try FlexMap(bytes).numbers
        func number(_ name: String, default value: Double? = nil) throws -> Double {
            guard let number = options[name] ?? value else { throw Unsupported("the option \(name) is missing") }
            guard number.isFinite else { throw Unsupported("\(name) = \(number)") }
            return number
        }
        func count(_ name: String, default value: Double? = nil) throws -> Int {
            let number = try number(name, default: value)
            guard (0...65_536).contains(number) else { throw Unsupported("\(name) = \(number)") }
            return Int(number)
        }
        let isPerClass = try number("use_regular_nms", default: 0) != 0
        let attributes = DetectionPostProcess(
            maximumDetections: try count("max_detections"),
            classesPerDetection: try count("max_classes_per_detection"),
            detectionsPerClass: isPerClass ? try count("detections_per_class", default: 100) : nil,
            classes: try count("num_classes"), overlapThreshold: Float(try number("nms_iou_threshold")),
            scoreThreshold: Float(try number("nms_score_threshold")),
            scales: try ["y_scale", "x_scale", "h_scale", "w_scale"].map { Float(try number($0)) })
        let inputs = try (0..<3).map { try plain(try node.input($0)) }
        let names = ["", " classes", " scores", " count"].map { "\(node.name)\($0)" as String? }
        let ids = try builder.add(node.name, .detectionPostProcess(attributes), inputs, outputs: names)
        for (place, id) in ids.enumerated() where place < node.outputs.count {
            if let id { try give(node, id, output: place) }
        }
    }
}
