// SPDX-License-Identifier: Apache-2.0

/// A moment on both clocks.
package struct Moment: Sendable, Equatable {
    /// Nanoseconds on a clock that never goes back: durations are measured by it.
    package var steady: Int64
    /// Nanoseconds since 1970-01-01T00:00:00Z: what people read, and what outlives the program.
    package var unix: Int64

    package init(steady: Int64, unix: Int64) {
        self.steady = steady
        self.unix = unix
    }

    /// The same moment of an earlier run on the steady clock of this one: never later than `now`, should the wall clock
    /// have been set back meanwhile.
    func rebased(to now: Moment) -> Moment {
        let (age, overflow) = now.unix.subtractingReportingOverflow(unix)
        return Moment(steady: now.steady &- (overflow ? 0 : max(age, 0)), unix: unix)
    }
}

/// Stored as the time of the wall clock alone. What is read must be rebased before durations are taken from it.
extension Moment: Codable {
    package init(from decoder: any Decoder) throws {
        unix = try decoder.singleValueContainer().decode(Int64.self)
        steady = unix
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(unix)
    }
}

/// A value with the time that belongs to it, in nanoseconds since 1970.
package struct TimedValue: Sendable, Equatable {
    package var unixNanoseconds: Int64
    package var value: Double

    package init(unixNanoseconds: Int64, value: Double) {
        self.unixNanoseconds = unixNanoseconds
        self.value = value
    }
}

/// The last values of a series, oldest first. Its memory is its own: no allocation.
package struct RecentValues: Sendable {
    package static let capacity = 16

    private var values = InlineArray<16, TimedValue>(repeating: TimedValue(unixNanoseconds: 0, value: 0))
    private var next: UInt8 = 0
    private var filled: UInt8 = 0

    package init() {}

    package mutating func append(_ value: TimedValue) {
        values[Int(next)] = value
        next = (next + 1) % UInt8(RecentValues.capacity)
        if filled < UInt8(RecentValues.capacity) { filled += 1 }
    }

    package var isFull: Bool { filled == UInt8(RecentValues.capacity) }
    package var last: TimedValue? {
        filled > 0 ? values[(Int(next) + RecentValues.capacity - 1) % RecentValues.capacity] : nil
    }

    package var array: [TimedValue] {
        let first = Int(next) + RecentValues.capacity - Int(filled)
        return (0..<Int(filled)).map { values[(first + $0) % RecentValues.capacity] }
    }
}
