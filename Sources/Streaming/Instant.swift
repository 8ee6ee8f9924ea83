// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A moment on both clocks: the monotonic one for ages and deadlines, the wall clock for what people read.
package struct Instant: Sendable, Hashable {
    /// CLOCK_MONOTONIC
    package var monotonicNanoseconds: Int64
    /// Since 1970-01-01T00:00:00Z
    package var unixNanoseconds: Int64

    package init(monotonicNanoseconds: Int64, unixNanoseconds: Int64) {
        self.monotonicNanoseconds = monotonicNanoseconds
        self.unixNanoseconds = unixNanoseconds
    }

    package static var now: Instant {
        Instant(monotonicNanoseconds: read(CLOCK_MONOTONIC), unixNanoseconds: read(CLOCK_REALTIME))
    }

    /// Time from this moment to `later`, by the monotonic clock.
    package func nanoseconds(to later: Instant) -> Int64 { later.monotonicNanoseconds - monotonicNanoseconds }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
