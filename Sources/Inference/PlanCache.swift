// SPDX-License-Identifier: Apache-2.0
import Dispatch
import ModelGraph
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A folder with what loading a model file once found out: weights packed for this processor, and which files were found
/// undamaged since they were written.
///
/// Nothing depends on it. What is missing, damaged, or of another program is made again; a folder that cannot be written
/// stays as it is. Files come whole, by a rename, so that several programs may share a folder. Packed weights are written behind
/// the back of whoever loads a network; a program that ends waits for them.
package struct PlanCache: Sendable {
    /// A place in the cache, for one model.
    package struct Slot: Sendable {
        fileprivate let cache: PlanCache
        fileprivate let digest: String

        func constants(of model: Model) -> PackedConstants { cache.constants(self, variant: variant(model)) }

        /// Returns at once; `finishWriting` waits until the file is there.
        func store(_ constants: PackedConstants, of model: Model) {
            _ = PlanCache.waitsAtExit
            let (findings, entries, variant) = (constants.findings, constants.entries, variant(model))
            PlanCache.writing.async { cache.store(findings, entries, self, variant: variant) }
        }

        /// What may be said of a model when it is used, and changes its plan.
        private func variant(_ model: Model) -> String {
            model.preprocessing.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "\n")
        }
    }

    /// More, or of more bytes together, are not kept: the oldest go.
    private static let maximumFiles = 96
    private static let maximumBytes = 1 << 30

    /// Nil: nothing is kept.
    private let folder: String?

    package init(folder: String?) { self.folder = folder }

    /// `$XDG_CACHE_HOME/brokerside`, or `.cache/brokerside` in the home folder
    /// (https://specifications.freedesktop.org/basedir-spec/latest/).
    package static var standard: PlanCache {
        func variable(_ name: String) -> String? {
            guard let value = getenv(name).map({ String(cString: $0) }), value.hasPrefix("/") else { return nil }
            return value
        }
        return PlanCache(
            folder: variable("XDG_CACHE_HOME").map { $0 + "/brokerside" }
                ?? variable("HOME").map { $0 + "/.cache/brokerside" })
    }

    // MARK: Model files

    /// A model file; one that this program has read, and that is undamaged since, is not checked again.
    ///
    /// - Throws: `ModelFile.Fault`.
    package func read(_ path: String) throws -> ModelFile.Contents {
        var wasKnown = false
        let contents = try ModelFile.contents(path) { digest, stamp in
            wasKnown = isIntact(digest, stamp)
            return wasKnown
        }
        if !wasKnown && contents.stamp.isSettled { remember(contents.digest, contents.stamp) }
        return contents
    }

    package func slot(for contents: ModelFile.Contents) -> Slot { Slot(cache: self, digest: contents.digest) }

    /// - Parameter name: of a model file its digest; a kind, a colon, and the hexadecimal digits that the file is called by.
    private func path(_ name: String, _ suffix: String) -> String? {
        folder.map { "\($0)/\(name.drop { $0 != ":" }.dropFirst().prefix(32)).\(suffix)" }
    }

    private func stampPath(_ name: String) -> String? { path(name, "intact") }

    /// The digest, the stamp and that of the program, which may check more than another build does, and a checksum.
    private func note(_ digest: String, _ stamp: FileStamp) -> [UInt8] {
        var bytes = Array("brokerside 2 \(digest)".utf8)
        stamp.numbers.withUnsafeBytes { bytes += $0 }
        Self.program?.numbers.withUnsafeBytes { bytes += $0 }
        let sum = bytes.withUnsafeBytes { Checksum.of($0) }
        withUnsafeBytes(of: sum) { bytes += $0 }
        return bytes
    }

    private func isIntact(_ digest: String, _ stamp: FileStamp) -> Bool {
        guard Self.program != nil, let path = stampPath(digest), let file = try? MappedFile(path), file.isOwn else {
            return false
        }
        return file.bytes.elementsEqual(note(digest, stamp))
    }

    private func remember(_ digest: String, _ stamp: FileStamp) {
        guard let path = stampPath(digest) else { return }
        write(path) { $0(note(digest, stamp)) }
    }

    // MARK: Packed weights

    private static let writing = DispatchQueue(label: "plan cache")
    private static let waitsAtExit: Void = { atexit { PlanCache.finishWriting() } }()

    /// Returns when everything that was to be stored so far is.
    package static func finishWriting() { writing.sync {} }

    /// - Parameter variant: what else the plan depends on.
    private func constants(_ slot: Slot, variant: String) -> PackedConstants {
        let key = Self.key(slot.digest, variant)
        let name = Self.name(key)
        guard let path = planPath(name),
            var file = PlanCacheFile(path, key: key, isKnown: { isIntact(name, $0) })
        else { return PackedConstants() }
        if !file.isKnown && file.stamp.isSettled && file.becomeKnown() { remember(name, file.stamp) }
        return PackedConstants(findings: file.findings) { [file] in file.buffer($0, label: $1, byteCount: $2) }
    }

    private func store(
        _ findings: PackedConstants.Findings?, _ entries: [PackedConstants.Entry], _ slot: Slot, variant: String
    ) {
        let key = Self.key(slot.digest, variant)
        guard let path = planPath(Self.name(key)) else { return }
        let (header, data) = PlanCacheFile.pieces(findings, entries, key: key)
        write(path) { write in
            guard write(header) else { return false }
            return data.allSatisfy { buffer, zeros in
                write(UnsafeRawBufferPointer(buffer.bytes)) && write([UInt8](repeating: 0, count: zeros))
            }
        }
        shrink()
    }

    /// Another build of the program may pack weights otherwise.
    private static let program = FileStamp(path: "/proc/self/exe")

    private static func key(_ digest: String, _ variant: String) -> [UInt8] {
        let numbers = (program?.numbers ?? []).map { String($0) }.joined(separator: " ")
        let kernels = [
            FloatKernels.best.name, Int8Kernels.best.name, Int8DenseKernels.best.name, FloatRecurrentKernels.best.name,
        ].joined(separator: " ")
        return Array("\(digest)\n\(numbers)\n\(kernels)\n\(variant)".utf8)
    }

    private func planPath(_ name: String) -> String? { Self.program == nil ? nil : path(name, "plan") }

    private static func name(_ key: [UInt8]) -> String {
        "plan:" + String(key.withUnsafeBytes { Checksum.of($0) }, radix: 16)
    }

    // MARK: Files

    /// Takes bytes, and says whether they could be written.
    private struct Writer {
        let descriptor: Int32

        func callAsFunction(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { self($0) } }

        func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> Bool {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: rest))
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
    }

    /// Lets `body` write a file, which is there when all of it is written.
    private func write(_ path: String, _ body: (Writer) -> Bool) {
        guard let folder else { return }
        makeFolders(folder)
        let temporary = "\(path).\(getpid()).\(UInt64.random(in: 0...UInt64.max))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        let isWritten = body(Writer(descriptor: descriptor))
        close(descriptor)
        if !isWritten || rename(temporary, path) != 0 { unlink(temporary) }
    }

    private func makeFolders(_ path: String) {
        var partial = ""
        for part in path.split(separator: "/") {
            partial += "/" + part
            mkdir(partial, 0o700)
        }
    }

    /// Removes the files that were written first, as far as there are too many.
    private func shrink() {
        guard let folder, let directory = opendir(folder) else { return }
        var files: [(path: String, bytes: Int, written: UInt64)] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let path = "\(folder)/\(name)"
            guard name.contains(".plan") || name.hasSuffix(".intact"), let stamp = FileStamp(path: path) else {
                continue
            }
            files.append((path, Int(clamping: stamp.numbers[2]), stamp.numbers[3]))
        }
        closedir(directory)
        var (count, bytes) = (0, 0)
        for file in files.sorted(by: { $0.written > $1.written }) {
            count += 1
            bytes += file.bytes
            if count > Self.maximumFiles || bytes > Self.maximumBytes { unlink(file.path) }
        }
    }
}

/// `write` of the system, which methods of that name hide.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}
