// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import Inference
import ModelGraph
import ONNX
import TFLite
import Tensors
import Testing

/// Readers of files get damaged ones: they may refuse them with one of their errors, and do nothing else.
///
/// The tests run for a moment. `BROKERSIDE_FUZZ_SECONDS` lets them run longer, `BROKERSIDE_FUZZ_SEED` makes other files,
/// `BROKERSIDE_FUZZ_INPUT` names a file that always holds the input that is being read, for when the process dies of it.
@Suite(.serialized) struct ReaderFuzzTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seconds = environment["BROKERSIDE_FUZZ_SECONDS"].flatMap { Double($0) } ?? 0.7
    private static let seed = environment["BROKERSIDE_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    /// Networks that take more memory than this are read but not run.
    private static let maximumBytes = 16 << 20

    /// Calls `body` with file after file.
    private func fuzz(
        _ seeds: [[UInt8]], _ make: (inout Mutator, [UInt8], [UInt8]) -> [UInt8], _ body: ([UInt8]) throws -> Void
    )
        rethrows
    {
        let end = ContinuousClock.now + .seconds(Self.seconds)
        var count: UInt64 = 0
        while ContinuousClock.now < end {
            var mutator = Mutator(seed: Self.seed &* 1_000_000_007 &+ count)
            let input = make(&mutator, seeds[mutator.below(seeds.count)], seeds[mutator.below(seeds.count)])
            if let path = Self.environment["BROKERSIDE_FUZZ_INPUT"] {
                try? Data(input).write(to: URL(fileURLWithPath: path))
            }
            try body(input)
            count += 1
        }
        print("\(count) files")
        #expect(count > 0)
    }

    /// Memory that ends where the file ends, so that the address sanitizer sees who reads on.
    private final class Owner {
        let bytes: UnsafeMutableRawBufferPointer
        init(_ values: [UInt8]) {
            bytes = .allocate(byteCount: values.count, alignment: 64)
            bytes.copyBytes(from: values)
        }
        deinit { bytes.deallocate() }
    }

    private func read(_ file: [UInt8]) throws {
        let owner = Owner(file)
        do {
            let model = try ModelFile.decode(UnsafeRawBufferPointer(owner.bytes), owner: owner).model
            try run(model)
        } catch is ModelFile.Fault {} catch is GraphError {}
    }

    private func run(_ model: Model) throws {
        let bytes = model.graph.values.reduce(0) { $0 + $1.shape.count * $1.type.sizeBytes }
        guard bytes <= Self.maximumBytes else { return }
        let products = model.graph.nodes.count * bytes
        guard products <= Self.maximumBytes << 6 else { return }
        try CompiledModel(model).makeSession().run()
    }

    /// With a digest that fits.
    private func signed(_ file: [UInt8]) -> [UInt8] {
        guard file.count >= 64 else { return file }
        var result = file
        result.replaceSubrange(16..<24, with: withUnsafeBytes(of: UInt64(file.count).littleEndian) { Array($0) })
        let digest = SHA256.hash(data: result[..<32] + result[64...])
        result.replaceSubrange(32..<64, with: Array(digest))
        return result
    }

    @Test func damagedModelFilesAreRefusedOrRead() throws {
        // With the manifest as text and compressed.
        let seeds = try Seeds.models().flatMap { model in
            [Array(try ModelFile.encode(model, version: 1).data), Array(try ModelFile.encode(model).data)]
        }
        try fuzz(seeds) { mutator, file, other in
            switch mutator.below(4) {
            case 0: return mutator.mutated(file, other: other)
            case 1: return signed(mutator.mutated(file, other: other))
            default:
                // Only the manifest, at its length.
                let size = Int(file[24]) | Int(file[25]) << 8 | Int(file[26]) << 16
                let manifest = mutator.mutatedText(Array(file[64..<(64 + size)]))
                var result = Array(file[..<64]) + manifest
                result.replaceSubrange(
                    24..<32, with: withUnsafeBytes(of: UInt64(manifest.count).littleEndian) { Array($0) })
                result += [UInt8](repeating: 0, count: (64 - result.count % 64) % 64)
                return signed(result + file[((64 + size + 63) / 64 * 64)...])
            }
        } _: {
            try read($0)
        }
    }

    @Test func damagedONNXFilesAreRefusedOrRead() throws {
        try fuzz(try Seeds.onnx()) { mutator, file, other in
            mutator.mutated(file, other: other)
        } _: {
            do {
                let model = try ONNXFile(Data($0), name: "fuzz").model()
                try run(model)
            } catch is ImportError {} catch is GraphError {}
        }
    }

    @Test func damagedTFLiteFilesAreRefusedOrRead() throws {
        try fuzz(Seeds.tflite()) { mutator, file, other in
            mutator.mutated(file, other: other)
        } _: {
            do { try run(try TFLiteFile(Data($0), name: "fuzz").model()) } catch is ImportError {} catch is GraphError {
            }
        }
    }

    @Test func seedsAreRead() throws {
        for model in try Seeds.models() { try read(Array(try ModelFile.encode(model).data)) }
        for file in try Seeds.onnx() { _ = try ONNXFile(Data(file), name: "seed").model() }
        for file in Seeds.tflite() { _ = try TFLiteFile(Data(file), name: "seed").model() }
    }
}
