// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// What a session does for one item of a batch, step by step, and where each value lies meanwhile.
struct Plan: Sendable {
    /// One step on the memory of a session.
    typealias Action = () throws -> Void

    struct Step: Sendable {
        let name: String
        /// Multiplications and additions that it takes, for benchmarks; zero where nobody counts them.
        var work = 0
        /// Looks up all pointers once, when a session is made.
        let bind: @Sendable (Memory) -> Action
    }

    var roots: [Root] = []
    var steps: [Step] = []
    var arena = ArenaLayout([])
}

/// The memory of one session.
final class Memory {
    let arena: Buffer
    private let roots: [Root]
    private let layout: ArenaLayout
    /// Pixels of all image inputs of all items, and all other inputs and outputs, by index.
    let inputs: [Buffer]
    let outputs: [Buffer]
    /// The item of the batch that is being computed.
    var item = 0
    /// Threads that share the work of a step.
    var team: Team
    let int8Kernels: Int8Kernels

    init(_ plan: Plan, inputs: [Buffer], outputs: [Buffer], team: Team, int8Kernels: Int8Kernels) {
        self.team = team
        self.int8Kernels = int8Kernels
        arena = Buffer(byteCount: plan.arena.byteCount)
        roots = plan.roots
        layout = plan.arena
        self.inputs = inputs
        self.outputs = outputs
    }

    func pointer(_ place: Place) -> UnsafeMutableRawPointer {
        let bytes =
            switch roots[place.root].kind {
            case .constant(let buffer): buffer.bytes
            case .arena: UnsafeMutableRawBufferPointer(rebasing: arena.bytes[layout.offsets[place.root]...])
            }
        guard let base = bytes.baseAddress else { preconditionFailure("a buffer has no memory") }
        return base + place.offsetBytes
    }

    func floats(_ place: Place) -> UnsafeMutablePointer<Float> {
        pointer(place).assumingMemoryBound(to: Float.self)
    }

    /// A tensor that reads and writes the session's memory; the place must be row-major.
    func tensor(_ value: Value, _ place: Place) -> Tensor {
        let bytes = UnsafeRawBufferPointer(start: pointer(place), count: value.shape.count * value.type.sizeBytes)
        return Tensor(value.type, value.shape, Buffer(borrowing: bytes, owner: self))
    }
}

/// The table of float kernels of an instruction set.
///
/// `@unchecked Sendable`: the table is a constant of the program.
struct FloatKernels: @unchecked Sendable {
    let table: UnsafePointer<float_kernels>

    static let best = FloatKernels(table: float_kernels_best())

    /// All that this processor can run.
    static var available: [FloatKernels] {
        (0..<8).compactMap { float_kernels_available($0).map(FloatKernels.init) }
    }

    var name: String { String(cString: table.pointee.name) }
    var tilePixels: Int { Int(table.pointee.tile_pixels) }
}
