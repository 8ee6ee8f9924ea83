// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file mapped read-only into memory for as long as this object lives.
///
/// `@unchecked Sendable`: the memory is never written.
final class MappedFile: @unchecked Sendable {
    enum Fault: Error, CustomStringConvertible {
        case failed(function: String, code: Int32)
        case notAFile

        var description: String {
            switch self {
            case .failed(let function, let code): "\(function) failed: \(String(cString: strerror(code)))"
            case .notAFile: "not a regular file"
            }
        }
    }

    let bytes: UnsafeRawBufferPointer

    init(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Fault.failed(function: "open", code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Fault.failed(function: "fstat", code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Fault.notAFile }
        let size = Int(status.st_size)
        guard size > 0 else {
            // An empty range cannot be mapped.
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), memory != MAP_FAILED else {
            throw Fault.failed(function: "mmap", code: errno)
        }
        bytes = UnsafeRawBufferPointer(start: memory, count: size)
    }

    deinit {
        if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
    }
}
