// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What tells a file from what it was before a change, without reading it: where it lies, its size, and when its contents
/// and its entry were written last. As Git knows which files it need not read again.
package struct FileStamp: Equatable, Sendable {
    /// Device, inode, size in bytes, times of modification and of change in nanoseconds.
    package let numbers: [UInt64]
    /// The later one of both times, in nanoseconds since 1970.
    private let lastWrittenNanoseconds: UInt64

    package static let count = 5

    init(_ status: stat) {
        func nanoseconds(_ time: timespec) -> UInt64 {
            UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
        }
        #if canImport(Darwin)
            let (modified, changed) = (nanoseconds(status.st_mtimespec), nanoseconds(status.st_ctimespec))
        #else
            let (modified, changed) = (nanoseconds(status.st_mtim), nanoseconds(status.st_ctim))
        #endif
        numbers = [
            UInt64(truncatingIfNeeded: status.st_dev), UInt64(truncatingIfNeeded: status.st_ino),
            UInt64(truncatingIfNeeded: status.st_size), modified, changed,
        ]
        lastWrittenNanoseconds = max(modified, changed)
    }

    /// Nil if there is no such file.
    package init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// Whether the last change is so long ago that another one would show: clocks of file systems stand still for some
    /// milliseconds.
    package var isSettled: Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let nanoseconds = UInt64(max(now.tv_sec, 0)) * 1_000_000_000 + UInt64(max(now.tv_nsec, 0))
        return nanoseconds > lastWrittenNanoseconds + 100_000_000
    }
}
