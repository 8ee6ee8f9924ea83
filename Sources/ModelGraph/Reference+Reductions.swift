// SPDX-License-Identifier: Apache-2.0
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Foundation
#endif

extension ReferenceEvaluator {
    /// The tensor with `axes` moved behind all others.
    private static func withLast(_ axes: [Int], _ x: Tensor) -> Tensor {
        let permutation = (0..<x.shape.rank).filter { !axes.contains($0) } + axes
        return transposed(x, permutation)
    }

    /// Undoes `withLast` for one axis.
    private static func withRestored(_ axis: Int, _ x: Tensor) -> Tensor {
        var permutation = Array(0..<(x.shape.rank - 1))
        permutation.insert(x.shape.rank - 1, at: axis)
        return transposed(x, permutation)
    }

    private static func transposed(_ x: Tensor, _ permutation: [Int]) -> Tensor {
        if permutation == Array(0..<x.shape.rank) { return x }
        return move(
            .transpose(permutation: permutation), [x], [TensorType(x.type, Shape(permutation.map { x.shape[$0] }))])[0]
    }

    /// Sums run in double for floating point, in wrapping int64 for integers.
    static func reduce(_ reduce: Reduce, _ x: Tensor, shape: Shape) -> Tensor {
        let result = Tensor(x.type, shape)
        let rows = withLast(reduce.axes, x)
        let length = reduce.axes.reduce(1) { $0 * x.shape[$1] }
        x.type.dispatch(ReduceWork(function: reduce.function, rows: rows, length: length, result: result))
        return result
    }

    private struct ReduceWork: NumberWork {
        let function: Reduce.Function
        let rows: Tensor
        let length: Int
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let (input, output) = (rows.base(type), result.base(type))
            for row in 0..<result.count {
                let values = UnsafeBufferPointer(start: input + row * length, count: length)
                switch function {
                case .maximum:
                    var best = Element.lowest
                    for value in values where value.isNotANumber || value > best { best = value }
                    output[row] = best
                case .minimum:
                    var best = Element.highest
                    for value in values where value.isNotANumber || value < best { best = value }
                    output[row] = best
                case .sum where !rows.type.isFloat: output[row] = values.reduce(.zero) { .sum($0, $1) }
                case .product: output[row] = values.reduce(.one) { .product($0, $1) }
                default: output[row] = Element(truncating: floating(values))
                }
            }
        }

