// SPDX-License-Identifier: Apache-2.0

import Inference
import ModelGraph
import Tensors

/// Turns a network in float32 into one whose convolutions work on 8-bit integers, from a few example inputs.
///
/// - Activations: uint8, asymmetric, a scale and zero point per channel (`ActivationScales`) from the smallest and largest
///   value seen. They are rounded after the activation function, never before it (Jacob et al., 2018, arXiv:1712.05877).
/// - Weights: int8, a scale per output channel, rounded such that each layer's results change least on what the layers
///   before it give (`LayerwiseRounding`) and that no int16 lane of a kernel can overflow (`WeightRounding`), so that
///   results are the same on every instruction set.
/// - Values that the network cannot do with in 8 bits are stored in 16, or stay in float where no kernel takes 16 bits, within a
///   budget of time (`SensitivityAnalysis`).
/// - What ends the network (layers whose result goes to outputs through float operators alone) writes float32.
/// - Fully connected and recurrent layers: one scale per value, weights with a scale per row (`DenseQuantizer`).
/// - Operators that have no integer form stay in float32, with conversions at their borders.
package struct PostTrainingQuantizer {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// What is being done, how much of it is done, and how much there is.
    package typealias Progress = @Sendable (String, Int, Int) -> Void

    package struct Settings: Hashable, Sendable {
        /// Time of the quantized network with values kept wide over its time without, by its products; 1 keeps none wide.
        package var maximumSlowdown = 1.1

        package init() {}
    }

    /// Fewer calibration inputs than this make a remark in the report.
    package static let sensibleInputCount = 10
    /// From this many on every fifth input is kept back to measure with.
    private static let countToKeepBack = 20
    /// Inputs on which the quantized network is compared with the float one, at most.
    private static let comparedInputCount = 8
    /// Inputs on which the sensitivity of values is measured.
    private static let analysedInputCount = 4

    private let model: Model
    private let fused: Graph
    private let settings: Settings

    /// - Throws: `Failure` if the network is quantized already.
    package init(_ model: Model, settings: Settings = Settings()) throws {
        guard model.graph.values.allSatisfy({ $0.quantization == nil }) else {
            throw Failure(description: "the network is quantized already")
        }
        self.model = model
        self.settings = settings
        fused = Fusion.fused(model.graph).withPaddedMeansAsLayers()
    }

    /// Which of the calibration inputs the network is fitted to, and which it is measured on: others, if there are enough.
    package static func isForFitting(_ index: Int, of count: Int) -> Bool {
        count < countToKeepBack || index % 5 != 4
    }

    package static func isForMeasuring(_ index: Int, of count: Int) -> Bool {
        count < countToKeepBack || index % 5 == 4
    }

    /// - Parameter calibration: inputs by name, as the network takes them (after preprocessing); at least one.
    /// - Returns: the quantized network with its report.
    /// - Throws: `Failure`, or what running the network throws.
    package func quantize(calibration: [[String: Tensor]], progress: Progress? = nil) throws -> Model {
        guard !calibration.isEmpty else {
            throw Failure(description: "quantization needs at least one calibration input")
        }
        let fitted = calibration.indices.filter { Self.isForFitting($0, of: calibration.count) }.map { calibration[$0] }
        let compared = calibration.indices.filter { Self.isForMeasuring($0, of: calibration.count) }
            .prefix(Self.comparedInputCount).map { calibration[$0] }
        let pixels = fused.inputs.reduce(into: [ValueID: ImagePreprocessing]()) {
            $0[$1] = model.preprocessing[fused[$1].name]
        }
        let images = Set(pixels.keys)
        var plan = QuantizationPlan(fused, images: images)
        guard !plan.layers.isEmpty || DenseQuantization.hasLayers(fused) else {
            throw Failure(
                description: "the network has no convolution or matrix product with constant weights to quantize")
        }
        var chosen: [SensitivityAnalysis.Entry] = []
        var result = model
        result.graph = fused
        if !plan.layers.isEmpty {
            let ranges = try ranges(of: plan.quantized, fitted, progress)
            var scales = ActivationScales(fused, plan: plan, ranges: ranges, pixels: pixels)
            if settings.maximumSlowdown > 1 {
                let analysis = SensitivityAnalysis(fused, plan: plan, parameters: scales.parameters)
                let entries = try analysis.run(Array(fitted.prefix(Self.analysedInputCount))) {
                    progress?("looking for sensitive layers", $0, $1)
                }
                chosen = analysis.choose(entries, maximumSlowdown: settings.maximumSlowdown)
                if !chosen.isEmpty {
                    plan = QuantizationPlan(
                        fused, images: images, wide: analysis.closure(chosen.filter { !$0.inWords }.flatMap(\.values)),
                        words: analysis.closure(chosen.filter(\.inWords).flatMap(\.values)))
                    chosen.removeAll { $0.inWords && !plan.words.isSuperset(of: $0.values) }
                    scales = ActivationScales(fused, plan: plan, ranges: ranges, pixels: pixels)
                }
            }
            var builder = QuantizedGraphBuilder(fused, plan: plan, parameters: scales.parameters)
            var rounding = LayerwiseRounding(try builder.build(), layers: builder.layers)
            result.graph = try rounding.run(fitted) { progress?("rounding weights", $0, $1) }
            result.graph.removeUnused()
            try result.graph.validate()
        }
        var outputs: [QuantizationReport.Output] = []
        let convolutional = result.graph
        for widths in DenseQuantization.Widths.all {
            result.graph = try withIntegerDenseLayers(convolutional, widths, fitted, progress)
            outputs = try compare(result.graph, on: compared, progress)
            // What convolutions lose, finer rows of other layers cannot bring back.
            let worst = outputs.map(\.signalToNoiseDecibels).min() ?? 0
            if worst >= DenseQuantization.sufficientDecibels || !plan.layers.isEmpty { break }
        }
        var report = QuantizationReport(
            floatBytes: model.graph.constantBytes, quantizedBytes: result.graph.constantBytes,
            calibrationInputs: calibration.count)
        report.outputs = outputs
        report.widerLayers = widerLayers(result.graph, chosen)
        report.notes = notes(calibration.count, plan: plan)
        result.quantization = report
        return result
    }

    private func withIntegerDenseLayers(
        _ graph: Graph, _ widths: DenseQuantization.Widths, _ inputs: [[String: Tensor]], _ progress: Progress?
    ) throws -> Graph {
        guard DenseQuantization.hasLayers(graph) else { return graph }
        var quantizer = DenseQuantizer(graph, widths: widths)
        var named = graph
        for id in quantizer.observed.subtracting(graph.outputs).subtracting(graph.inputs) {
            named[id].name = "value \(id)"
        }
        let observer = try GraphRunner(named, alsoReading: quantizer.observed)
        for (index, tensors) in inputs.enumerated() {
            quantizer.include(try observer.run(tensors))
            progress?("measuring ranges", index + 1, inputs.count)
        }
        return try quantizer.build()
    }

    private func ranges(
        of values: Set<ValueID>, _ inputs: [[String: Tensor]], _ progress: Progress?
    ) throws -> ChannelRanges {
        var ranges = ChannelRanges()
        let observer = try GraphRunner(fused, alsoReading: values)
        for (index, inputs) in inputs.enumerated() {
            ranges.include(try observer.run(inputs))
            progress?("measuring ranges", index + 1, inputs.count)
        }
        return ranges
    }

    private func compare(
        _ graph: Graph, on inputs: [[String: Tensor]], _ progress: Progress?
    ) throws -> [QuantizationReport.Output] {
        let names = fused.outputs.map { fused[$0].name }
        var ratios = names.map { _ in SignalRatio() }
        let (reference, runner) = (try GraphRunner(fused), try GraphRunner(graph))
        for (index, tensors) in inputs.enumerated() {
            let (expected, actual) = (try reference.runOutputs(tensors), try runner.runOutputs(tensors))
            for (position, name) in names.enumerated() {
                if let a = expected[name], let b = actual[name] { ratios[position].include(reference: a, result: b) }
            }
            progress?("comparing", index + 1, inputs.count)
        }
        return zip(names, ratios).map { .init(name: $0, signalToNoiseDecibels: $1.decibels) }
    }

    // MARK: Report

    private func widerLayers(
        _ graph: Graph, _ chosen: [SensitivityAnalysis.Entry]
    ) -> [QuantizationReport.Layer] {
        let producers = fused.producers
        var layers = chosen.flatMap { entry in
            let decibels = (entry.decibels * 10).rounded() / 10
            let what = entry.values.count == 1 ? "it" : "the \(entry.values.count) that are joined with it"
            return entry.values.map { id in
                QuantizationReport.Layer(
                    name: producers[id].map { fused.nodes[$0].name } ?? fused[id].name,
                    activationBits: entry.inWords ? 16 : 32,
                    reason: "in 8 bits \(what) would leave \(decibels) dB of the network's results")
            }
        }
        for node in graph.nodes where node.operation.hasWeights {
            guard let output = node.outputs.first.flatMap({ $0 }), graph[output].quantization == nil else { continue }
            guard let input = node.inputs[0], graph[input].quantization != nil else { continue }
            layers.append(.init(name: node.name, activationBits: 32, reason: "its result leaves the integer part"))
        }
        return layers
    }

    private func notes(_ count: Int, plan: QuantizationPlan) -> [String] {
        var notes: [String] = []
        if count < Self.sensibleInputCount {
            notes.append(
                "\(count) calibration inputs are few: use at least \(Self.sensibleInputCount), better 20 to 40")
        }
        let left = fused.nodes.indices.filter {
            fused.nodes[$0].operation.hasWeights && fused.products(of: fused.nodes[$0]) > 0 && !plan.layers.contains($0)
                && !DenseQuantization.isLayer(fused.nodes[$0], fused)
        }
        if !left.isEmpty {
            let names = left.prefix(5).map { fused.nodes[$0].name }.joined(separator: ", ")
            notes.append("\(left.count) layers stay in float: \(names)\(left.count > 5 ? " and others" : "")")
        }
        return notes
    }
}

extension Graph {
    fileprivate var constantBytes: Int { constants.values.reduce(0) { $0 + $1.count * $1.type.sizeBytes } }
}
