// SPDX-License-Identifier: Apache-2.0
import Crypto
import Tensors

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A model as a `.bsm` file, which is mapped into memory and used where it lies.
///
/// All numbers are little-endian. Equal models give equal bytes.
///
///     offset  bytes  what
///          0      8  magic: 89 42 53 4D 0D 0A 1A 0A  (0x89 "BSM" CR LF SUB LF)
///          8      4  version of the format: 1 or 2
///         12      4  version 2: size of the manifest's text; version 1: 0
///         16      8  F, size of the whole file
///         24      8  M, size of the manifest
///         32     32  digest: SHA-256 over bytes 0 to 31 and 64 to F - 1
///         64      M  manifest: JSON in UTF-8, described at `ModelManifest`; version 2: compressed (`BlockCompression`)
///       64+M         zeros up to the next multiple of 64: the start D of the data
///          D         data: elements of constants and quantization parameters, at the offsets from D that the manifest
///                    names. Constants of 1 KiB and more stand at multiples of 64, smaller ones at multiples of 8, all
///                    in the order of their values, with zeros between them.
///     F - 64     64  zeros, so that a kernel may read a little beyond the last element
///
/// A file is untrusted: size and digest are checked before the manifest is looked at, then every offset, shape, index and
/// parameter in it. The digest finds damage; it does not say who wrote the file.
package enum ModelFile {
    package static let version: UInt32 = 2

    package enum Fault: Error, Equatable, CustomStringConvertible {
        case unreadable(path: String, reason: String)
        case unwritable(path: String, reason: String)
        case notAModel
        /// Written by a newer program.
        case newerVersion(UInt32)
        case truncated(expectedBytes: UInt64, actualBytes: Int)
        /// The digest does not fit the contents.
        case altered
        /// The digest fits, but the contents contradict themselves.
        case malformed(String)

        package var description: String {
            switch self {
            case .unreadable(let path, let reason): "\(path): \(reason)"
            case .unwritable(let path, let reason): "\(path) cannot be written: \(reason)"
            case .notAModel: "not a Brokerside model (.bsm)"
            case .newerVersion(let version):
                "the model has version \(version) of the format, this program knows version \(ModelFile.version): update it"
            case .truncated(let expected, let actual):
                "the model is incomplete: it should have \(expected) bytes and has \(actual); copy it again"
            case .altered: "the model is damaged: its digest does not fit its contents; copy it again"
            case .malformed(let reason): "the model contradicts itself: \(reason)"
            }
        }
    }

    /// The text of a manifest is not longer than this.
    private static let maximumManifestBytes: UInt32 = 1 << 26

    static let magic: [UInt8] = [0x89, 0x42, 0x53, 0x4d, 0x0d, 0x0a, 0x1a, 0x0a]
    static let headerBytes = 64
    static let tailBytes = 64

    // MARK: Reading

    /// A model with what tells its file from others.
    package struct Contents {
        package var model: Model
        /// `sha256:` and 64 hexadecimal digits.
        package var digest: String
        package var stamp: FileStamp
    }

    /// The model in a file. Its constants lie in the mapped file, which must not be changed in place (replace it by a rename).
    ///
    /// - Throws: `Fault`.
    package static func read(_ path: String) throws -> Model { try contents(path).model }

    /// The model and its digest.
    ///
    /// - Parameter isKnown: whether this program has read the file of this stamp before, so that neither its contents need be
    ///   compared with the digest nor the network be checked.
    package static func contents(
        _ path: String, isKnown: (_ digest: String, FileStamp) -> Bool = { _, _ in false }
    ) throws -> Contents {
        let file: MappedFile
        do { file = try MappedFile(path) } catch let error as MappedFile.Fault {
            throw Fault.unreadable(path: path, reason: error.description)
        }
        let (model, digest) = try decode(file.bytes, owner: file) { isKnown($0, file.stamp) }
        return Contents(model: model, digest: digest, stamp: file.stamp)
    }

    /// The model in memory that `owner` keeps.
    ///
    /// - Parameter isKnown: whether this program has read the bytes that the digest in them stands for before, and these are they.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, owner: AnyObject, isKnown: (_ digest: String) -> Bool = { _ in false }
    ) throws -> (model: Model, digest: String) {
        let prefix = bytes.prefix(magic.count)
        guard !prefix.isEmpty, prefix.elementsEqual(magic.prefix(prefix.count)) else { throw Fault.notAModel }
        guard bytes.count >= headerBytes else {
            throw Fault.truncated(expectedBytes: UInt64(headerBytes), actualBytes: bytes.count)
        }
        let version = bytes.number(8, UInt32.self)
        guard version <= self.version else { throw Fault.newerVersion(version) }
        let (size, manifestBytes) = (bytes.number(16, UInt64.self), bytes.number(24, UInt64.self))
        guard UInt64(bytes.count) == size else { throw Fault.truncated(expectedBytes: size, actualBytes: bytes.count) }
        let digest = text(of: bytes[32..<64])
        let isKnown = isKnown(digest)
        guard isKnown || Self.digest(of: bytes).elementsEqual(bytes[32..<64]) else { throw Fault.altered }
        let textBytes = bytes.number(12, UInt32.self)
        guard version > 0, version == 2 ? textBytes <= maximumManifestBytes : textBytes == 0 else {
            throw Fault.malformed("version")
        }
        let available = bytes.count - headerBytes - tailBytes
        guard available >= 0, manifestBytes <= UInt64(available) else { throw Fault.malformed("size of the manifest") }
        let manifestEnd = headerBytes + Int(manifestBytes)
        let start = aligned(manifestEnd, to: 64)
        guard start <= bytes.count - tailBytes else { throw Fault.malformed("size of the manifest") }
        let data = UnsafeRawBufferPointer(rebasing: bytes[start..<(bytes.count - tailBytes)])
        let stored = UnsafeRawBufferPointer(rebasing: bytes[headerBytes..<manifestEnd])
        guard let json = version == 1 ? Array(stored) : BlockCompression.expanded(stored, count: Int(textBytes)) else {
            throw Fault.malformed("the manifest cannot be expanded")
        }
        let manifest = try ModelManifest(json: json)
        let model = try manifest.model(data: data, owner: owner, isKnown: isKnown)
        return (model, digest)
    }

    // MARK: Writing

    /// - Returns: the digest, `sha256:` and 64 hexadecimal digits.
    /// - Throws: `Fault.unwritable`, `GraphError` when the graph is not valid.
    @discardableResult
    package static func write(_ model: Model, _ path: String) throws -> String {
        let (data, digest) = try encode(model)
        do { try data.write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
            throw Fault.unwritable(path: path, reason: "\(error)")
        }
        return digest
    }

    /// The bytes of the file and its digest.
    ///
    /// - Parameter version: 1 leaves the manifest readable.
    package static func encode(
        _ model: Model, version: UInt32 = ModelFile.version
    ) throws -> (data: Data, digest: String) {
        try model.graph.validate()
        var contents = DataSection()
        let json = try ModelManifest(model, into: &contents).json()
        let manifest = version == 1 ? Array(json) : BlockCompression.compressed(Array(json))
        let start = aligned(headerBytes + manifest.count, to: 64)
        let size = aligned(start + contents.bytes.count, to: 64) + tailBytes
        var file = Data(capacity: size)
        file.append(contentsOf: magic)
        file.append(number: version)
        file.append(number: version == 1 ? 0 : UInt32(json.count))
        file.append(number: UInt64(size))
        file.append(number: UInt64(manifest.count))
        file.append(Data(count: 32))
        file.append(contentsOf: manifest)
        file.append(Data(count: start - file.count))
        file.append(contentsOf: contents.bytes)
        file.append(Data(count: size - file.count))
        let sum = file.withUnsafeBytes { Self.digest(of: $0) }
        file.replaceSubrange(32..<64, with: Array(sum))
        return (file, text(of: sum))
    }

    // MARK: Helpers

    private static func digest(of bytes: UnsafeRawBufferPointer) -> SHA256.Digest {
        var hash = SHA256()
        hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[..<32]))
        hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[64...]))
        return hash.finalize()
    }

    private static func text(of digest: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return "sha256:"
            + String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    static func aligned(_ offset: Int, to alignment: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
}

/// The part of a file that is not the manifest, while it is written.
struct DataSection {
    private(set) var bytes: [UInt8] = []

    /// Elements of a constant; its offset.
    mutating func append(_ tensor: Tensor) -> Int {
        let elements = UnsafeRawBufferPointer(rebasing: tensor.buffer.bytes[..<(tensor.count * tensor.type.sizeBytes)])
        let start = ModelFile.aligned(bytes.count, to: elements.count >= 1024 ? 64 : 8)
        bytes.append(contentsOf: repeatElement(0, count: start - bytes.count))
        bytes.append(contentsOf: elements)
        return start
    }

    mutating func append(_ elements: [UInt8]) -> Int {
        let start = bytes.count
        bytes.append(contentsOf: elements)
        return start
    }
}

extension UnsafeRawBufferPointer {
    /// A little-endian number at an offset that is known to be inside.
    func number<Number: FixedWidthInteger>(_ offset: Int, _: Number.Type) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}

extension Data {
    fileprivate mutating func append<Number: FixedWidthInteger>(number: Number) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}
