// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

/// A compiled network with the memory that one worker runs it in. Not to be used by two threads at once.
///
/// Fill the inputs, `run`, read the outputs; they stay until the next run. A run allocates nothing, unless the network has
/// operators that only the reference evaluator knows.
package final class Session {
    /// Where the pixels of a frame go: interleaved bytes in the network's order of channels.
    package struct PixelPlane {
        package let base: UnsafeMutablePointer<UInt8>
        /// Bytes from one pixel, and from one row, to the next.
        package let pixelStride: Int
        package let rowStride: Int
    }

    package let model: CompiledModel
    private let team: Team
    /// Memory of the first item that is being computed, then, where every thread may have an item of its own, of others.
    private let lanes: [Lane]
    /// What each thread does then; made once, because making it takes memory.
    private let shared: Team.Work
    private let share: Share
    private let alone = Team(threads: 1)
    private var memory: Memory { lanes[0].memory }

    init(_ model: CompiledModel) {
        self.model = model
        let inputs = model.inputForms.map { Buffer(byteCount: $0.byteCount * model.batch * model.parts) }
        let outputs = model.outputByteCounts.map { Buffer(byteCount: $0 * model.batch * model.parts) }
        let team = Team(threads: model.threads)
        let lanes = (0..<model.lanes).map { _ in
            Lane(
                model.plan,
                Memory(model.plan, inputs: inputs, outputs: outputs, team: team, int8Kernels: model.int8Kernels))
        }
        let share = Share()
        self.team = team
        self.lanes = lanes
        self.share = share
        shared = { part, parts in
            for item in Team.share(share.items, part, parts) where lanes[part].fault == nil {
                do { try lanes[part].run(item) } catch { lanes[part].fault = error }
            }
        }
    }

    /// A plan on memory of its own.
    private final class Lane {
        let memory: Memory
        let actions: [Plan.Action]
        var fault: (any Error)?

        init(_ plan: Plan, _ memory: Memory) {
            self.memory = memory
            actions = plan.steps.map { $0.bind(memory) }
        }

        func run(_ item: Int) throws {
            memory.item = item
            for action in actions { try action() }
        }
    }

    /// How many items the threads share.
    private final class Share { var items = 0 }

    /// The pixels of the image input's frame `slot`, 0 ..< batch times the network's own first extent.
    package func pixels(_ slot: Int) -> PixelPlane {
        guard let image = model.imageInput, let index = model.inputForms.firstIndex(where: \.isImage),
            let base = memory.inputs[index].bytes.baseAddress
        else { preconditionFailure("the network has no image input") }
        precondition((0..<(model.batch * model.imagesPerItem)).contains(slot), "no such place in the batch")
        let rowStride = image.width * image.channels
        return PixelPlane(
            base: base.assumingMemoryBound(to: UInt8.self) + slot * image.height * rowStride,
            pixelStride: image.channels, rowStride: rowStride)
    }

    /// The elements of an input that is no image, in ONNX's layout, batch items one after the other. For an image input
    /// these are its pixels, as `pixels(_:)` says.
    package func inputBytes(_ index: Int) -> UnsafeMutableRawBufferPointer { memory.inputs[index].bytes }

    /// Computes the outputs of the first `batch` items. The result of an item does not depend on the others. Each thread
    /// takes items of its own as far as there are enough for all; on the rest they work together.
    ///
    /// - Throws: `GraphError` when an index in the data is out of range.
    package func run(batch: Int = 1) throws {
        precondition((0...model.batch).contains(batch), "more items than the session was made for")
        let items = batch * model.parts
        var done = 0
        if lanes.count > 1 && items >= lanes.count {
            done = items / lanes.count * lanes.count
            try runShared(done)
        }
        for item in done..<items { try lanes[0].run(item) }
    }

    private func runShared(_ items: Int) throws {
        share.items = items
        for lane in lanes {
            lane.memory.team = alone
            lane.fault = nil
        }
        team.run(shared)
        for lane in lanes { lane.memory.team = team }
        for lane in lanes {
            if let fault = lane.fault { throw fault }
        }
    }

    /// Runs one item, or the first part of one that has several, and calls `body` after each step with its name, the multiplications it stands for (zero where they are
    /// not counted) and how long it took. For benchmarks.
    package func profile(_ body: (_ step: String, _ work: Int, _ time: Duration) -> Void) throws {
        memory.item = 0
        let clock = ContinuousClock()
        for (step, action) in zip(model.plan.steps, lanes[0].actions) {
            let start = clock.now
            try action()
            body(step.name, step.work, clock.now - start)
        }
    }

    /// Items that the session has memory for.
    package var batch: Int { model.batch }

    package var outputCount: Int { model.outputs.count }

    /// A float output, all items of the batch; only those of the last run are new.
    package func output(_ index: Int) -> UnsafeBufferPointer<Float> {
        precondition(model.outputs[index].type == .float32, "the output holds \(model.outputs[index].type)")
        return UnsafeBufferPointer(memory.outputs[index].bytes.assumingMemoryBound(to: Float.self))
    }

    /// Any output, as a copy.
    package func outputTensor(_ index: Int) -> Tensor {
        let port = model.outputs[index]
        let tensor = Tensor(port.type, port.shape)
        tensor.buffer.bytes.copyMemory(from: UnsafeRawBufferPointer(memory.outputs[index].bytes))
        return tensor
    }
}
