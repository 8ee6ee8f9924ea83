// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Layers that mean floats, and compute on them or make stored numbers, their sums in the order of `FloatOrder` and
/// `FloatPoolOrder`, by definition.
extension ReferenceEvaluator {
    /// The float results of a node over stored numbers that means floats; nil where the order is not known, or does not matter.
    ///
    /// - Parameter inputs: as real numbers.
    static func orderedResults(_ node: Node, in graph: Graph, _ inputs: [Tensor?]) throws -> [Tensor]? {
        guard node.meansFloats, let id = node.outputs.first, let y = id, let input = inputs.first, let x = input,
            graph[y].quantization != nil || node.inputs[0].map({ graph[$0].quantization == nil }) ?? false
        else { return nil }
        func optional(_ place: Int) -> Tensor? { place < inputs.count ? inputs[place] : nil }
        let shape = graph[y].shape
        switch node.operation {
        case .convolution(let convolution):
            guard let weight = optional(1), convolution.kernel.count <= 2, convolution.residual == nil else {
                return nil
            }
            return [ordered(convolution, x, weight, bias: optional(2), shape)]
        case .gemm(let gemm):
            guard gemm.alpha == 1, gemm.beta == 1, !gemm.transposesA, let weight = optional(1) else { return nil }
            return ordered(
                x, weight, bias: optional(2), isTransposed: gemm.transposesB, gemm.activation, shape
            ).map { [$0] }
        case .matMul:
            guard let weight = optional(1), weight.shape.rank == 2 else { return nil }
            return ordered(x, weight, bias: nil, isTransposed: false, .none, shape).map { [$0] }
        case .averagePool(let pool): return ordered(pool, x, shape).map { [$0] }
        case .globalPool(.average):
            return ordered(Pool(kernel: Array(x.shape.dimensions.dropFirst(2))), x, shape).map { [$0] }
        default: return nil
        }
    }

    private static func ordered(
        _ convolution: Convolution, _ x: Tensor, _ weight: Tensor, bias: Tensor?, _ shape: Shape
    ) -> Tensor {
        let result = Tensor(.float32, shape)
        let plane = Plane(x.shape, shape, convolution)
        let (filters, depth) = (shape[1], weight.shape[1])
        let (group, taps) = (filters / convolution.groups, plane.taps)
        let order = FloatOrder.convolution(filters: group, pixels: plane.pixels, steps: depth * taps)
        for n in 0..<shape[0] {
            for filter in 0..<filters {
                for pixel in 0..<plane.pixels {
                    var sum = FloatSum(order, steps: depth * taps, start: 0)
                    for c in 0..<depth {
                        let image = x.floats + (n * x.shape[1] + filter / group * depth + c) * plane.inputs
                        for tap in 0..<taps {
                            let place = plane.place(pixel, tap)
                            sum.add(weight.floats[(filter * depth + c) * taps + tap], place.map { image[$0] } ?? 0)
                        }
                    }
                    let total = sum.total(row: filter % group, rows: group)
                    result.floats[(n * filters + filter) * plane.pixels + pixel] = total + (bias?.floats[filter] ?? 0)
                }
            }
        }
        convolution.activation.apply(result.floats, count: result.count)
        return result
    }

    private static func ordered(
        _ x: Tensor, _ weight: Tensor, bias: Tensor?, isTransposed: Bool, _ activation: Activation, _ shape: Shape
    ) -> Tensor? {
        let (steps, columns) = isTransposed ? (weight.shape[1], weight.shape[0]) : (weight.shape[0], weight.shape[1])
        let rows = x.count / max(steps, 1)
        guard bias.map({ $0.count == 1 || $0.count == columns }) ?? true,
            let order = FloatOrder.product(rows: rows, columns: columns, steps: steps, isTransposed: isTransposed)
        else { return nil }
        let result = Tensor(.float32, shape)
        for row in 0..<rows {
            for column in 0..<columns {
                let start = bias.map { $0.floats[$0.count == 1 ? 0 : column] } ?? 0
                var sum = FloatSum(order, steps: steps, start: start)
                for step in 0..<steps {
                    let place = isTransposed ? column * steps + step : step * columns + column
                    sum.add(weight.floats[place], x.floats[row * steps + step])
                }
                result.floats[row * columns + column] = sum.total(row: column, rows: columns)
            }
        }
        activation.apply(result.floats, count: result.count)
        return result
    }

