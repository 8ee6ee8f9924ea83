// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import ModelGraph
import Tensors
import Testing

@Suite struct ModelFileTests {
    @Test func whatIsWrittenIsRead() throws {
        let model = try smallModel()
        let (data, digest) = try ModelFile.encode(model)
        let read = try decode(data)
        #expect(read.digest == digest && digest.hasPrefix("sha256:") && digest.count == 71)
        #expect(read.model.graph.nodes == model.graph.nodes)
        #expect(read.model.graph.values.map(\.quantization) == model.graph.values.map(\.quantization))
        #expect(read.model.graph.values.map(\.shape) == model.graph.values.map(\.shape))
        #expect(read.model.preprocessing == model.preprocessing && read.model.interpretation == model.interpretation)
        #expect(read.model.labels == model.labels && read.model.quantization == model.quantization)
        for (id, tensor) in model.graph.constants {
            let copy = try #require(read.model.graph.constants[id])
            #expect(copy.type == tensor.type)
            #expect(copy.buffer.bytes.prefix(tensor.count).elementsEqual(tensor.buffer.bytes.prefix(tensor.count)))
        }
    }

    @Test func resultsAreTheSameAfterReading() throws {
        let model = try smallModel()
        let read = try decode(try ModelFile.encode(model).data).model
        let x = Tensor([1, 3, 8, 8], (0..<192).map { Float($0) * 0.01 })
        let results = try [model, read].map { try ReferenceEvaluator($0.graph).run(["image": x])["scores"] }
        #expect(results[0]?.array(of: Float.self) == results[1]?.array(of: Float.self))
    }

    @Test func bothVersionsHoldTheSameModel() throws {
        let (first, second) = (try ModelFile.encode(smallModel(), version: 1), try ModelFile.encode(smallModel()))
        #expect(second.data.count < first.data.count)
        let models = [try decode(first.data).model, try decode(second.data).model]
        #expect(models[0].graph.nodes == models[1].graph.nodes && models[0].graph.values == models[1].graph.values)
    }

    @Test func equalModelsGiveEqualBytes() throws {
        #expect(try ModelFile.encode(try smallModel()).data == ModelFile.encode(try smallModel()).data)
    }

    @Test func aMappedFileIsRead() throws {
        let path = NSTemporaryDirectory() + "/\(UUID().uuidString).bsm"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let digest = try ModelFile.write(try smallModel(), path)
        let contents = try ModelFile.contents(path)
        #expect(contents.digest == digest)
        let large = contents.model.graph.constants.values.map { UInt(bitPattern: $0.buffer.bytes.baseAddress) }
        #expect(large.allSatisfy { $0 % 8 == 0 })
    }

    @Test func everyTruncationIsRefused() throws {
        let data = try ModelFile.encode(try smallModel()).data
        for count in 0..<data.count {
            #expect(throws: ModelFile.Fault.self, "\(count) bytes") { try decode(data.prefix(count)) }
        }
    }

    @Test func everyAlteredByteIsRefused() throws {
        let data = try ModelFile.encode(try smallModel()).data
        for index in data.indices {
            var altered = data
            altered[index] ^= 0x40
            #expect(throws: ModelFile.Fault.self, "byte \(index)") { try decode(altered) }
        }
    }

    @Test func aNewerVersionIsNamed() throws {
        var data = try ModelFile.encode(try smallModel()).data
        data[8] = 3
        #expect(throws: ModelFile.Fault.newerVersion(3)) { try decode(data) }
    }

    /// Whoever makes a file with a fitting digest must not be able to stop the program either.
    @Test func alteredBytesUnderAFittingDigestNeverCrash() throws {
        for version: UInt32 in [1, 2] {
            let data = try ModelFile.encode(try smallModel(), version: version).data
            for index in 64..<data.count {
                for bits: UInt8 in [0x01, 0x10] {
                    var altered = data
                    altered[index] ^= bits
                    _ = try? decode(signed(altered))
                }
            }
        }
    }

    @Test(arguments: [
        ("\"at\":0", "\"at\":1"), ("\"at\":0", "\"at\":-8"), ("\"at\":0", "\"at\":99999999"),
        ("\"out\":[1]", "\"out\":[0]"), ("\"outputs\":[", "\"outputs\":[99,"), ("\"in\":[0]", "\"in\":[7]"),
        ("\"kernel\":[3,3]", "\"kernel\":[3,9]"), ("\"channels\":[0,", "\"channels\":[5,"),
        ("\"channels\":[1,4", "\"channels\":[1,7"),
        ("\"type\":1}", "\"passed\":true}"), ("\"scale\":", "\"scale\":-"),
        ("[1,3,8,8]", "[1,3,8,-8]"), ("[4,3,3,3]", "[4,3,3,4000000000]"),
    ])
    func hostileManifestsAreRefused(found: String, replacement: String) throws {
        let data = try ModelFile.encode(try smallModel(), version: 1).data
        let count = data.withUnsafeBytes {
            Int(UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
        }
        let manifest = String(decoding: data[64..<(64 + count)], as: UTF8.self)
        try #require(manifest.contains(found), "the manifest is \(manifest)")
        let changed = Data(manifest.replacingOccurrences(of: found, with: replacement).utf8)
        var file = data.prefix(64) + changed
        file.append(Data(count: (64 - file.count % 64) % 64))
        file.append(data[((64 + count + 63) / 64 * 64)...])
        file.replaceSubrange(16..<24, with: withUnsafeBytes(of: UInt64(file.count).littleEndian) { Data($0) })
        file.replaceSubrange(24..<32, with: withUnsafeBytes(of: UInt64(changed.count).littleEndian) { Data($0) })
        #expect(throws: ModelFile.Fault.self) { try decode(signed(file)) }
    }

    private func signed(_ data: Data) -> Data {
        var result = data
        var hash = SHA256()
        hash.update(data: data.prefix(32))
        hash.update(data: data[64...])
        result.replaceSubrange(32..<64, with: Data(hash.finalize()))
        return result
    }
}
