// SPDX-License-Identifier: Apache-2.0

import Anomaly
import Inference
import ModelGraph
import Tensors

/// A network that takes windows of series, for the method `network`: compiled once, its weights shared.
///
/// It has one input and one output that counts (the first), both of 32-bit floats. With C series, extents of 1 left out, the
/// input is N x C, C x N, or N times C in a row; N is what that leaves. An output of as many elements is the window again
/// (an autoencoder); one of C, or a multiple of it, is what comes next.
struct SeriesNetwork: Sendable {
    let modelName: String
    /// SHA-256 of the file, hexadecimal.
    let digest: String
    let form: WindowForm
    let outputCount: Int
    private let compiled: CompiledModel

    enum Fault: Error, CustomStringConvertible {
        case inputs(Int)
        case type(name: String, ElementType)
        case input(Shape, seriesCount: Int)
        case output(Shape, window: Int, seriesCount: Int)

        var description: String {
            switch self {
            case .inputs(let count): "a network for series has one input, this one has \(count)"
            case .type(let name, let type):
                "'\(name)' is \(type); a network for series has inputs and outputs of float32"
            case .input(let shape, let count):
                "the input is \(shape): no window of \(count) series, which is N x \(count) or \(count) x N"
            case .output(let shape, let window, let count):
                "the output is \(shape): neither the window again (\(window) values) nor the next values of \(count) series"
            }
        }
    }

    init(_ section: Configuration.ModelSection, seriesCount: Int, normalization: WindowForm.Normalization) throws {
        let model = try ModelLoader.load(path: section.file, shapes: section.shapes)
        compiled = try CompiledModel(model)
        guard compiled.inputs.count == 1, let input = compiled.inputs.first, let output = compiled.outputs.first else {
            throw Fault.inputs(compiled.inputs.count)
        }
        for port in [input, output] where port.type != .float32 { throw Fault.type(name: port.name, port.type) }
        var form = try SeriesNetwork.form(input: input.shape, output: output.shape, seriesCount: seriesCount)
        form.normalization = normalization
        self.form = form
        outputCount = output.shape.count
        modelName = model.name
        digest = try ModelLoader.digest(path: section.file)
    }

    static func form(input: Shape, output: Shape, seriesCount: Int) throws -> WindowForm {
        let extents = input.dimensions.filter { $0 != 1 }
        let isWindow = extents.count <= 1 || (extents.count == 2 && (extents.contains(seriesCount) || seriesCount == 1))
        guard isWindow, input.count > 0, input.count % seriesCount == 0, extents.count < 2 || seriesCount > 1 else {
            throw Fault.input(input, seriesCount: seriesCount)
        }
        let length = input.count / seriesCount
        let isSeriesMajor = extents.count == 2 && extents[0] == seriesCount && extents[1] != seriesCount
        let target: WindowForm.Target
        if output.count == input.count, length > 1 {
            target = .window
        } else if output.count > 0, output.count % seriesCount == 0 {
            target = .next
        } else {
            throw Fault.output(output, window: input.count, seriesCount: seriesCount)
        }
        return WindowForm(seriesCount: seriesCount, length: length, isSeriesMajor: isSeriesMajor, target: target)
    }

    func makeRunner() -> Runner { Runner(compiled.makeSession()) }

    /// Memory to run the network in.
    ///
    /// `@unchecked Sendable`: belongs to the state of one pipeline, which one batch works on at a time, under its lock.
    final class Runner: @unchecked Sendable {
        private let session: Session

        fileprivate init(_ session: Session) { self.session = session }

        /// False if the network refuses to run.
        func run(_ input: UnsafeBufferPointer<Float>, _ output: UnsafeMutableBufferPointer<Float>) -> Bool {
            session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(input))
            guard (try? session.run()) != nil else { return false }
            let result = session.output(0)
            for index in output.indices { output[index] = result[index] }
            return true
        }
    }
}
