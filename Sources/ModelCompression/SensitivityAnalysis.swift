// SPDX-License-Identifier: Apache-2.0

import Inference
import ModelGraph
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Which values a network cannot do with in 8 bits: each is rounded by itself, everything else staying float, and the
/// network's heads are compared with what they should be.
///
/// A head is what the integer part of the network hands on in float: the last layers before sigmoid, decoding and the like.
/// There the ratio of signal to noise says more than behind them, where the grid of an image may outweigh what was found.
struct SensitivityAnalysis {
    /// Below this ratio, in dB, a value is worth keeping wider. Where all values together add more than a tolerable noise, in
    /// units of the power of the network's results, those count too that are less sensitive but many.
    private static let (leastDecibels, leastDecibelsOfMany, tolerableNoise) = (30.0, 45.0, 0.02)
    /// Where they do not, what takes more than this share of the time that there is has to be this sensitive.
    private static let (largestShare, leastDecibelsOfLargest) = (0.5, 20.0)

    /// Values that are kept wide together, with their ratio at the head that suffers most.
    struct Entry: Sendable {
        var values: [ValueID]
        var decibels: Double
        /// Whether 16 bits are what it takes, or float.
        var inWords = false

        /// What rounding adds, in units of the signal's power.
        var noise: Double { pow(10, -decibels / 10) }
    }

    private let graph: Graph
    private let plan: QuantizationPlan
    private let parameters: [ValueID: QuantizationParameters]
    private let heads: [ValueID]
    /// Values that can be stored in 16 bits; others that are kept wide stay float.
    private let words: Set<ValueID>
    private let wordGroups: [Set<ValueID>]
    /// Carriers that hand on what is stored, in order.
    private let passing: [Node]
    private let networkTime: NetworkTime

    init(_ graph: Graph, plan: QuantizationPlan, parameters: [ValueID: QuantizationParameters]) {
        self.graph = graph
        self.plan = plan
        self.parameters = parameters
        let ends = plan.layers.filter { !plan.storesIntegers($0) }.sorted()
        let outputs = ends.compactMap { graph.nodes[$0].outputs[0] }
        heads = outputs.isEmpty ? graph.outputs : outputs
        wordGroups = plan.wordGroups()
        words = wordGroups.reduce(into: []) { $0.formUnion($1) }
        passing = plan.carriers.sorted().map { graph.nodes[$0] }.filter(\.operation.passesChannels)
        networkTime = NetworkTime(graph, plan: plan)
    }

    /// All values that are rounded, the most sensitive first.
    func run(_ inputs: [[String: Tensor]], progress: @Sendable (Int, Int) -> Void) throws -> [Entry] {
        let units = units
        var headed = graph
        headed.outputs = heads
        let reference = try GraphRunner(headed)
        let expected = try inputs.map { try reference.run($0) }
        let template = headed
        let entries = try concurrentMap(units.count) { index in
            let values = units[index]
            var ratios = [ValueID: SignalRatio]()
            var changed = template
            for id in values { changed.round(id, parameters[id]) }
            let runner = try GraphRunner(changed)
            for (inputs, expected) in zip(inputs, expected) {
                let results = try runner.run(inputs)
                for head in heads {
                    guard let a = expected[head], let b = results[head] else { continue }
                    ratios[head, default: SignalRatio(countsMeans: false)].include(reference: a, result: b)
                }
            }
            progress(index + 1, units.count)
            return Entry(
                values: values, decibels: ratios.values.map(\.decibels).min() ?? 150,
                inWords: words.contains(values[0]))
        }
        return entries.sorted { ($0.decibels, $0.values[0]) < ($1.decibels, $1.values[0]) }
    }

