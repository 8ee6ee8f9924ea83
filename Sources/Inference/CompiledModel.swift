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
    let plan: Plan
    /// Per input: whether it takes pixels, and the bytes of one item.
    let inputForms: [(isImage: Bool, byteCount: Int)]
    let outputByteCounts: [Int]
    /// Images in one item: the first extent that the network was made with.
    let imagesPerItem: Int

    /// - Parameters:
    ///   - batch: items that one run takes at most. An item is what the network was made for, of any first extent.
    ///   - threads: how many share the work of a run, for a short time to the result; results are the same bytes with any.
    ///     Many sessions of one thread each get more done.
    /// - Throws: `GraphError` when the graph is not valid.
    package convenience init(_ model: Model, batch: Int = 1, threads: Int = 1) throws {
        try self.init(model, batch: batch, threads: threads, kernels: .best)
    }

    init(_ model: Model, batch: Int, threads: Int = 1, kernels: FloatKernels, int8Kernels: Int8Kernels = .best) throws {
        precondition(batch > 0 && threads > 0)
        try model.graph.validate()
        let model = model.takingFrames()
        var graph = QuantizationFolding.folded(Fusion.fused(model.graph.withFloatConstants()))
        var images = try Self.images(graph, model)
        var builder = PlanBuilder(
            graph, images: images, kernels: kernels, int8Kernels: int8Kernels, threads: threads)
        var plan = try builder.build()
        if !builder.unfoldable.isEmpty {
            graph = Fusion.fused(graph.unfolded(builder.unfoldable).withFloatConstants())
            images = try Self.images(graph, model)
            builder = PlanBuilder(
                graph, images: images, kernels: kernels, int8Kernels: int8Kernels, threads: threads)
            plan = try builder.build()
        }
        guard plan.arena.byteCount <= Self.maximumArenaBytes else {
            throw GraphError.inconsistent(
                "the network needs \(plan.arena.byteCount >> 20) MiB, more than \(Self.maximumArenaBytes >> 20) MiB")
        }
        self.plan = plan
        self.batch = batch
        self.threads = threads
        self.int8Kernels = int8Kernels
        func port(_ id: ValueID) -> Port {
            var extents = graph[id].shape.dimensions
            if !extents.isEmpty { extents[0] *= batch }
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
        imagesPerItem = image.map { max(graph[$0].shape[0], 1) } ?? 1
        imageInput = image.flatMap { id in
            images[id].map {
                Image(
                    input: graph[id].name, width: graph[id].shape[3], height: graph[id].shape[2],
                    channels: graph[id].shape[1], preprocessing: $0)
            }
        }
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

    /// Bytes that each session takes.
    package var sessionByteCount: Int {
        plan.arena.byteCount + batch * (inputForms.map(\.byteCount).reduce(0, +) + outputByteCounts.reduce(0, +))
    }

    /// Bytes of weights, shared by all sessions.
    package var weightByteCount: Int {
        plan.roots.reduce(0) { sum, root in
            if case .constant(let buffer) = root.kind { sum + buffer.bytes.count } else { sum }
        }
    }

    package func makeSession() -> Session { Session(self) }
}
