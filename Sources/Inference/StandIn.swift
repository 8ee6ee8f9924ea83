// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

package final class CompiledModel: Sendable {
    package struct Image: Sendable { package var width: Int; package var height: Int; package var preprocessing: ImagePreprocessing }
    let evaluator: ReferenceEvaluator
    let model: Model
    package let outputs: [(name: String, shape: Shape)]
    package let imageInput: Image?
    let inputName: String
    package init(_ model: Model, batch: Int) throws {
        evaluator = try ReferenceEvaluator(model.graph)
        self.model = model
        outputs = model.graph.outputs.map { (model.graph[$0].name, model.graph[$0].shape) }
        if let id = model.graph.inputs.first(where: { model.preprocessing[model.graph[$0].name] != nil }), let p = model.preprocessing[model.graph[id].name] {
            let shape = model.graph[id].shape
            imageInput = Image(width: shape[3], height: shape[2], preprocessing: p)
            inputName = model.graph[id].name
        } else { imageInput = nil; inputName = "" }
    }
    package func makeSession() -> Session { Session(self) }
}

package final class Session {
    let compiled: CompiledModel
    let pixelBytes: Buffer
    var results: [Tensor] = []
    init(_ compiled: CompiledModel) {
        self.compiled = compiled
        pixelBytes = Buffer(byteCount: (compiled.imageInput.map { $0.width * $0.height * 4 } ?? 0))
    }
    package var outputCount: Int { compiled.outputs.count }
    package func pixels(_ slot: Int) -> (base: UnsafeMutablePointer<UInt8>, pixelStride: Int, rowStride: Int) {
        (pixelBytes.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), 3, 3 * compiled.imageInput!.width)
    }
    package func run(batch: Int) throws {
        let image = compiled.imageInput!
        let (w, h) = (image.width, image.height)
        let t = Tensor(.float32, [1, 3, h, w])
        let out = t.mutableElements(as: Float.self)
        for c in 0..<3 { for i in 0..<w * h { out[c * w * h + i] = (Float(pixelBytes.bytes[i * 3 + c]) - image.preprocessing.mean[c]) * image.preprocessing.scale[c] } }
        let r = try compiled.evaluator.run([compiled.inputName: t])
        results = compiled.outputs.map { r[$0.name]! }
    }
    package func output(_ index: Int) -> UnsafeBufferPointer<Float> { results[index].elements(as: Float.self) }
}
