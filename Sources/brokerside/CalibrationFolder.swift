// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelGraph
import Tensors
import Vision

/// Example inputs for quantization: the `.npy` and JPEG files of a folder, in the order of their names.
///
/// A `.npy` file is the network's only input as it takes it; a JPEG goes the way of a frame. A network that takes several
/// at a time gets one as often.
struct CalibrationFolder {
    /// More give nothing but time.
    static let maximumInputs = 200

    struct Example {
        var file: String
        var inputs: [String: Tensor]
        var isPicture: Bool
    }

    let path: String

    func examples(for model: Model) throws -> [Example] {
        guard model.graph.inputs.count == 1, let id = model.graph.inputs.first else {
            throw Failure(
                "calibration from a folder is for networks with one input; this one has \(model.graph.inputs.count)")
        }
        let input = model.graph[id]
        let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        var result: [Example] = []
        let decoder = JPEGDecoder()
        for name in names where result.count < Self.maximumInputs {
            let file = "\(path)/\(name)"
            switch (name as NSString).pathExtension.lowercased() {
            case "npy":
                let tensor = try repeated(NumPyFile.read(file), input.shape)
                guard tensor.type == input.type, tensor.shape == input.shape else {
                    throw Failure("\(file) is \(tensor.type) \(tensor.shape), the input \(input.type) \(input.shape)")
                }
                result.append(Example(file: file, inputs: [input.name: tensor], isPicture: false))
            case "jpg", "jpeg":
                guard let preprocessing = model.preprocessing[input.name] else {
                    throw Failure(
                        "how frames become \(input.name) is not known; say it with --channels, --fit, --mean, --scale")
                }
                do {
                    let tensor = repeated(try frame(file, input, preprocessing, decoder), input.shape)
                    result.append(Example(file: file, inputs: [input.name: tensor], isPicture: true))
                } catch {
                    FileHandle.standardError.write(Data("\(file) is left out: \(error)\n".utf8))
                }
            default: continue
            }
        }
        guard !result.isEmpty else { throw Failure("\(path) holds no usable .npy or JPEG files") }
        return result
    }

    /// An example of a part of a batch, as often as the network takes it at a time.
    private func repeated(_ tensor: Tensor, _ shape: Shape) -> Tensor {
        let own = tensor.shape.dimensions
        guard let first = own.first, let extent = shape.dimensions.first, first > 0, extent > first,
            extent % first == 0, own.dropFirst() == shape.dimensions.dropFirst()
        else { return tensor }
        let result = Tensor(tensor.type, shape)
        let size = tensor.count * tensor.type.sizeBytes
        let bytes = UnsafeRawBufferPointer(rebasing: tensor.buffer.bytes[..<size])
        for part in 0..<(extent / first) {
            UnsafeMutableRawBufferPointer(rebasing: result.buffer.bytes[(part * size)...]).copyMemory(from: bytes)
        }
        return result
    }

    /// A picture as the network's input [1, C, H, W] of float32: (pixel - mean) * scale per channel.
    private func frame(
        _ file: String, _ value: Value, _ preprocessing: ImagePreprocessing, _ decoder: JPEGDecoder
    ) throws -> Tensor {
        let (channels, height, width) = (value.shape[1], value.shape[2], value.shape[3])
        let input = ImageInput(width: width, height: height, preprocessing: preprocessing)
        var pixels = [UInt8](repeating: 0, count: channels * height * width)
        let data = try Data(contentsOf: URL(fileURLWithPath: file))
        try data.withUnsafeBytes { bytes in
            let frame = try decoder.decode(bytes, for: input)
            var resampler = Resampler()
            pixels.withUnsafeMutableBufferPointer { target in
                guard let base = target.baseAddress else { return }
                _ = resampler.resample(
                    frame, into: base, pixelStride: channels, rowStride: width * channels, input: input)
            }
        }
        let tensor = Tensor(.float32, [1, channels, height, width])
        let output = tensor.mutableElements(as: Float.self)
        for channel in 0..<channels {
            let (mean, scale) = (preprocessing.mean[channel], preprocessing.scale[channel])
            for index in 0..<(height * width) {
                output[channel * height * width + index] = (Float(pixels[index * channels + channel]) - mean) * scale
            }
        }
        return tensor
    }
}
