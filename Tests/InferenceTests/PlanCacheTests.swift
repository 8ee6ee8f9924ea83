// SPDX-License-Identifier: Apache-2.0
import Foundation
import ModelCompression
import ModelGraph
import Tensors
import TestSupport
import Testing

@testable import Inference

/// A network loads with the help of a cache as it loads without.
@Suite struct PlanCacheTests {
    private let folder: TemporaryFolder
    private let cache: PlanCache
    private var model: String { folder.file("network.bsm") }
    private var cacheFolder: String { folder.file("cache") }

    init() throws {
        folder = try TemporaryFolder()
        cache = PlanCache(folder: folder.file("cache"))
        let graph = try SessionTests.detector(seed: 3, channels: 24)
        var numbers = Numbers(seed: 1)
        let calibration = (0..<2).map { _ in ["x": numbers.tensor([1, 3, 32, 40])] }
        let quantized = try PostTrainingQuantizer(Model(name: "test", graph: graph)).quantize(calibration: calibration)
        try ModelFile.write(quantized, folder.file("network.bsm"))
    }

    private func constants(_ contents: ModelFile.Contents) -> PackedConstants {
        cache.slot(for: contents).constants(of: contents.model)
    }

    /// What the network makes of some numbers.
    private func output(_ compiled: CompiledModel) throws -> [UInt32] {
        let session = compiled.makeSession()
        var numbers = Numbers(seed: 5)
        let input = numbers.tensor([1, 3, 32, 40])
        withExtendedLifetime(input) {
            session.inputBytes(0).copyMemory(from: UnsafeRawBufferPointer(input.buffer.bytes))
        }
        try session.run()
        return session.output(0).map(\.bitPattern)
    }

    private func load() throws -> [UInt32] {
        let contents = try cache.read(model)
        defer { PlanCache.finishWriting() }
        return try output(CompiledModel(contents.model, slot: cache.slot(for: contents)))
    }

    private func files(_ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: cacheFolder).filter { $0.hasSuffix(suffix) }
            .map { "\(cacheFolder)/\($0)" }
    }

    private func makeOld(_ path: String) throws {
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: path)
    }

    @Test func theSecondLoadPacksNothing() throws {
        let expected = try output(CompiledModel(ModelFile.read(model)))
        #expect(try load() == expected)
        let contents = try cache.read(model)
        let packed = constants(contents)
        let compiled = try CompiledModel(contents.model, batch: 1, kernels: .best, packed: packed)
        #expect(!packed.entries.isEmpty && !packed.isIncomplete)
        #expect(try output(compiled) == expected)
    }

    @Test func aDamagedCacheIsMadeAgain() throws {
        let expected = try load()
        let path = try #require(try files(".plan").first)
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for step in 0..<120 {
            var damaged = whole
            if step % 4 == 0 {
                damaged = whole.prefix(whole.count * step / 120)
            } else {
                // Everywhere in the header, and here and there behind it.
                damaged[step < 90 ? step * 7 : whole.count * (step - 60) / 61] ^= 1 << (step % 8)
            }
            try damaged.write(to: URL(fileURLWithPath: path))
            #expect(try load() == expected, "step \(step)")
        }
        // What lies between the entries may stay as it is, so this says nothing of the last one.
        try whole.dropLast().write(to: URL(fileURLWithPath: path))
        #expect(try load() == expected)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole)
    }

    @Test func aPlanThatWasFoundUndamagedIsComparedAgainOnceItIsWritten() throws {
        let expected = try load()
        let path = try #require(try files(".plan").first)
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        // Files just written may be written again without showing it.
        Thread.sleep(forTimeInterval: 0.2)
        #expect(try load() == expected)
        // Of the model, and of the plan.
        #expect(try files(".intact").count == 2)
        #expect(try load() == expected)
        var damaged = whole
        for index in stride(from: whole.count / 2, to: whole.count, by: 40) { damaged[index] ^= 0x55 }
        // In place: the same inode and size.
        let handle = try #require(FileHandle(forUpdatingAtPath: path))
        try handle.write(contentsOf: damaged)
        try handle.close()
        #expect(try load() == expected)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole)
    }

    /// Whoever may write the cache may change results, but not more.
    @Test func numbersOfAHostileCacheAreChecked() throws {
        let expected = try load()
        let path = try #require(try files(".plan").first)
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        let header = whole.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) }
        for word in [1, 2, 4, 5, 6, 7] + Array(max(header / 8 - 60, 8)..<(header / 8)) {
            for value in [0, 1, 63, 64, UInt64(whole.count), 1 << 40, 1 << 62, UInt64.max - 63, UInt64.max] {
                var hostile = whole
                hostile.withUnsafeMutableBytes { bytes in
                    bytes.storeBytes(of: value, toByteOffset: word * 8, as: UInt64.self)
                    let end = min(Int(clamping: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)), bytes.count)
                    let sum = Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[min(32, end)..<max(end, 32)]))
                    bytes.storeBytes(of: sum, toByteOffset: 24, as: UInt64.self)
                }
                try hostile.write(to: URL(fileURLWithPath: path))
                #expect(try load() == expected, "word \(word) is \(value)")
            }
        }
    }

    @Test func aCacheThatOthersCanWriteIsIgnored() throws {
        _ = try load()
        for path in try files("") {
            try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
        }
        let packed = constants(try cache.read(model))
        #expect(packed.findings == nil)
    }

    @Test func aFolderThatCannotBeWrittenIsNotNeeded() throws {
        let expected = try output(CompiledModel(ModelFile.read(model)))
        for folder in ["/proc/nowhere", "/dev/null/cache", nil] {
            let cache = PlanCache(folder: folder)
            let contents = try cache.read(model)
            #expect(try output(CompiledModel(contents.model, slot: cache.slot(for: contents))) == expected)
        }
    }

    // MARK: The digest of the model file

    @Test func aFileThatWasAlteredSinceIsRefused() throws {
        _ = try load()
        var data = try Data(contentsOf: URL(fileURLWithPath: model))
        data[data.count - 100] ^= 1
        // In place: the same inode and size.
        let handle = try #require(FileHandle(forUpdatingAtPath: model))
        try handle.write(contentsOf: data)
        try handle.close()
        #expect(throws: ModelFile.Fault.altered) { try load() }
        try makeOld(model)
        #expect(throws: ModelFile.Fault.altered) { try load() }
    }

    @Test func whatIsKnownIsNotComparedAgain() throws {
        let contents = try ModelFile.contents(model)
        var data = try Data(contentsOf: URL(fileURLWithPath: model))
        data[data.count - 100] ^= 1
        try data.write(to: URL(fileURLWithPath: model))
        #expect(throws: ModelFile.Fault.altered) { try ModelFile.contents(model) }
        let known = try ModelFile.contents(model) { digest, _ in digest == contents.digest }
        #expect(known.digest == contents.digest && known.stamp != contents.stamp)
    }

    @Test func checksumsShowEveryChangedBit() {
        let bytes = (0..<150).map { UInt8(truncatingIfNeeded: $0 * 7) }
        var sums: Set<UInt64> = [bytes.withUnsafeBytes { Checksum.of($0) }]
        for bit in 0..<(bytes.count * 8) {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(sums.insert(changed.withUnsafeBytes { Checksum.of($0) }).inserted)
        }
        for count in 0..<bytes.count {
            #expect(sums.insert(bytes.prefix(count).withUnsafeBytes { Checksum.of($0) }).inserted)
        }
    }
}
