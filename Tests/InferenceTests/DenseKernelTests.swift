// SPDX-License-Identifier: Apache-2.0
import CKernels
import Testing

/// One implementation of the fully connected and recurrent kernels. `@unchecked Sendable`: a constant of the program.
struct DenseKernels: @unchecked Sendable, CustomTestStringConvertible {
    let table: UnsafePointer<int8_dense_kernels>
    var testDescription: String { String(cString: table.pointee.name) }

    static let all = (0..<8).compactMap { int8_dense_kernels_available(Int32($0)).map(DenseKernels.init) }
    static var scalar: DenseKernels { all[all.count - 1] }
}

/// Every fully connected and recurrent int8 kernel of every instruction set of this machine against the scalar one: the
/// same bytes.
@Suite struct DenseKernelTests {
    /// What weights may be, so that so many products fit an int16 lane.
    static let bounds = [2: 32, 1: 64, 0: 127]

    /// Weights at the ends of what the lanes allow, or anywhere within.
    static func weights(_ count: Int, products: Int, isExtreme: Bool, _ numbers: inout KernelNumbers) -> [Int8] {
        let bound = bounds[products] ?? 127
        return (0..<count).map { _ in
            isExtreme
                ? (Bool.random(using: &numbers) ? Int8(bound) : Int8(-bound))
                : Int8.random(in: Int8(-bound)...Int8(bound), using: &numbers)
        }
    }

    static func activations(_ count: Int, isExtreme: Bool, _ numbers: inout KernelNumbers) -> [UInt8] {
        isExtreme ? (0..<count).map { _ in Bool.random(using: &numbers) ? 255 : 0 } : numbers.bytes(count)
    }

    /// Packed weights that keep their memory.
    final class Matrix {
        var value = int8_matrix()
        private let memory: UnsafeMutableRawPointer

        init(_ weights: [Int8], rows: Int, steps: Int, tile: Int = 64, order: [Int32]? = nil, products: Int) {
            let packedRows = order?.count ?? rows
            let size = int8_matrix_bytes(packedRows, steps, tile)
            memory = .allocate(byteCount: size, alignment: 64)
            let zeroPoints = (0..<steps).map { UInt8($0 * 37 % 256) }
            int8_matrix_pack(weights, steps, 1, zeroPoints, order, packedRows, steps, tile, memory)
            value.packed = UnsafeRawPointer(memory)
            value.rows = packedRows
            value.steps = steps
            value.tile = tile
            value.lane_products = Int32(products)
        }

        deinit { memory.deallocate() }
    }

    private func dense(
        _ kernels: DenseKernels, rows: Int, steps: Int, count: Int, products: Int, isFloat: Bool, isExtreme: Bool,
        activation: float_activation
    ) -> [UInt8] {
        var numbers = KernelNumbers(seed: UInt64(rows * 1000 + steps * 10 + count))
        let weights = Self.weights(rows * steps, products: products, isExtreme: isExtreme, &numbers)
        let matrix = Matrix(weights, rows: rows, steps: steps, products: products)
        let x = Self.activations((count - 1) * (steps + 3) + steps + 64, isExtreme: isExtreme, &numbers)
        let multiplier = numbers.floats(rows, in: 1e-6...2e-4)
        let bias = numbers.floats(rows, in: -1...1)
        let inverse = [Float](repeating: 40, count: rows)
        let zero = [Float](repeating: 100, count: rows)
        var y = [UInt8](repeating: 9, count: count * (rows + 2) * (isFloat ? 4 : 1))
        withExtendedLifetime(matrix) {
            multiplier.withUnsafeBufferPointer { multiplier in
                bias.withUnsafeBufferPointer { bias in
                    inverse.withUnsafeBufferPointer { inverse in
                        zero.withUnsafeBufferPointer { zero in
                            var job = int8_dense()
                            job.weights = matrix.value
                            job.x_pitch = steps + 3
                            job.y_pitch = rows + 2
                            job.epilogue.multiplier = multiplier.baseAddress
                            job.epilogue.bias = bias.baseAddress
                            job.epilogue.activation = float_epilogue(
                                activation: activation, low: activation == float_clamp ? -0.5 : 0.2, high: 0.5)
                            job.epilogue.inverse_scale = isFloat ? nil : inverse.baseAddress
                            job.epilogue.zero = isFloat ? nil : zero.baseAddress
                            // In two parts, as threads would do it.
                            let middle = rows / 2 / 64 * 64
                            kernels.table.pointee.dense(&job, x, &y, count, 0, middle)
                            kernels.table.pointee.dense(&job, x, &y, count, middle, rows)
                        }
                    }
                }
            }
        }
        return y
    }

