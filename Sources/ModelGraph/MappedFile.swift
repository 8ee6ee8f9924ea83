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
package final class MappedFile: @unchecked Sendable {
    package enum Fault: Error, CustomStringConvertible {
        case failed(function: String, code: Int32)
        case notAFile

        package var description: String {
            switch self {
            case .failed(let function, let code): "\(function) failed: \(String(cString: strerror(code)))"
            case .notAFile: "not a regular file"
            }
        }
    }

    package let bytes: UnsafeRawBufferPointer
    /// As it was when it was opened.
    package let stamp: FileStamp
    /// Whether nobody but this user, or the administrator, can have written it.
    package let isOwn: Bool

    package init(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Fault.failed(function: "open", code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Fault.failed(function: "fstat", code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Fault.notAFile }
        stamp = FileStamp(status)
        isOwn = (status.st_uid == geteuid() || status.st_uid == 0) && status.st_mode & (S_IWGRP | S_IWOTH) == 0
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