    /// Values that are worth keeping wide and affordable together, such that much noise is taken away.
    ///
    /// Layers share what values cost: one that reads a value of 16 bits often writes one for the same time. So values are added by
    /// what they take away for the time that they cost beside the others, and exchanged while that takes away more.
    ///
    /// - Parameters:
    ///   - maximumSlowdown: of the network.
    ///   - slowdown: time of the network with these values wide over its time without; by default what its layers take.
    func choose(
        _ entries: [Entry], maximumSlowdown: Double, slowdown: (([ValueID]) -> Double)? = nil
    ) -> [Entry] {
        let isTolerable = entries.reduce(0) { $0 + $1.noise } <= Self.tolerableNoise
        let slowdown = slowdown ?? self.slowdown
        let worthy = entries.filter { entry in
            guard isTolerable else { return entry.decibels < Self.leastDecibelsOfMany }
            let isLarge = slowdown(entry.values) - 1 > Self.largestShare * (maximumSlowdown - 1)
            return entry.decibels < (isLarge ? Self.leastDecibelsOfLargest : Self.leastDecibels)
        }
        func time(_ chosen: Set<Int>) -> Double {
            slowdown(chosen.sorted().flatMap { worthy[$0].values })
        }
        func noise(_ chosen: Set<Int>) -> Double { chosen.sorted().reduce(0) { $0 + worthy[$1].noise } }
        /// What an entry takes away for the time between without and with it.
        func worth(_ index: Int, _ without: Double, _ with: Double) -> Double {
            worthy[index].noise / max(with - without, 1e-6)
        }
        /// With whatever there is time left for, the most worth its time first.
        func filled(_ chosen: Set<Int>) -> Set<Int> {
            var chosen = chosen
            while true {
                let before = time(chosen)
                let affordable = worthy.indices.filter { !chosen.contains($0) }
                    .map { (index: $0, time: time(chosen.union([$0]))) }.filter { $0.time <= maximumSlowdown }
                let worths = affordable.map { ($0.index, worth($0.index, before, $0.time)) }
                guard let best = worths.max(by: { $0.1 < $1.1 }) else { return chosen }
                chosen.insert(best.0)
            }
        }
        /// With an entry, and without those that are worth least where there is no time for it.
        func exchanged(_ chosen: Set<Int>, for index: Int) -> Set<Int> {
            var others = chosen
            while true {
                let all = others.union([index])
                let after = time(all)
                if after <= maximumSlowdown { return filled(all) }
                let worths = others.sorted().map { ($0, worth($0, time(all.subtracting([$0])), after)) }
                guard let least = worths.min(by: { $0.1 < $1.1 }) else { return chosen }
                others.remove(least.0)
            }
        }
        var chosen = filled([])
        var improves = true
        while improves {
            improves = false
            for index in worthy.indices where !chosen.contains(index) {
                let other = exchanged(chosen, for: index)
                if noise(other) > noise(chosen) { (chosen, improves) = (other, true) }
            }
        }
        return chosen.map { worthy[$0] }.sorted { ($0.decibels, $0.values[0]) < ($1.decibels, $1.values[0]) }
    }

    /// The values, and whatever else holds the same stored numbers.
    func closure(_ values: [ValueID]) -> Set<ValueID> {
        var result = Set(values)
        guard !result.isEmpty else { return [] }
        for node in passing where node.inputs.contains(where: { $0.map(result.contains) ?? false }) {
            result.formUnion(node.outputs.compactMap { $0 })
        }
        return result
    }

    /// Values that are rounded where they are computed; the others are copies of them.
    private var sources: [ValueID] {
        plan.quantized.subtracting(passing.flatMap { $0.outputs.compactMap { $0 } }).sorted()
    }

    /// Sources that are wide together or not at all.
    private var units: [[ValueID]] {
        let sources = sources
        let alone = sources.filter { !words.contains($0) }.map { [$0] }
        return alone + wordGroups.map { group in sources.filter(group.contains) }
    }

    private func slowdown(_ values: [ValueID]) -> Double {
        networkTime.slowdown(
            wide: closure(values.filter { !words.contains($0) }), words: closure(values.filter(words.contains)))
    }
}

extension Graph {
    /// Lets all who read a value read what 8 bits leave of it.
    mutating func round(_ id: ValueID, _ parameters: QuantizationParameters?) {
        guard let parameters, self[id].type == .float32 else { return }
        let stored = addValue(
            Value(name: "stored", type: .uint8, shape: self[id].shape, quantization: parameters))
        let rounded = addValue(Value(name: "rounded", type: .float32, shape: self[id].shape))
        for index in nodes.indices {
            nodes[index].inputs = nodes[index].inputs.map { $0 == id ? rounded : $0 }
        }
        let conversions = [
            Node("round", .quantizeLinear, inputs: [id], outputs: [stored]),
            Node("round", .dequantizeLinear, inputs: [stored], outputs: [rounded]),
        ]
        let place = nodes.firstIndex { $0.outputs.contains(id) }.map { $0 + 1 } ?? 0
        nodes.insert(contentsOf: conversions, at: place)
    }
}