    @Test(arguments: DenseKernels.all, [0, 1, 2])
    func denseGivesTheSameBytesAsScalar(kernels: DenseKernels, products: Int) {
        for (rows, steps, count) in [
            (1, 1, 1), (7, 3, 2), (15, 8, 3), (16, 4, 4), (17, 9, 5), (33, 31, 6), (48, 12, 7), (63, 64, 1),
            (64, 65, 9),
            (65, 40, 4), (130, 17, 3),
        ] {
            for (isFloat, isExtreme) in [(false, false), (true, false), (true, true)] {
                func run(_ kernels: DenseKernels) -> [UInt8] {
                    dense(
                        kernels, rows: rows, steps: steps, count: count, products: products, isFloat: isFloat,
                        isExtreme: isExtreme, activation: float_clamp)
                }
                #expect(run(kernels) == run(.scalar), "\(rows) x \(steps), \(count) rows, float \(isFloat)")
            }
        }
    }

    @Test(arguments: DenseKernels.all)
    func activationsOfDenseLayersGiveTheSameBytes(kernels: DenseKernels) {
        for activation in [
            float_leaky_relu, float_sigmoid, float_silu, float_hard_sigmoid, float_hard_swish, float_tanh,
        ] {
            func run(_ kernels: DenseKernels) -> [UInt8] {
                dense(
                    kernels, rows: 40, steps: 33, count: 3, products: 2, isFloat: true, isExtreme: false,
                    activation: activation)
            }
            #expect(run(kernels) == run(.scalar), "activation \(activation.rawValue)")
        }
    }

    @Test func scalarDenseIsTheDefinition() {
        let (rows, steps) = (5, 11)
        var numbers = KernelNumbers(seed: 8)
        let weights = Self.weights(rows * steps, products: 0, isExtreme: false, &numbers)
        let x = numbers.bytes(steps + 64)
        let matrix = Matrix(weights, rows: rows, steps: steps, products: 0)
        let (ones, zeros) = ([Float](repeating: 1, count: rows), [Float](repeating: 0, count: rows))
        var y = [Float](repeating: 0, count: rows)
        withExtendedLifetime(matrix) {
            ones.withUnsafeBufferPointer { ones in
                zeros.withUnsafeBufferPointer { zeros in
                    var job = int8_dense()
                    job.weights = matrix.value
                    job.x_pitch = steps
                    job.y_pitch = rows
                    job.epilogue.multiplier = ones.baseAddress
                    job.epilogue.bias = zeros.baseAddress
                    job.epilogue.activation = plainEpilogue
                    DenseKernels.scalar.table.pointee.dense(&job, x, &y, 1, 0, rows)
                }
            }
        }
        for row in 0..<rows {
            let sum = (0..<steps).reduce(0) { $0 + (Int(x[$1]) - $1 * 37 % 256) * Int(weights[row * steps + $1]) }
            #expect(y[row] == Float(sum))
        }
    }

    @Test(arguments: DenseKernels.all)
    func quantizeRoundsHalvesToEvenAndSaturates(kernels: DenseKernels) {
        let x: [Float] = [0.5, 1.5, -0.5, 1e9, -1e9, .infinity, -.infinity, .nan, 12.4, -3, 0.25]
        for repeats in 1...4 {
            let many = (0..<repeats).flatMap { _ in x }
            var y = [UInt8](repeating: 0, count: many.count)
            kernels.table.pointee.quantize(1, 10, many, &y, many.count)
            #expect(y == (0..<repeats).flatMap { _ in [10, 12, 10, 255, 0, 255, 0, 10, 22, 7, 10] as [UInt8] })
        }
    }

    @Test func laneProductsAreTheMostThatCannotOverflow() {
        func products(_ weights: [Int8]) -> Int32 {
            int8_matrix_lane_products(weights, weights.count, 1, 1, weights.count)
        }
        #expect(products([64, 64, 127, 1, 0, 0, 0, 0]) == 2)
        #expect(products([64, 64, 0, 0, 1, 0, 0, 0]) == 1)
        #expect(products([0, 0, 0, 0, -65, -64, 0, 0]) == 0)
        #expect(products([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 127, 2]) == 0)
        #expect(products([64, 64, 0, 0, -64, -64, 0, 0]) == 2)
    }

    // MARK: Recurrent

