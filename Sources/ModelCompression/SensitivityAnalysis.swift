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
    /// Values that are kept wide together, with their ratio at the head that suffers most, and what it would cost.
    struct Entry: Sendable {
        var values: [ValueID]
        var decibels: Double
        /// Whether 16 bits are what it takes, or float.
        var inWords = false
        /// Time of the network with these values wide over its time without.
        var slowdown: Double

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

    init(_ graph: Graph, plan: QuantizationPlan, parameters: [ValueID: QuantizationParameters]) {
        self.graph = graph
        self.plan = plan
        self.parameters = parameters
        let ends = plan.layers.filter { !plan.storesIntegers($0) }.sorted()
        let outputs = ends.compactMap { graph.nodes[$0].outputs[0] }
        heads = outputs.isEmpty ? graph.outputs : outputs
        wordGroups = plan.wordGroups()
        words = wordGroups.reduce(into: []) { $0.formUnion($1) }
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
                inWords: words.contains(values[0]), slowdown: slowdown(values))
        }
        return entries.sorted { ($0.decibels, $0.values[0]) < ($1.decibels, $1.values[0]) }
    }

    /// Values that are worth keeping wide and affordable together: those that take away the most noise, by dynamic programming
    /// over time in thousandths of what there is, then others for which there is time left.
    ///
    /// - Parameter maximumSlowdown: of the network, by what its layers take.
    func choose(_ entries: [Entry], maximumSlowdown: Double) -> [Entry] {
        let budget = 1000
        let isTolerable = entries.reduce(0) { $0 + $1.noise } <= Self.tolerableNoise
        let worthy = entries.filter { $0.decibels < (isTolerable ? Self.leastDecibels : Self.leastDecibelsOfMany) }
        let costs = worthy.map { entry in
            // Whatever costs something costs a whole part; more than all of it is never affordable.
            let share = (entry.slowdown - 1) / (maximumSlowdown - 1)
            return share <= 1 ? Int((share * Double(budget)).rounded(.up)) : budget + 1
        }
        // The most noise that so many parts of the time take away, and whether each entry is among what takes it away.
        var most = [Double](repeating: 0, count: budget + 1)
        var takes = [[Bool]](repeating: [Bool](repeating: false, count: budget + 1), count: worthy.count)
        for (index, entry) in worthy.enumerated() where costs[index] <= budget {
            for parts in stride(from: budget, through: costs[index], by: -1) {
                let with = most[parts - costs[index]] + entry.noise
                if with > most[parts] { (most[parts], takes[index][parts]) = (with, true) }
            }
        }
        var chosen: [Entry] = []
        var parts = budget
        for index in worthy.indices.reversed() where takes[index][parts] {
            chosen.append(worthy[index])
            parts -= costs[index]
        }
        for entry in worthy where !chosen.contains(where: { $0.values == entry.values }) {
            if slowdown((chosen + [entry]).flatMap(\.values)) <= maximumSlowdown { chosen.append(entry) }
        }
        return chosen.sorted { ($0.decibels, $0.values[0]) < ($1.decibels, $1.values[0]) }
    }

    /// The values, and whatever else holds the same stored numbers.
    func closure(_ values: [ValueID]) -> Set<ValueID> {
        var result = Set(values)
        for (index, node) in graph.nodes.enumerated() where plan.carriers.contains(index) {
            guard node.operation.passesChannels, node.inputs.contains(where: { $0.map(result.contains) ?? false })
            else {
                continue
            }
            result.formUnion(node.outputs.compactMap { $0 })
        }
        return result
    }

    /// Values that are rounded where they are computed; the others are copies of them.
    private var sources: [ValueID] {
        let producers = graph.producers
        return plan.quantized.filter { id in
            guard let index = producers[id] else { return true }
            return !(plan.carriers.contains(index) && graph.nodes[index].operation.passesChannels)
        }.sorted()
    }

    /// Sources that are wide together or not at all.
    private var units: [[ValueID]] {
        let sources = sources
        let alone = sources.filter { !words.contains($0) }.map { [$0] }
        return alone + wordGroups.map { group in sources.filter(group.contains) }
    }

    private func slowdown(_ values: [ValueID]) -> Double {
        let wide = closure(values.filter { !words.contains($0) })
        let kept = closure(values.filter(words.contains)).subtracting(wide)
        var (before, after) = (0.0, 0.0)
        for (index, node) in graph.nodes.enumerated() where node.operation.hasWeights {
            let layer = LayerTime(node, graph)
            let isInteger = plan.layers.contains(index)
            before += isInteger ? layer.inBytes : layer.inFloat
            let reads = node.inputs.compactMap { $0 }
            after +=
                !isInteger || !wide.isDisjoint(with: reads)
                ? layer.inFloat : kept.isDisjoint(with: reads) ? layer.inBytes : layer.inWords
        }
        after += wide.reduce(0) { $0 + LayerTime.ofFloat * Double(graph[$1].shape.count) }
        return before > 0 ? after / before : 1
    }
}

/// How long a layer takes on a processor with AVX2, in units of a multiplication among many of a convolution of bytes, as the
/// kernels were measured: three detectors for which it allowed 1.1 times the time took 1.07 to 1.09 times as long.
private struct LayerTime {
    let inBytes: Double
    /// With inputs of 16 bits.
    let inWords: Double
    let inFloat: Double

    /// Of an element that is written as float and converted for those who read it as integer.
    static let ofFloat = 40.0
    /// Of an element that a layer writes, more for what takes an exponential function, and yet more beside 16 bits.
    private static let (ofOutput, ofExponential, ofWideExponential) = (12.0, 57.0, 80.0)

    init(_ node: Node, _ graph: Graph) {
        let products = Double(graph.products(of: node))
        let count = node.outputs[0].map { Double(graph[$0].shape.count) } ?? 0
        var takesExponential = false
        var isWinograd = false
        if case .convolution(let convolution) = node.operation {
            takesExponential = [.silu, .sigmoid, .tanh].contains(convolution.activation)
            if let x = node.inputs[0], let y = node.outputs[0], graph[x].shape.rank == 4 {
                isWinograd = convolution.gainsFromWinograd(channels: graph[x].shape[1], output: graph[y].shape)
            }
        }
        let end = takesExponential ? Self.ofExponential * count : 0
        let wideEnd = takesExponential ? Self.ofWideExponential * count : 0
        if node.isDepthwise {
            (inBytes, inWords, inFloat) = (4.5 * products + end, 6.2 * products + wideEnd, 12 * products + end)
        } else {
            let written = Self.ofOutput * count
            inBytes = (isWinograd ? 0.6 : 1) * products + written + end
            (inWords, inFloat) = (1.5 * products + written + wideEnd, 8.5 * products + end)
        }
    }
}

extension Node {
    var isDepthwise: Bool {
        if case .convolution(let convolution) = operation { convolution.groups > 1 } else { false }
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
