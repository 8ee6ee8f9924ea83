// SPDX-License-Identifier: Apache-2.0
import Tensors

/// A network with what is needed to use it on frames.
package struct Model: Sendable {
    package var name: String
    package var graph: Graph
    /// How frames become inputs, by name of the graph input. Inputs that are no images have none.
    package var preprocessing: [String: ImagePreprocessing]
    /// What the outputs mean, if anybody said or it could be recognised.
    package var interpretation: OutputInterpretation?
    /// Names of the classes, by index; empty when unknown.
    package var labels: [String]
    /// How it was quantized; nil for a network in float.
    package var quantization: QuantizationReport?

    package init(
        name: String, graph: Graph, preprocessing: [String: ImagePreprocessing] = [:],
        interpretation: OutputInterpretation? = nil, labels: [String] = [], quantization: QuantizationReport? = nil
    ) {
        self.name = name
        self.graph = graph
        self.preprocessing = preprocessing
        self.interpretation = interpretation
        self.labels = labels
        self.quantization = quantization
    }
}

/// What quantization did to a network.
package struct QuantizationReport: Hashable, Sendable, Encodable {
    package struct Output: Hashable, Sendable, Encodable {
        package var name: String
        /// 10 log10(power of the float output / power of the difference), in dB over the calibration inputs.
        package var signalToNoiseDecibels: Double

        package init(name: String, signalToNoiseDecibels: Double) {
            self.name = name
            self.signalToNoiseDecibels = signalToNoiseDecibels
        }
    }

    package struct Layer: Hashable, Sendable, Encodable {
        package var name: String
        /// Of the stored activations: 8, 16, or 32 for float.
        package var activationBits: Int
        /// Why it is kept wider than 8 bits.
        package var reason: String

        package init(name: String, activationBits: Int, reason: String) {
            self.name = name
            self.activationBits = activationBits
            self.reason = reason
        }
    }

    /// Detections of the quantized network against those of the float one.
    package struct Agreement: Hashable, Sendable, Encodable {
        package var pictures: Int
        /// Of the float network.
        package var detections: Int
        /// Share of these that the quantized network finds too: same class, score above the same threshold, overlap of at
        /// least 0.5.
        package var foundAgain: Double
        /// The same share, but down to scores of almost nothing.
        package var foundAtAnyScore: Double
        /// COCO's, with the float network's detections in place of labels.
        package var averagePrecision: Double

        package init(
            pictures: Int, detections: Int, foundAgain: Double, foundAtAnyScore: Double, averagePrecision: Double
        ) {
            self.pictures = pictures
            self.detections = detections
            self.foundAgain = foundAgain
            self.foundAtAnyScore = foundAtAnyScore
            self.averagePrecision = averagePrecision
        }
    }

    /// Bytes of all constants before and after.
    package var floatBytes: Int
    package var quantizedBytes: Int
    package var weightBits: Int
    package var activationBits: Int
    package var calibrationInputs: Int
    package var outputs: [Output]
    /// Of detectors whose outputs are understood, calibrated on pictures.
    package var agreement: Agreement?
    /// Layers that are not 8 bit.
    package var widerLayers: [Layer]
    /// Remarks for a person, such as a calibration set that is too small.
    package var notes: [String]

    package init(
        floatBytes: Int, quantizedBytes: Int, weightBits: Int = 8, activationBits: Int = 8, calibrationInputs: Int,
        outputs: [Output] = [], widerLayers: [Layer] = [], notes: [String] = []
    ) {
        self.floatBytes = floatBytes
        self.quantizedBytes = quantizedBytes
        self.weightBits = weightBits
        self.activationBits = activationBits
        self.calibrationInputs = calibrationInputs
        self.outputs = outputs
        self.widerLayers = widerLayers
        self.notes = notes
    }

    /// Size after over size before.
    package var ratio: Double { floatBytes > 0 ? Double(quantizedBytes) / Double(floatBytes) : 1 }
}
