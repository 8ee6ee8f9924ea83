// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// A network ready to run: fused, planned, its weights packed for this processor. Sessions share it.
package final class CompiledModel: Sendable {
    /// An input or output as a session has it: batch items one after the other along the first axis.
    package struct Port: Sendable {
        package let name: String
        package let type: ElementType
        package let shape: Shape
    }

    /// The input that takes frames.
    package struct Image: Sendable {
        package let input: String
        package let width: Int
        package let height: Int
        package let channels: Int
        package let preprocessing: ImagePreprocessing
    }

    /// A network for which more is needed is not meant for such a machine, or meant to do harm.
    private static let maximumArenaBytes = 1 << 32

    package let inputs: [Port]
    package let outputs: [Port]
    /// The first input with preprocessing, if there is one.
    package let imageInput: Image?
    /// How many items one run takes at most.
    package let batch: Int
    /// Threads that share the work of a run.
    package let threads: Int
    let int8Kernels: Int8Kernels
    /// Of one part of an item.
    let plan: Plan
    /// How many parts of the same form an item is computed in, one after the other.
    let parts: Int
    /// Per input: whether it takes pixels, and the bytes of one part of an item.
    let inputForms: [(isImage: Bool, byteCount: Int)]
    let outputByteCounts: [Int]
    /// Images in one item: the first extent that the network was made with.
    let imagesPerItem: Int

    /// - Parameters:
    ///   - batch: items that one run takes at most. An item is what the network was made for, of any first extent.
    ///   - threads: how many share the work of a run, for a short time to the result; results are the same bytes with any.
    ///     Many sessions of one thread each get more done.
    ///   - slot: where weights that are packed already may be, and are kept.
    /// - Throws: `GraphError` when the graph is not valid.
    package convenience init(
        _ model: Model, batch: Int = 1, threads: Int = 1, slot: PlanCache.Slot? = nil
    ) throws {
        guard let slot else {
            try self.init(model, batch: batch, threads: threads, kernels: .best)
            return
        }
        let constants = slot.constants(of: model)
        try self.init(model, batch: batch, threads: threads, kernels: .best, packed: constants)
        if constants.isIncomplete { slot.store(constants, of: model) }
    }

    init(
        _ model: Model, batch: Int, threads: Int = 1, kernels: FloatKernels, int8Kernels: Int8Kernels = .best,
        packed: PackedConstants? = nil
    ) throws {
        precondition(batch > 0 && threads > 0)
        // What has a place in a cache was checked when it was read.
        if packed == nil { try model.graph.validate() }
        var model = model.takingFrames()
        let parts: Int
        (model.graph, parts) = model.graph.dividedIntoItems()
        let (graph, images, plan) = try Self.planned(model, packed: packed) { graph, images in
            PlanBuilder(
                graph, images: images, kernels: kernels, int8Kernels: int8Kernels, threads: threads, packed: packed)
        }
        guard plan.arena.byteCount <= Self.maximumArenaBytes else {
            throw GraphError.inconsistent(
                "the network needs \(plan.arena.byteCount >> 20) MiB, more than \(Self.maximumArenaBytes >> 20) MiB")
        }
        self.plan = plan
        self.parts = parts
        self.batch = batch
        self.threads = threads
        self.int8Kernels = int8Kernels
        func port(_ id: ValueID) -> Port {
            var extents = graph[id].shape.dimensions
            if !extents.isEmpty { extents[0] *= batch * parts }
            return Port(name: graph[id].name, type: graph[id].type, shape: Shape(extents))
        }
        inputs = graph.inputs.map(port)
        outputs = graph.outputs.map(port)
        inputForms = graph.inputs.map { id in
            let isImage = images[id] != nil
            return (isImage, graph[id].shape.count * (isImage ? 1 : graph[id].type.sizeBytes))
        }
        outputByteCounts = graph.outputs.map { graph[$0].shape.count * graph[$0].type.sizeBytes }
        let image = graph.inputs.first { images[$0] != nil }
        imagesPerItem = image.map { max(graph[$0].shape[0], 1) * parts } ?? 1
        imageInput = image.flatMap { id in
            images[id].map {
                Image(
                    input: graph[id].name, width: graph[id].shape[3], height: graph[id].shape[2],
                    channels: graph[id].shape[1], preprocessing: $0)
            }
        }
    }

    /// The graph as it runs, the inputs that take frames, and the plan.
    private static func planned(
        _ model: Model, packed: PackedConstants?,
        _ makeBuilder: (Graph, [ValueID: ImagePreprocessing]) -> PlanBuilder
    ) throws -> (Graph, [ValueID: ImagePreprocessing], Plan) {
        let known = packed?.findings
        let real = model.graph.withFloatConstants()
        let folded = known?.isPlain == true ? real : Self.simplified(real)
        func plan(unfolding nodes: [Int]) throws -> (Graph, [ValueID: ImagePreprocessing], Plan, unfoldable: [Int]) {
            // A cache may say anything.
            let nodes = Set(nodes).filter { folded.nodes.indices.contains($0) && folded.isUnfoldable(folded.nodes[$0]) }
            let graph = nodes.isEmpty ? folded : Fusion.fused(folded.unfolded(nodes).withFloatConstants())
            let images = try Self.images(graph, model)
            var builder = makeBuilder(graph, images)
            packed?.restart()
            return (graph, images, try builder.build(), builder.unfoldable.sorted())
        }
        var (graph, images, result, unfoldable) = try plan(unfolding: known?.unfolded ?? [])
        if known == nil {
            packed?.findings = PackedConstants.Findings(isPlain: real.isSame(as: folded), unfolded: unfoldable)
            if !unfoldable.isEmpty { (graph, images, result, _) = try plan(unfolding: unfoldable) }
        }
        return (graph, images, result)
    }

    /// The same network in fewer nodes, on stored integers where conversions stand around them.
    private static func simplified(_ graph: Graph) -> Graph {
        let fused = Fusion.fused(graph)
        // Only folding brings stored padding before the layer that takes it in.
        let isQuantized = fused.values.contains { $0.quantization != nil }
        return isQuantized ? Fusion.fused(QuantizationFolding.folded(fused)) : fused
    }

    /// The inputs that take frames.
    private static func images(_ graph: Graph, _ model: Model) throws -> [ValueID: ImagePreprocessing] {
        var images: [ValueID: ImagePreprocessing] = [:]
        for id in graph.inputs {
            let value = graph[id]
            guard let preprocessing = model.preprocessing[value.name] else { continue }
            let channels = preprocessing.channelOrder == .gray ? 1 : 3
            guard value.type == .float32, value.shape.rank == 4, value.shape[1] == channels,
                preprocessing.mean.count == channels, preprocessing.scale.count == channels
            else {
                throw GraphError.wrongInput(
                    name: value.name, expected: "float32 Nx\(channels)xHxW with \(channels) means and scales",
                    actual: "\(value.type) \(value.shape)")
            }
            images[id] = preprocessing
        }
        return images
    }

    /// How many parts of items a session computes at the same time: one on each thread, if there are enough.
    var lanes: Int { batch * parts >= threads ? threads : 1 }

    /// Bytes that each session takes.
    package var sessionByteCount: Int {
        let ends = inputForms.map(\.byteCount).reduce(0, +) + outputByteCounts.reduce(0, +)
        return plan.arena.byteCount * lanes + batch * parts * ends
    }

    /// Bytes of weights, shared by all sessions.
    package var weightByteCount: Int {
        plan.roots.reduce(0) { sum, root in
            if case .constant(let buffer) = root.kind { sum + buffer.bytes.count } else { sum }
        }
    }

    package func makeSession() -> Session { Session(self) }
}

extension Graph {
    /// Whether both are made of the same nodes and values, and of the very same constants.
    fileprivate func isSame(as other: Graph) -> Bool {
        nodes == other.nodes && values == other.values && inputs == other.inputs && outputs == other.outputs
            && constants.count == other.constants.count
            && constants.allSatisfy { id, tensor in other.constants[id].map { $0.buffer === tensor.buffer } ?? false }
    }
}
