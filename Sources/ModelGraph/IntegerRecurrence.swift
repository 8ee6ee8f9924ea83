// SPDX-License-Identifier: Apache-2.0
import Tensors

/// One direction of an LSTM or GRU in integers: x and h as uint8, weights int8 with a scale per row, gates in float32.
///
/// What goes into a gate is p = fma(sum of recurrence * h, multiplier, fma(sum of weight * x, multiplier, bias)), times
/// -log2(e) for a gate with sigmoid and -2 log2(e) for one with tanh, so that with E = 2^p (`ExactMath.powerOfTwo`)
/// sigmoid = 1 / (1 + E) and tanh = (1 - E) / (1 + E). Quotients are joined:
///
///     LSTM: a = (1 + Ei) * (1 + Ec), d = 1 + Ef, c = fma(c, a, (1 - Ec) * d) / (a * d)
///           E = 2^(c * -2 log2(e)), h = (1 - E) / ((1 + Eo) * (1 + E))
///     GRU:  n = fma(1 / (1 + Er), recurrent part, input part), E = 2^n, b = 1 + E
///           h = fma(h, b, (1 - E) * Ez) / ((1 + Ez) * b)
///
/// h is carried on in float32; products read it as `Recurrent.state` stores it.
package struct IntegerRecurrence: Sendable {
    package let attributes: Recurrent
    package let input: IntegerMatrix
    package let recurrence: IntegerMatrix
    /// Per gate and unit, with the factors above. Of a GRU's last gate `biases` goes to the input's part and
    /// `recurrentBiases` (of that gate alone) to the other.
    package let inputMultipliers: [Float]
    package let recurrenceMultipliers: [Float]
    package let biases: [Float]
    package let recurrentBiases: [Float]
    package let inverseScale: Float
    package let zeroPoint: Float
    /// Whether y is stored as the state is; float otherwise.
    package let storesIntegers: Bool

    private static let log2e: Float = 1.44269504

    /// Nil if the node is not of this form.
    ///
    /// - Parameter constants: the node's inputs as far as they are known.
    package init?(_ node: Node, _ attributes: Recurrent, in graph: Graph, constants: [Tensor?]) {
        func id(_ index: Int) -> ValueID? { index < node.inputs.count ? node.inputs[index] : nil }
        guard attributes.isPlain, attributes.directions == 1, let state = attributes.state, let x = id(0),
            let weightID = id(1),
            let recurrenceID = id(2), let weight = constants[1], let recurrent = constants[2], id(4) == nil,
            id(7) == nil,
            attributes.cell == .lstm || (attributes.cell == .gru && attributes.linearBeforeReset),
            let input = IntegerMatrix(graph[x], weight, graph[weightID], rowAxis: 1),
            let recurrence = IntegerMatrix(
                Value(name: "", type: .uint8, shape: [], quantization: state), recurrent, graph[recurrenceID],
                rowAxis: 1)
        else { return nil }
        let y = node.outputs[0].map { graph[$0] }
        if let quantization = y?.quantization {
            guard y?.type == .uint8, quantization == state else { return nil }
        }
        for case let output? in node.outputs.dropFirst() where graph[output].quantization != nil { return nil }
        for case let initial? in [id(5), id(6)] where graph[initial].quantization != nil { return nil }
        let rows = input.rows
        var bias = [Float](repeating: 0, count: 2 * rows)
        if let biasID = id(3) {
            guard let tensor = graph.constants[biasID], let values = graph[biasID].realNumbers(tensor) else {
                return nil
            }
            bias = values
        }
        self.attributes = attributes
        self.input = input
        self.recurrence = recurrence
        let hidden = attributes.hiddenSize
        let candidate = attributes.cell == .lstm ? 3 : 2
        let factors = (0..<rows).map { $0 / hidden == candidate ? -2 * Self.log2e : -Self.log2e }
        inputMultipliers = zip(input.multipliers, factors).map(*)
        recurrenceMultipliers = zip(recurrence.multipliers, factors).map(*)
        let splits = attributes.cell == .gru
        biases = (0..<rows).map { row in
            (splits && row / hidden == candidate ? bias[row] : bias[row] + bias[rows + row]) * factors[row]
        }
        recurrentBiases =
            splits ? (0..<hidden).map { bias[rows + candidate * hidden + $0] * (-2 * Self.log2e) } : []
        inverseScale = 1 / state.scales[0]
        zeroPoint = Float(state.zeroPoints[0])
        storesIntegers = y?.quantization != nil
    }

    /// y, last h and for an LSTM last cell.
    func run(_ inputs: [Tensor?]) -> [Tensor]? {
        guard let x = inputs[0] else { return nil }
        let (batchFirst, hidden, size) = (attributes.batchFirst, attributes.hiddenSize, x.shape[2])
        let (steps, batch) = (x.shape[batchFirst ? 1 : 0], x.shape[batchFirst ? 0 : 1])
        let y = Tensor(
            storesIntegers ? .uint8 : .float32, batchFirst ? [batch, steps, 1, hidden] : [steps, 1, batch, hidden])
        let states: Shape = batchFirst ? [batch, 1, hidden] : [1, batch, hidden]
        let (lastH, lastC) = (Tensor(.float32, states), Tensor(.float32, states))
        for n in 0..<batch {
            func initial(_ index: Int) -> [Float] {
                guard index < inputs.count, let tensor = inputs[index] else {
                    return [Float](repeating: 0, count: hidden)
                }
                return Array(tensor.array(of: Float.self)[(n * hidden)..<((n + 1) * hidden)])
            }
            var (h, c) = (initial(5), initial(6))
            for step in 0..<steps {
                let t = attributes.direction == .reverse ? steps - 1 - step : step
                let row = batchFirst ? n * steps + t : t * batch + n
                let values = Array(x.array(of: UInt8.self)[(row * size)..<((row + 1) * size)])
                (h, c) = advanced(values, h, c)
                for unit in 0..<hidden {
                    if storesIntegers {
                        y.base(UInt8.self)[row * hidden + unit] = ExactMath.stored(h[unit], inverseScale, zeroPoint)
                    } else {
                        y.floats[row * hidden + unit] = h[unit]
                    }
                }
            }
            for unit in 0..<hidden {
                lastH.floats[n * hidden + unit] = h[unit]
                lastC.floats[n * hidden + unit] = c[unit]
            }
        }
        return attributes.cell == .lstm ? [y, lastH, lastC] : [y, lastH]
    }

    private func advanced(_ x: [UInt8], _ h: [Float], _ c: [Float]) -> (h: [Float], c: [Float]) {
        let state = h.map { ExactMath.stored($0, inverseScale, zeroPoint) }
        let hidden = attributes.hiddenSize
        func inputPart(_ row: Int) -> Float {
            biases[row].addingProduct(Float(input.sum(row, x)), inputMultipliers[row])
        }
        func recurrentPart(_ row: Int, _ start: Float) -> Float {
            start.addingProduct(Float(recurrence.sum(row, state)), recurrenceMultipliers[row])
        }
        func gate(_ index: Int, _ unit: Int) -> Float {
            ExactMath.powerOfTwo(recurrentPart(index * hidden + unit, inputPart(index * hidden + unit)))
        }
        var (nextH, nextC) = (h, c)
        for unit in 0..<hidden {
            if attributes.cell == .lstm {
                let (input, output, forget, candidate) = (gate(0, unit), gate(1, unit), gate(2, unit), gate(3, unit))
                let a = (1 + input) * (1 + candidate)
                let d = 1 + forget
                let cell = ((1 - candidate) * d).addingProduct(c[unit], a) / (a * d)
                let e = ExactMath.powerOfTwo(cell * (-2 * Self.log2e))
                nextC[unit] = cell
                nextH[unit] = (1 - e) / ((1 + output) * (1 + e))
            } else {
                let row = 2 * hidden + unit
                let (update, reset) = (gate(0, unit), gate(1, unit))
                let n = inputPart(row).addingProduct(1 / (1 + reset), recurrentPart(row, recurrentBiases[unit]))
                let e = ExactMath.powerOfTwo(n)
                let b = 1 + e
                nextH[unit] = ((1 - e) * update).addingProduct(h[unit], b) / ((1 + update) * b)
            }
        }
        return (nextH, nextC)
    }
}

extension Recurrent {
    /// Whether it has the usual functions (sigmoid for gates, tanh for the rest), no limit and no coupled gates.
    package var isPlain: Bool {
        let usual: [Function] = cell == .lstm ? [.sigmoid, .tanh, .tanh] : [.sigmoid, .tanh]
        return cell != .rnn && clip == nil && !couplesInputAndForget
            && functions == (0..<directions).flatMap { _ in usual }
    }
}