    private static func ordered(_ pool: Pool, _ x: Tensor, _ shape: Shape) -> Tensor? {
        guard pool.kernel.count <= 2, !pool.countsPadding || pool.pads.allSatisfy({ $0 == 0 }) else { return nil }
        let result = Tensor(.float32, shape)
        let plane = Plane(x.shape, shape, pool)
        let order = FloatPoolOrder(pool, input: Array(x.shape.dimensions.dropFirst(2)))
        for channel in 0..<(shape[0] * shape[1]) {
            let image = x.floats + channel * plane.inputs
            for pixel in 0..<plane.pixels {
                let values = (0..<plane.taps).compactMap { plane.place(pixel, $0) }.map { image[$0] }
                var sum: Float = 0
                switch order {
                case .rows: for value in values { sum += value }
                case .lanes:
                    var lanes: [Float] = [0, 0, 0, 0]
                    let whole = values.count / 4 * 4
                    for (index, value) in values[..<whole].enumerated() { lanes[index % 4] += value }
                    sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
                    for value in values[whole...] { sum += value }
                case .columns:
                    for column in 0..<plane.kernel.1 {
                        var part: Float = 0
                        for row in 0..<plane.kernel.0 {
                            if let place = plane.place(pixel, row * plane.kernel.1 + column) { part += image[place] }
                        }
                        sum += part
                    }
                }
                result.floats[channel * plane.pixels + pixel] = sum / Float(max(values.count, 1))
            }
        }
        return result
    }

    /// Windows over an image of one or two axes.
    private struct Plane {
        let kernel: (Int, Int)
        private let input: (Int, Int)
        private let width: Int
        private let strides: (Int, Int)
        private let dilations: (Int, Int)
        private let begins: (Int, Int)
        let pixels: Int

        init(_ x: Shape, _ y: Shape, _ convolution: Convolution) {
            self.init(x, y, convolution.kernel, convolution.strides, convolution.dilations, convolution.pads)
        }

        init(_ x: Shape, _ y: Shape, _ pool: Pool) {
            self.init(x, y, pool.kernel, pool.strides, pool.dilations, pool.pads)
        }

        private init(
            _ x: Shape, _ y: Shape, _ kernel: [Int], _ strides: [Int], _ dilations: [Int], _ pads: [Int]
        ) {
            func pair(_ values: [Int], _ filler: Int) -> (Int, Int) {
                values.count > 1 ? (values[0], values[1]) : (filler, values.first ?? filler)
            }
            input = pair(Array(x.dimensions.dropFirst(2)), 1)
            let output = pair(Array(y.dimensions.dropFirst(2)), 1)
            width = output.1
            pixels = output.0 * output.1
            self.kernel = pair(kernel, 1)
            self.strides = pair(strides, 1)
            self.dilations = pair(dilations, 1)
            begins = pair(Array(pads.prefix(kernel.count)), 0)
        }

        var inputs: Int { input.0 * input.1 }
        var taps: Int { kernel.0 * kernel.1 }

        /// Where a position of the window of an output pixel lies; nil in the padding.
        func place(_ pixel: Int, _ tap: Int) -> Int? {
            let y = pixel / width * strides.0 + tap / kernel.1 * dilations.0 - begins.0
            let x = pixel % width * strides.1 + tap % kernel.1 * dilations.1 - begins.1
            return y >= 0 && y < input.0 && x >= 0 && x < input.1 ? y * input.1 + x : nil
        }
    }
}

/// A sum of products in one of the orders.
struct FloatSum {
    private let order: FloatOrder
    private let steps: Int
    private var sum: Float
    private var part: Float = 0
    private var lanes: [Float]
    private var count = 0

    /// - Parameter start: what the terms are added to.
    init(_ order: FloatOrder, steps: Int, start: Float) {
        self.order = order
        self.steps = steps
        sum = start
        lanes = order == .lanes ? [Float](repeating: 0, count: 8) : []
    }

    mutating func add(_ weight: Float, _ x: Float) {
        switch order {
        case .blocks(let block):
            part.addProduct(weight, x)
            count += 1
            if count % block == 0 { endPart() }
        case .fours:
            part += weight * x
            count += 1
            let left = steps / 4 * 4
            if count <= left ? count % 4 == 0 : count == left + 2 || count == steps { endPart() }
        case .lanes:
            lanes[count % 8] += weight * x
            count += 1
        }
    }

    private mutating func endPart() {
        sum += part
        part = 0
    }

    /// - Parameter row: of the `rows` that are computed together.
    func total(row: Int, rows: Int) -> Float {
        guard order == .lanes else { return sum + part }
        let a = lanes
        if row < rows / 4 * 4 { return sum + ((((a[0] + a[1]) + a[2]) + a[3]) + (((a[4] + a[5]) + a[6]) + a[7])) }
        if row < rows / 2 * 2 { return sum + (((a[2] + a[0]) + (a[6] + a[4])) + ((a[3] + a[1]) + (a[7] + a[5]))) }
        return sum + (((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7])))
    }
}
