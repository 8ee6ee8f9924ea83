// SPDX-License-Identifier: Apache-2.0
import CKernels
import ModelGraph
import Tensors

/// Turns a fused graph into a plan: chooses layouts, lets values share memory, and picks a kernel per node.
struct PlanBuilder {
    let graph: Graph
    let kernels: FloatKernels
    let int8Kernels: Int8Kernels
    /// How many threads share the work of a step.
    let threads: Int
    /// Index of the graph input that is given as pixels.
    let images: [ValueID: ImagePreprocessing]
    /// By index of the value.
    let layouts: [Layout]
    /// Values that lie inside of another one: the part of a concatenation that they are.
    private let parts: [ValueID: ConcatParts.Part]
    /// Where large constants come from; nil: they are made.
    private let packed: PackedConstants?
    /// Name of the node that is lowered.
    private var node = ""
    private(set) var plan = Plan()
    /// Indices of nodes over stored numbers that there is no kernel for, and that have one for float perhaps.
    private(set) var unfoldable = Set<Int>()
    private(set) var places: [ValueID: Place] = [:]
    private var converted: [ValueID: Place] = [:]
    private var constantPlaces: [Converted: Place] = [:]

    private struct Converted: Hashable {
        let value: ValueID
        let layout: Layout
    }

    init(
        _ graph: Graph, images: [ValueID: ImagePreprocessing], kernels: FloatKernels, int8Kernels: Int8Kernels,
        threads: Int, packed: PackedConstants? = nil
    ) {
        self.packed = packed
        self.int8Kernels = int8Kernels
        self.threads = threads
        self.graph = graph
        self.kernels = kernels
        self.images = images
        layouts = LayoutChoice(graph, images: images).layouts
        parts = ConcatParts(graph, layouts).parts
    }

    /// - Throws: `GraphError` when an operator does not fit what it is applied to.
    mutating func build() throws -> Plan {
        for (index, node) in graph.nodes.enumerated() { try lower(node, index) }
        addOutputs()
        plan.arena = ArenaLayout(plan.roots)
        return plan
    }

    private mutating func lower(_ node: Node, _ index: Int) throws {
        self.node = node.name
        let isDone =
            switch node.operation {
            case .convolution(let convolution):
                lowerConvolution(node, convolution) || lowerQuantizedConvolution(node, convolution)
            case .gemm(let gemm): lowerGemm(node, gemm) || lowerIntegerProduct(node)
            case .matMul: lowerMatMul(node) || lowerIntegerProduct(node)
            case .recurrent(let recurrent):
                lowerRecurrent(node, recurrent) || lowerIntegerRecurrence(node, recurrent)
            case .maxPool(let pool):
                lowerPool(node, pool, float_pool_maximum) || lowerQuantizedPool(node, pool, float_pool_maximum)
            case .averagePool(let pool):
                lowerPool(node, pool, float_pool_average) || lowerQuantizedPool(node, pool, float_pool_average)
            case .globalPool(let function):
                lowerGlobalPool(node, function == .average) || lowerQuantizedGlobalPool(node, function)
            case .reduce(let reduce): lowerReduce(node, reduce)
            case .unary(let function): lowerUnary(node, function) || lowerQuantizedUnary(node)
            case .binary(let function, let activation):
                lowerBinary(node, function, activation) || lowerQuantizedAdd(node, function, activation)
            case .quantizeLinear: lowerQuantize(node)
            case .dequantizeLinear: lowerDequantize(node)
            case .softmax(let axis): lowerSoftmax(node, axis: axis)
            case .concat(let axis): lowerConcat(node, axis: axis)
            case .split(let axis, let sizes): lowerSplit(node, axis: axis, sizes: sizes)
            case .slice(let slice): lowerSlice(node, slice)
            case .selectChannels(let channels): lowerSelectChannels(node, channels)
            case .reshape: lowerReshape(node)
            case .transpose(let permutation): lowerTranspose(node, permutation)
            case .expand: lowerExpand(node)
            case .tile(let repeats): lowerTile(node, repeats)
            case .pad(let pad): lowerPad(node, pad)
            case .depthToSpace(let block, let order): lowerBlocks(node, block, order, toDepth: false)
            case .spaceToDepth(let block, let order): lowerBlocks(node, block, order, toDepth: true)
            case .resize(let resize): lowerResize(node, resize)
            case .reinterpret: lowerReinterpret(node)
            default: false
            }
        if isDone { return }
        if graph.isUnfoldable(node) { unfoldable.insert(index) }
        try lowerToReference(node)
    }

    // MARK: Memory

    mutating func addRoot(byteCount: Int) -> Int {
        plan.roots.append(Root(kind: .arena(byteCount: byteCount)))
        return plan.roots.count - 1
    }