        private func floating<Element: Number>(_ values: UnsafeBufferPointer<Element>) -> Double {
            switch function {
            case .mean: return values.reduce(0) { $0 + $1.asDouble } / Double(length)
            case .l1: return values.reduce(0) { $0 + abs($1.asDouble) }
            case .l2: return values.reduce(0) { $0 + $1.asDouble * $1.asDouble }.squareRoot()
            case .sumOfSquares: return values.reduce(0) { $0 + $1.asDouble * $1.asDouble }
            case .logSum: return log(values.reduce(0) { $0 + $1.asDouble })
            case .logSumExp:
                let peak = values.reduce(-Double.infinity) { max($0, $1.asDouble) }
                guard peak.isFinite else { return peak }
                return peak + log(values.reduce(0) { $0 + exp($1.asDouble - peak) })
            case .sum, .maximum, .minimum, .product: return values.reduce(0) { $0 + $1.asDouble }
            }
        }
    }

    static func argReduce(_ attributes: ArgReduce, _ x: Tensor, shape: Shape) -> Tensor {
        let result = Tensor(.int64, shape)
        x.type.dispatch(
            ArgReduceWork(
                attributes: attributes, rows: withLast([attributes.axis], x), length: x.shape[attributes.axis],
                result: result))
        return result
    }

    private struct ArgReduceWork: NumberWork {
        let attributes: ArgReduce
        let rows: Tensor
        let length: Int
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            for row in 0..<result.count {
                let values = rows.base(type) + row * length
                var best = 0
                for i in 1..<max(length, 1) {
                    let wins = attributes.findsMaximum ? values[i] > values[best] : values[i] < values[best]
                    if wins || (attributes.selectsLast && values[i] == values[best]) { best = i }
                }
                result.base(Int64.self)[row] = Int64(best)
            }
        }
    }

    /// Sorted; of equal elements the one with the lower index comes first.
    static func topK(_ topK: TopK, _ x: Tensor) -> [Tensor] {
        let rows = withLast([topK.axis], x)
        let shape = Shape(rows.shape.dimensions.dropLast() + [topK.count])
        let (values, indices) = (Tensor(x.type, shape), Tensor(.int64, shape))
        x.type.dispatch(TopKWork(topK: topK, rows: rows, values: values, indices: indices))
        return [withRestored(topK.axis, values), withRestored(topK.axis, indices)]
    }

    private struct TopKWork: NumberWork {
        let topK: TopK
        let rows: Tensor
        let values: Tensor
        let indices: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let length = rows.shape.dimensions.last ?? 1
            guard topK.count > 0, length > 0 else { return }
            for row in 0..<(rows.count / length) {
                let candidates = rows.base(type) + row * length
                let order = (0..<length).sorted {
                    let (a, b) = (candidates[$0], candidates[$1])
                    return a == b ? $0 < $1 : topK.largest ? a > b : a < b
                }
                for (place, index) in order.prefix(topK.count).enumerated() {
                    values.base(type)[row * topK.count + place] = candidates[index]
                    indices.base(Int64.self)[row * topK.count + place] = Int64(index)
                }
            }
        }
    }

    static func cumulativeSum(_ attributes: CumulativeSum, _ x: Tensor) -> Tensor {
        let rows = withLast([attributes.axis], x)
        let result = Tensor(x.type, rows.shape)
        x.type.dispatch(CumulativeSumWork(attributes: attributes, rows: rows, result: result))
        return withRestored(attributes.axis, result)
    }

    private struct CumulativeSumWork: NumberWork {
        let attributes: CumulativeSum
        let rows: Tensor
        let result: Tensor

        func run<Element: Number>(_ type: Element.Type) {
            let length = rows.shape.dimensions.last ?? 1
            guard length > 0 else { return }
            for row in 0..<(rows.count / length) {
                var sum = Element.zero
                for step in 0..<length {
                    let index = row * length + (attributes.reverse ? length - 1 - step : step)
                    let next = Element.sum(sum, rows.base(type)[index])
                    result.base(type)[index] = attributes.exclusive ? sum : next
                    sum = next
                }
            }
        }
    }

    // MARK: Results whose shape depends on the data

    /// The operators that `Operator.outputTypes` cannot answer for; nil for all others.
    static func evaluateByData(_ operation: Operator, _ inputs: [Tensor?]) throws -> Tensor? {
        switch operation {
        case .nonZero:
            guard inputs.count == 1, let x = inputs[0] else {
                throw GraphError.unsuitable(operation: operation.name, reason: "takes one input")
            }
            return nonZero(x)
        case .nonMaxSuppression(let attributes):
            guard inputs.count == 2, let boxes = inputs[0], let scores = inputs[1],
                boxes.type == .float32, scores.type == .float32, boxes.shape.rank == 3, scores.shape.rank == 3,
                boxes.shape[2] == 4, boxes.shape[0] == scores.shape[0], boxes.shape[1] == scores.shape[2]
            else {
                throw GraphError.unsuitable(
                    operation: operation.name, reason: "takes boxes [N, B, 4] and scores [N, C, B]")
            }
            return nonMaxSuppression(attributes, boxes, scores)
        default: return nil
        }
    }

    private static func nonZero(_ x: Tensor) -> Tensor {
        let flags = cast(x, to: .bool)
        let found = (0..<x.count).filter { flags.base(UInt8.self)[$0] != 0 }
        let strides = denseStrides(x.shape.dimensions)
        let result = Tensor(.int64, [x.shape.rank, found.count])
        for axis in 0..<x.shape.rank {
            for (column, index) in found.enumerated() {
                result.base(Int64.self)[axis * found.count + column] = Int64(index / strides[axis] % x.shape[axis])
            }
        }
        return result
    }

    /// Rows (batch, class, box), best score first within a class. A box is dropped when its overlap (intersection over
    /// union) with a chosen one exceeds the threshold.
    private static func nonMaxSuppression(_ attributes: NonMaxSuppression, _ boxes: Tensor, _ scores: Tensor) -> Tensor
    {
        let (batches, classes, count) = (scores.shape[0], scores.shape[1], scores.shape[2])
        var rows: [Int64] = []
        for n in 0..<batches {
            let corners = (0..<count).map { index -> (Float, Float, Float, Float) in
                let box = boxes.floats + (n * count + index) * 4
                if attributes.centreBoxes {
                    return (
                        box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2
                    )
                }
                return (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
            }
            for c in 0..<classes {
                let score = scores.floats + (n * classes + c) * count
                let limit = attributes.scoreThreshold ?? -.infinity
                let order = (0..<count).filter { score[$0] > limit }
                    .sorted { score[$0] == score[$1] ? $0 < $1 : score[$0] > score[$1] }
                var chosen: [Int] = []
                for candidate in order {
                    if chosen.count >= attributes.maximumPerClass { break }
                    let a = corners[candidate]
                    let overlaps = chosen.contains { other in
                        let b = corners[other]
                        let width = max(0, min(a.2, b.2) - max(a.0, b.0))
                        let height = max(0, min(a.3, b.3) - max(a.1, b.1))
                        let union = (a.2 - a.0) * (a.3 - a.1) + (b.2 - b.0) * (b.3 - b.1) - width * height
                        return union > 0 && width * height / union > attributes.overlapThreshold
                    }
                    if !overlaps { chosen.append(candidate) }
                }
                for index in chosen { rows += [Int64(n), Int64(c), Int64(index)] }
            }
        }
        return Tensor([rows.count / 3, 3], rows)
    }
}
