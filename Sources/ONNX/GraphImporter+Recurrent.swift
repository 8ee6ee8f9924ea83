// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension GraphImporter {
    mutating func addRecurrent(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        let cell: Recurrent.Cell = kind == .lstm ? .lstm : kind == .gru ? .gru : .rnn
        let direction = try node.word("direction", default: Recurrent.Direction.forward)
        let directions = direction == .bidirectional ? 2 : 1
        guard shape(try node.input(2)).rank == 3 else { throw Unsupported("the recurrence must have three axes") }
        let hidden = try node.int("hidden_size") ?? shape(node.input(2))[2]
        let recurrent = Recurrent(
            cell: cell, direction: direction, hiddenSize: hidden,
            functions: try functions(node, cell, directions: directions), clip: node.float("clip"),
            linearBeforeReset: node.flag("linear_before_reset"), couplesInputAndForget: node.flag("input_forget"),
            batchFirst: node.flag("layout"))
        return try add(node, .recurrent(recurrent), node.inputs)
    }

    private func functions(_ node: NodeReader, _ cell: Recurrent.Cell, directions: Int) throws -> [Recurrent.Function] {
        let defaults: [Recurrent.Function] =
            switch cell {
            case .lstm: [.sigmoid, .tanh, .tanh]
            case .gru: [.sigmoid, .tanh]
            case .rnn: [.tanh]
            }
        guard let names = node.strings("activations") else {
            return (0..<directions).flatMap { _ in defaults }
        }
        // Parameters are listed only for the functions that take them, in order.
        var alphas = (node.floats("activation_alpha") ?? [])[...]
        var betas = (node.floats("activation_beta") ?? [])[...]
        return try names.map { name in
            switch name.lowercased() {
            case "relu": return .relu
            case "tanh": return .tanh
            case "sigmoid": return .sigmoid
            case "softsign": return .softsign
            case "softplus": return .softplus
            case "affine": return .affine(alpha: alphas.popFirst() ?? 1, beta: betas.popFirst() ?? 0)
            case "leakyrelu": return .leakyRelu(alpha: alphas.popFirst() ?? 0.01)
            case "thresholdedrelu": return .thresholdedRelu(alpha: alphas.popFirst() ?? 1)
            case "scaledtanh": return .scaledTanh(alpha: alphas.popFirst() ?? 1, beta: betas.popFirst() ?? 1)
            case "hardsigmoid": return .hardSigmoid(alpha: alphas.popFirst() ?? 0.2, beta: betas.popFirst() ?? 0.5)
            case "elu": return .elu(alpha: alphas.popFirst() ?? 1)
            default: throw Unsupported("activation \(name)")
            }
        }
    }
}