    mutating func addConstant(_ buffer: Buffer) -> Place {
        plan.roots.append(Root(kind: .constant(buffer)))
        return Place(root: plan.roots.count - 1, layout: .rowMajor)
    }

    mutating func addConstant(byteCount: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Place {
        addConstant(packed?.buffer(for: node, byteCount: byteCount, fill) ?? PackedConstants.made(byteCount, fill))
    }

    mutating func addConstant(floats count: Int, _ fill: (UnsafeMutablePointer<Float>) -> Void) -> Place {
        addConstant(byteCount: count * 4) { fill($0.bindMemory(to: Float.self, capacity: count)) }
    }

    /// A small constant that takes a look at all weights of a node.
    mutating func addScanned(byteCount: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Place {
        addConstant(
            packed?.scanned(for: node, byteCount: byteCount, fill) ?? PackedConstants.made(byteCount, fill))
    }

    /// The answer to a question that takes a look at all weights of a node.
    func answer(_ question: () -> Bool) -> Bool { packed?.answer(for: node, question) ?? question() }

    mutating func addScratch(floats count: Int) -> Place {
        Place(root: addRoot(byteCount: max(count, 1) * 4), layout: .rowMajor)
    }

    /// New memory for a value like this one.
    mutating func addPlace(_ value: Value, _ layout: Layout) -> Place {
        Place(
            root: addRoot(byteCount: max(value.shape.count, 1) * value.type.sizeBytes), layout: layout,
            pitch: layout == .channelsLast ? value.shape.channels : 0)
    }

    /// Adds a step that touches the memory of `places`.
    mutating func emit(
        _ name: String, _ used: [Place], work: Int = 0, _ bind: @escaping @Sendable (Memory) -> Plan.Action
    ) {
        let index = plan.steps.count
        for place in used {
            plan.roots[place.root].firstStep = min(plan.roots[place.root].firstStep, index)
            plan.roots[place.root].lastStep = max(plan.roots[place.root].lastStep, index)
        }
        plan.steps.append(Plan.Step(name: name, work: work, bind: bind))
    }

    // MARK: Values

    func isFloat(_ id: ValueID) -> Bool { graph[id].type == .float32 && graph[id].quantization == nil }

    func constant(_ id: ValueID?) -> Tensor? { id.flatMap { graph.constants[$0] } }

    /// The value at a place of a node's inputs; nil when it is left out.
    func input(_ node: Node, _ index: Int) -> ValueID? { index < node.inputs.count ? node.inputs[index] : nil }

    /// Where a value can be read in the given layout, after a conversion if it lies otherwise.
    mutating func read(_ id: ValueID, _ layout: Layout, dense: Bool = false) -> Place {
        let value = graph[id]
        if let tensor = graph.constants[id] { return readConstant(id, tensor, layout) }
        if places[id] == nil {
            if let image = images[id] { addPixels(id, image) } else if graph.inputs.contains(id) { addInput(id) }
        }
        guard let place = places[id] else { preconditionFailure("\(value.name) is read before it is computed") }
        if let same = relabelled(place, value.shape, layout),
            !dense || layout == .rowMajor || same.pitch == value.shape.channels
        {
            return same
        }
        if !dense || layout == .rowMajor, let place = converted[id] { return place }
        let target = addPlace(value, layout)
        copy(value.name, value.type, value.shape, from: place, to: target)
        if layout != place.layout { converted[id] = target }
        return target
    }

    /// The same memory under another layout, where both mean the same order.
    private func relabelled(_ place: Place, _ shape: Shape, _ layout: Layout) -> Place? {
        if place.layout == layout { return place }
        var result = place
        result.layout = layout
        if layout == .channelsLast {
            result.pitch = shape.channels
            return shape.rank < 3 || shape.spatialCount == 1 || shape.channels == 1 ? result : nil
        }
        let isDense = place.pitch == shape.channels
        return shape.pixels == 1 || (isDense && (shape.spatialCount == 1 || shape.channels == 1)) ? result : nil
    }

    private mutating func readConstant(_ id: ValueID, _ tensor: Tensor, _ layout: Layout) -> Place {
        if let place = constantPlaces[Converted(value: id, layout: layout)] { return place }
        var place = addConstant(tensor.buffer)
        if let same = relabelled(place, tensor.shape, layout) {
            place = same
        } else {
            let result = Tensor(tensor.type, tensor.shape)
            let target = Place(root: 0, layout: layout, pitch: tensor.shape.channels)
            StridedCopy(
                tensor.shape, elementBytes: tensor.type.sizeBytes, source: tensor.shape.strides(in: place),
                target: tensor.shape.strides(in: target)
            ).run(tensor.buffer.bytes.baseAddress, result.buffer.bytes.baseAddress)
            place = addConstant(result.buffer)
            place.layout = layout
            place.pitch = tensor.shape.channels
        }
        constantPlaces[Converted(value: id, layout: layout)] = place
        return place
    }

    /// Memory that a node writes a value to, in the layout chosen for it; pixels may lie apart.
    mutating func target(_ id: ValueID) -> Place {
        if let place = places[id] { return place }
        let value = graph[id]
        let place: Place
        if let part = parts[id] {
            var parent = target(part.whole)
            parent.offsetBytes += (part.pixel * parent.pitch + part.channel) * value.type.sizeBytes
            place = parent
        } else {
            place = addPlace(value, layouts[id.index])
        }
        places[id] = place
        return place
    }

    /// Says that a value lies where another one does.
    mutating func alias(_ id: ValueID, _ place: Place) { places[id] = place }

    /// Lets `body` add steps that write a value in the given layout without gaps.
    mutating func writeDense(_ id: ValueID, _ layout: Layout, _ body: (inout PlanBuilder, Place) -> Void) {
        let value = graph[id]
        let place = target(id)
        if let same = relabelled(place, value.shape, layout), layout == .rowMajor || same.pitch == value.shape.channels
        {
            body(&self, same)
            return
        }
        let dense = addPlace(value, layout)
        body(&self, dense)
        copy(value.name, value.type, value.shape, from: dense, to: place)
    }

    mutating func copy(_ name: String, _ type: ElementType, _ shape: Shape, from: Place, to: Place) {
        copy(
            name, type, shape, from: from, sourceStrides: shape.strides(in: from), to: to,
            targetStrides: shape.strides(in: to))
    }

    /// Adds a step that copies a block. Strides are in elements, per axis of `extents`.
    mutating func copy(
        _ name: String, _ type: ElementType, _ extents: Shape, from: Place, sourceStrides: [Int], sourceOffset: Int = 0,
        to: Place, targetStrides: [Int], targetOffset: Int = 0
    ) {
        let move = StridedCopy(extents, elementBytes: type.sizeBytes, source: sourceStrides, target: targetStrides)
        let (sourceBytes, targetBytes) = (sourceOffset * type.sizeBytes, targetOffset * type.sizeBytes)
        emit("copy \(name)", [from, to]) { memory in
            let (source, target) = (memory.pointer(from) + sourceBytes, memory.pointer(to) + targetBytes)
            let work: Team.Work = { part, parts in move.run(source, target, part: part, parts: parts) }
            return { memory.team.run(work) }
        }
    }
}

/// A copy of a block of elements between two arrangements.
struct StridedCopy: Sendable {
    private var extents: [Int] = []
    private var source: [Int] = []
    private var target: [Int] = []
    private let elementBytes: Int
    private let isEmpty: Bool

    /// Strides in elements, per axis of the shape. Axes are reordered so that the target is written in order, and joined
    /// where both sides go on without a gap.
    init(_ shape: Shape, elementBytes: Int, source: [Int], target: [Int]) {
        self.elementBytes = elementBytes
        isEmpty = shape.count == 0
        for axis in (0..<shape.rank).sorted(by: { target[$0] > target[$1] }) where shape[axis] != 1 {
            let (extent, from, to) = (shape[axis], source[axis] * elementBytes, target[axis] * elementBytes)
            if let last = extents.indices.last, self.source[last] == from * extent, self.target[last] == to * extent {
                extents[last] *= extent
                self.source[last] = from
                self.target[last] = to
            } else {
                extents.append(extent)
                self.source.append(from)
                self.target.append(to)
            }
        }
    }

    func run(_ from: UnsafeRawPointer?, _ to: UnsafeMutableRawPointer?) {
        guard !isEmpty, let from, let to else { return }
        strided_copy(to, from, elementBytes, Int32(extents.count), extents, target, source)
    }

    /// One of `parts` parts, along the axis that is outermost in the target.
    func run(_ from: UnsafeRawPointer?, _ to: UnsafeMutableRawPointer?, part: Int, parts: Int) {
        guard parts > 1, let first = extents.first else {
            if part == 0 { run(from, to) }
            return
        }
        let share = Team.share(first, part, parts, unit: 16)
        guard !isEmpty, !share.isEmpty, let from, let to else { return }
        withUnsafeTemporaryAllocation(of: Int.self, capacity: extents.count) { own in
            _ = own.initialize(from: extents)
            own[0] = share.count
            strided_copy(
                to + share.lowerBound * target[0], from + share.lowerBound * source[0], elementBytes,
                Int32(extents.count), own.baseAddress, target, source)
        }
    }
}
