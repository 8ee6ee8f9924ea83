// SPDX-License-Identifier: Apache-2.0
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Foundation
#endif

extension Recurrent.Function {
    package func callAsFunction(_ x: Float) -> Float {
        switch self {
        case .relu: max(0, x)
        case .tanh: tanhf(x)
        case .sigmoid: Unary.sigmoid(x)
        case .softsign: x / (1 + abs(x))
        case .softplus: Unary.softplus(x)
        case .affine(let alpha, let beta): alpha * x + beta
        case .leakyRelu(let alpha): x < 0 ? alpha * x : x
        case .thresholdedRelu(let alpha): x > alpha ? x : 0
        case .scaledTanh(let alpha, let beta): alpha * tanhf(beta * x)
        case .hardSigmoid(let alpha, let beta): max(0, min(1, alpha * x + beta))
        case .elu(let alpha): x < 0 ? alpha * expm1f(x) : x
        }
    }
}

extension ReferenceEvaluator {
    /// LSTM, GRU or RNN as ONNX defines them; inputs and outputs stand at `Operator.recurrent`.
    static func recurrent(_ attributes: Recurrent, _ inputs: [Tensor?], _ types: [TensorType]) throws -> [Tensor] {
        var inputs = inputs + [Tensor?](repeating: nil, count: 8 - inputs.count)
        func turned(_ x: Tensor?, _ permutation: [Int]) throws -> Tensor? {
            try x.map { try evaluate(.transpose(permutation: permutation), [$0])[0] }
        }
        if attributes.batchFirst {
            for index in [0, 5, 6] { inputs[index] = try turned(inputs[index], [1, 0, 2]) }
        }
        guard let x = inputs[0], let weights = inputs[1], let recurrence = inputs[2] else { return [] }
        let (steps, batch, hidden) = (x.shape[0], x.shape[1], attributes.hiddenSize)
        let lengths = try (inputs[4]?.integers ?? [Int](repeating: steps, count: batch)).map { length in
            guard length >= 0 && length <= steps else {
                throw GraphError.indexOutOfRange(operation: "recurrent", index: length, extent: steps)
            }
            return length
        }
        let y = Tensor(.float32, [steps, attributes.directions, batch, hidden])
        let lastH = Tensor(.float32, [attributes.directions, batch, hidden])
        let lastC = Tensor(.float32, [attributes.directions, batch, hidden])
        for direction in 0..<attributes.directions {
            let reversed = attributes.direction == .reverse || direction == 1
            var cell = RecurrentCell(
                attributes, direction: direction, weights: weights, recurrence: recurrence, bias: inputs[3],
                peepholes: inputs[7])
            for n in 0..<batch {
                let state = (direction * batch + n) * hidden
                cell.reset(h: inputs[5].map { $0.floats + state }, c: inputs[6].map { $0.floats + state })
                for step in 0..<lengths[n] {
                    let t = reversed ? lengths[n] - 1 - step : step
                    cell.advance(x.floats + (t * batch + n) * x.shape[2])
                    let row = y.floats + ((t * attributes.directions + direction) * batch + n) * hidden
                    for i in 0..<hidden { row[i] = cell.h[i] }
                }
                for i in 0..<hidden {
                    lastH.floats[state + i] = cell.h[i]
                    lastC.floats[state + i] = cell.c[i]
                }
            }
        }
        var results = [y, lastH]
        if attributes.cell == .lstm { results.append(lastC) }
        guard attributes.batchFirst else { return results }
        return [try evaluate(.transpose(permutation: [2, 0, 1, 3]), [y])[0]]
            + (try results.dropFirst().map { try evaluate(.transpose(permutation: [1, 0, 2]), [$0])[0] })
    }
}

/// One direction of a recurrent layer with its state, for one sequence.
private struct RecurrentCell {
    let attributes: Recurrent
    let functions: [Recurrent.Function]
    let inputSize: Int
    let weights: UnsafePointer<Float>
    let recurrence: UnsafePointer<Float>
    let bias: UnsafePointer<Float>?
    let peepholes: UnsafePointer<Float>?
    var h: [Float]
    var c: [Float]