    /// y, states and cells of one run over two sequences.
    private func recurrent(
        _ kernels: DenseKernels, isLSTM: Bool, inputs: Int, units: Int, products: Int, reversed: Bool, isFloat: Bool,
        isExtreme: Bool
    ) -> [[UInt8]] {
        let (length, batch, gates) = (5, 2, isLSTM ? 4 : 3)
        var numbers = KernelNumbers(seed: UInt64(inputs * 100 + units))
        let padded = (units + 15) / 16 * 16
        let order = (0..<(padded * gates)).map { row -> Int32 in
            let (block, gate, unit) = (row / (16 * gates), row / 16 % gates, row % 16)
            return block * 16 + unit < units ? Int32(gate * units + block * 16 + unit) : -1
        }
        func matrix(_ steps: Int) -> Matrix {
            let weights = Self.weights(units * gates * steps, products: products, isExtreme: isExtreme, &numbers)
            return Matrix(
                weights, rows: units * gates, steps: steps, tile: 16 * gates, order: order, products: products)
        }
        let (input, back) = (matrix(inputs), matrix(units))
        let x = Self.activations(length * batch * inputs + 64, isExtreme: isExtreme, &numbers)
        let multiplier = numbers.floats(padded * gates, in: -1e-3...1e-3)
        let bias = numbers.floats(padded * gates, in: -1...1)
        let start = numbers.floats(batch * units, in: -1...1)
        var state = [UInt8](repeating: 0, count: batch * 2 * padded + 64)
        var (hidden, cell) = (
            [Float](repeating: 0, count: batch * padded), [Float](repeating: 0, count: batch * padded)
        )
        var y = [UInt8](repeating: 5, count: length * batch * units)
        var real = [Float](repeating: 5, count: length * batch * units)
        withExtendedLifetime((input, back)) {
            multiplier.withUnsafeBufferPointer { multiplier in
                bias.withUnsafeBufferPointer { bias in
                    state.withUnsafeMutableBufferPointer { state in
                        hidden.withUnsafeMutableBufferPointer { hidden in
                            cell.withUnsafeMutableBufferPointer { cell in
                                y.withUnsafeMutableBufferPointer { y in
                                    real.withUnsafeMutableBufferPointer { real in
                                        var job = int8_recurrent()
                                        job.length = length
                                        job.batch = batch
                                        job.units = units
                                        job.reversed = reversed ? 1 : 0
                                        job.input = input.value
                                        job.recurrence = back.value
                                        job.input_multiplier = multiplier.baseAddress
                                        job.recurrence_multiplier = multiplier.baseAddress
                                        job.bias = bias.baseAddress
                                        job.recurrent_bias = bias.baseAddress
                                        job.inverse_scale = 100
                                        job.zero = 120
                                        job.x_step = batch * inputs
                                        job.x_sequence = inputs
                                        job.y_step = batch * units
                                        job.y_sequence = units
                                        job.state = state.baseAddress
                                        job.hidden = hidden.baseAddress
                                        job.cell = isLSTM ? cell.baseAddress : nil
                                        job.y = isFloat ? nil : y.baseAddress
                                        job.real_y = isFloat ? real.baseAddress : nil
                                        int8_recurrent_start(&job, start, isLSTM ? start : nil, units)
                                        let table = kernels.table.pointee
                                        if isLSTM { table.lstm(&job, x) } else { table.gru(&job, x) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        func bytes(_ values: [Float]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }
        let last = (0..<batch).flatMap { n in
            (0..<units).map { state[n * 2 * padded + length % 2 * padded + $0] }
        }
        // What stands in the place of units that do not exist is nobody's business.
        let cells = (0..<batch).flatMap { n in cell[(n * padded)..<(n * padded + units)] }
        return [y, bytes(real), last, bytes(cells)]
    }

    @Test(arguments: DenseKernels.all, [true, false])
    func recurrentLayersGiveTheSameBytesAsScalar(kernels: DenseKernels, isLSTM: Bool) {
        for (inputs, units) in [(1, 1), (3, 5), (8, 16), (9, 17), (16, 31), (20, 48), (33, 50)] {
            for (products, reversed, isFloat, isExtreme) in [
                (2, false, false, false), (1, true, true, false), (0, false, true, true), (2, false, true, true),
            ] {
                func run(_ kernels: DenseKernels) -> [[UInt8]] {
                    recurrent(
                        kernels, isLSTM: isLSTM, inputs: inputs, units: units, products: products, reversed: reversed,
                        isFloat: isFloat, isExtreme: isExtreme)
                }
                #expect(run(kernels) == run(.scalar), "\(inputs) inputs, \(units) units, \(products) products")
            }
        }
    }
}
