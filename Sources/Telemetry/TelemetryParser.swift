// SPDX-License-Identifier: Apache-2.0

import Streaming

/// A value of a series at a moment.
package struct Sample: Sendable, Equatable {
    /// Which of the declared series, by its position.
    package var series: Int
    /// Finite. Integers beyond 2^53 are rounded to the nearest `Double`.
    package var value: Double
    /// Since 1970-01-01T00:00:00Z: the time in the payload, or else the time received.
    package var unixNanoseconds: Int64

    package init(series: Int, value: Double, unixNanoseconds: Int64) {
        self.series = series
        self.value = value
        self.unixNanoseconds = unixNanoseconds
    }
}

/// A series that a telemetry source gives, and where its value stands. Format `number` reads no pointer.
package struct SeriesDeclaration: Sendable, Equatable {
    package var name: String
    package var pointer: JSONPointer

    package init(name: String, pointer: JSONPointer) {
        self.name = name
        self.pointer = pointer
    }
}

/// What became of a telemetry message.
package enum ParseOutcome: Sendable, Equatable {
    /// At least one sample. What else was wrong stands in `TelemetryParser.faults`.
    case processed
    /// No sample. The reason of the whole message; if each series failed by the same fault, that one, else `noSamples`.
    case failed(TelemetryFault)
}

/// Payload to samples: reads the declared series of a message.
///
/// Comes in: the bytes of one payload, from anyone. Goes out: at most one sample per declared series, in the order of
/// declaration. A series that is missing or of the wrong type is left out and named in `faults`; the others count. A
/// time that cannot be read is named there too, and the time received counts instead. Everything is validated, also
/// what is not wanted. Nothing is allocated once `samples` has grown to the number of series.
///
/// A value type with its own working memory: one per thread.
package struct TelemetryParser: Sendable {
    package struct Limits: Sendable, Equatable {
        /// Larger payloads fail as `too_large` unread.
        package var payloadBytes: Int

        package init(payloadBytes: Int = 1 << 20) { self.payloadBytes = payloadBytes }
    }

    package enum ConfigurationFault: Error, Equatable, CustomStringConvertible {
        case noSeries
        case repeatedName(String)
        case numberHasOneSeries

        package var description: String {
            switch self {
            case .noSeries: "at least one series must be declared"
            case .repeatedName(let name): "the series \"\(name)\" is declared twice"
            case .numberHasOneSeries: "format number gives one series and no timestamp"
            }
        }
    }

    /// What was wrong with a part of a message that still gave samples (or with all of its parts).
    package struct Fault: Sendable, Equatable {
        /// Position of the series; nil for the timestamp.
        package var series: Int?
        package var reason: TelemetryFault

        package init(series: Int?, reason: TelemetryFault) {
            self.series = series
            self.reason = reason
        }
    }

    package let format: PayloadFormat
    package let series: [SeriesDeclaration]
    /// Of the last message.
    package private(set) var faults: [Fault] = []

    private let limits: Limits
    private let hasTimestamp: Bool
    /// The series in their order, then the timestamp.
    private let paths: WantedPaths
    private var slots: [JSONSlot]

    package init(
        format: PayloadFormat, series: [SeriesDeclaration], timestamp: JSONPointer? = nil, limits: Limits = Limits()
    ) throws(ConfigurationFault) {
        guard !series.isEmpty else { throw .noSeries }
        for (index, declaration) in series.enumerated()
        where series[..<index].contains(where: { $0.name == declaration.name }) {
            throw .repeatedName(declaration.name)
        }
        if format == .number, series.count != 1 || timestamp != nil { throw .numberHasOneSeries }
        self.format = format
        self.series = series
        self.limits = limits
        hasTimestamp = timestamp != nil
        paths = WantedPaths(series.map(\.pointer) + (timestamp.map { [$0] } ?? []))
        slots = Array(repeating: JSONSlot(), count: paths.slotCount)
        faults.reserveCapacity(series.count + 1)
    }

    /// Replaces the content of `samples` (empty after `failed`).
    package mutating func parse(
        _ payload: UnsafeRawBufferPointer, receivedAt: Instant, into samples: inout [Sample]
    ) -> ParseOutcome {
        samples.removeAll(keepingCapacity: true)
        faults.removeAll(keepingCapacity: true)
        guard payload.count <= limits.payloadBytes else { return .failed(.tooLarge) }
        switch format {
        case .json: return parseJSON(payload, receivedAt, &samples)
        case .number: return parseNumber(payload, receivedAt, &samples)
        }
    }

    private mutating func parseJSON(
        _ payload: UnsafeRawBufferPointer, _ receivedAt: Instant, _ samples: inout [Sample]
    ) -> ParseOutcome {
        let paths = self.paths
        let fault = slots.withUnsafeMutableBufferPointer { slots -> TelemetryFault? in
            do throws(TelemetryFault) { try JSONScanner.scan(payload, for: paths, into: slots) } catch { return error }
            return nil
        }
        if let fault { return .failed(fault) }
        var time = receivedAt.unixNanoseconds
        if hasTimestamp {
            if let given = moment(in: slots[paths.slotOfPointer[series.count]], of: payload) {
                time = given
            } else {
                faults.append(Fault(series: nil, reason: .badTimestamp))
            }
        }
        var common: TelemetryFault?
        var differ = false
        for index in series.indices {
            let slot = slots[paths.slotOfPointer[index]]
            let reason: TelemetryFault
            switch slot.kind {
            case .number where slot.value.isFinite, .boolean:
                samples.append(Sample(series: index, value: slot.value, unixNanoseconds: time))
                continue
            case .number: reason = .outOfRange
            case .missing: reason = .missingSeries
            case .string, .null, .object, .array: reason = .wrongType
            }
            faults.append(Fault(series: index, reason: reason))
            differ = differ || (common ?? reason) != reason
            common = reason
        }
        if samples.isEmpty, let common { return .failed(differ ? .noSamples : common) }
        return .processed
    }

    private func moment(in slot: JSONSlot, of payload: UnsafeRawBufferPointer) -> Int64? {
        let text = UnsafeRawBufferPointer(rebasing: payload[slot.start..<slot.end])
        switch slot.kind {
        case .string where !slot.hasEscapes: return Timestamp.parse(text, zoneRequired: true)
        case .number: return Timestamp.epoch(text)
        default: return nil
        }
    }

    private mutating func parseNumber(
        _ payload: UnsafeRawBufferPointer, _ receivedAt: Instant, _ samples: inout [Sample]
    ) -> ParseOutcome {
        func isWhiteSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let start = payload.firstIndex(where: { !isWhiteSpace($0) }),
            let last = payload.lastIndex(where: { !isWhiteSpace($0) }),
            let value = DecimalNumber.parse(UnsafeRawBufferPointer(rebasing: payload[start...last]))
        else { return .failed(.notANumber) }
        guard value.isFinite else {
            faults.append(Fault(series: 0, reason: .outOfRange))
            return .failed(.outOfRange)
        }
        samples.append(Sample(series: 0, value: value, unixNanoseconds: receivedAt.unixNanoseconds))
        return .processed
    }
}