    init(
        _ attributes: Recurrent, direction: Int, weights: Tensor, recurrence: Tensor, bias: Tensor?, peepholes: Tensor?
    ) {
        self.attributes = attributes
        let (hidden, rows) = (attributes.hiddenSize, attributes.hiddenSize * attributes.cell.gates)
        let perDirection = attributes.functions.count / attributes.directions
        functions = Array(attributes.functions[(direction * perDirection)..<((direction + 1) * perDirection)])
        inputSize = weights.shape[2]
        self.weights = UnsafePointer(weights.floats + direction * rows * inputSize)
        self.recurrence = UnsafePointer(recurrence.floats + direction * rows * hidden)
        self.bias = bias.map { UnsafePointer($0.floats + direction * 2 * rows) }
        self.peepholes = peepholes.map { UnsafePointer($0.floats + direction * 3 * hidden) }
        h = [Float](repeating: 0, count: hidden)
        c = h
    }

    mutating func reset(h start: UnsafeMutablePointer<Float>?, c startC: UnsafeMutablePointer<Float>?) {
        for i in h.indices {
            h[i] = start?[i] ?? 0
            c[i] = startC?[i] ?? 0
        }
    }

    private func clipped(_ x: Float) -> Float { attributes.clip.map { min(max(x, -$0), $0) } ?? x }

    /// weights[row] · x + the input bias
    private func input(_ row: Int, _ x: UnsafePointer<Float>) -> Float {
        var sum = bias?[row] ?? 0
        for i in 0..<inputSize { sum += weights[row * inputSize + i] * x[i] }
        return sum
    }

    /// recurrence[row] · state + the recurrent bias
    private func recurrent(_ row: Int, _ state: [Float]) -> Float {
        var sum = bias?[attributes.cell.gates * attributes.hiddenSize + row] ?? 0
        for i in state.indices { sum += recurrence[row * state.count + i] * state[i] }
        return sum
    }

    mutating func advance(_ x: UnsafePointer<Float>) {
        let size = attributes.hiddenSize
        switch attributes.cell {
        case .rnn: h = (0..<size).map { functions[0](clipped(input($0, x) + recurrent($0, h))) }
        case .gru:
            let update = (0..<size).map { functions[0](clipped(input($0, x) + recurrent($0, h))) }
            let reset = (0..<size).map { functions[0](clipped(input(size + $0, x) + recurrent(size + $0, h))) }
            let gated = zip(reset, h).map { $0 * $1 }
            let candidate = (0..<size).map { i in
                let row = 2 * size + i
                let past = attributes.linearBeforeReset ? reset[i] * recurrent(row, h) : recurrent(row, gated)
                return functions[1](clipped(input(row, x) + past))
            }
            h = (0..<size).map { (1 - update[$0]) * candidate[$0] + update[$0] * h[$0] }
        case .lstm:
            // Gates in the order i, o, f, c; peepholes in the order i, o, f.
            func gate(_ index: Int, _ i: Int) -> Float { input(index * size + i, x) + recurrent(index * size + i, h) }
            func peephole(_ index: Int, _ i: Int, _ state: Float) -> Float {
                peepholes.map { $0[index * size + i] * state } ?? 0
            }
            var (nextH, nextC) = (h, c)
            for i in 0..<size {
                let inputGate = functions[0](clipped(gate(0, i) + peephole(0, i, c[i])))
                let forget =
                    attributes.couplesInputAndForget
                    ? 1 - inputGate : functions[0](clipped(gate(2, i) + peephole(2, i, c[i])))
                nextC[i] = forget * c[i] + inputGate * functions[1](clipped(gate(3, i)))
                let outputGate = functions[0](clipped(gate(1, i) + peephole(1, i, nextC[i])))
                nextH[i] = outputGate * functions[2](nextC[i])
            }
            (h, c) = (nextH, nextC)
        }
    }
}
