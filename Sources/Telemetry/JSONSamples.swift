// SPDX-License-Identifier: Apache-2.0

import Streaming

/// JSON texts to samples: of declared series, or of every number and boolean that is found.
struct JSONSamples: Sendable {
    private var scanner: JSONScanner
    private let isAutomatic: Bool
    /// Of each place of a leaf its series, or one of the two below.
    private var seriesOfPlace: [Int]
    private let time: TimeReading?

    private static let timePlace = -1
    private static let nameless = -2

    init(_ settings: TelemetryParser.Settings) {
        isAutomatic = settings.series == nil
        time = settings.timestamp?.reading
        let declared = settings.series ?? []
        scanner = JSONScanner(
            (settings.timestamp.map { [$0.pointer] } ?? []) + declared.map(\.pointer), grows: isAutomatic,
            rows: settings.samples.map { .elements(of: $0) } ?? (isAutomatic ? .automatic : .text),
            readsStrings: settings.readsStrings, leafLimit: 2 * settings.limits.samples)
        seriesOfPlace = (time == nil ? [] : [JSONSamples.timePlace]) + declared.indices
    }

    mutating func read(
        _ text: UnsafeRawBufferPointer, _ receivedAt: Instant, _ names: inout SeriesNames, _ sink: inout SampleSink
    ) throws(TelemetryFault) {
        do throws(TelemetryFault) { try scanner.scan(text) } catch {
            guard error == .invalidJSON, let state = state(text) else { throw error }
            guard let series = names.number(of: "value") else { throw .tooManySeries }
            return sink.add(state, series: series, at: receivedAt.unixNanoseconds)
        }
        while seriesOfPlace.count < scanner.tree.slotCount, isAutomatic {
            let name = SeriesNames.name(scanner.tree.levels(ofSlot: seriesOfPlace.count))
            seriesOfPlace.append(names.number(of: name) ?? JSONSamples.nameless)
        }
        var index = 0
        while index < scanner.leaves.count {
            let row = scanner.leaves[index].row
            var end = index
            while end < scanner.leaves.count, scanner.leaves[end].row == row { end += 1 }
            let moment = moment(of: index..<end, text, receivedAt, &sink)
            for leaf in index..<end { add(scanner.leaves[leaf], text, moment, &sink) }
            index = end
        }
        if scanner.overflowCount > 0 { sink.refuse(.tooManySeries, series: nil) }
        if scanner.isCut { sink.refuse(.tooManySamples, series: nil) }
    }

    /// Where series are found by themselves: a text that is no JSON but a state (`on`, `unavailable`), as the same devices
    /// send it on other topics.
    private func state(_ text: UnsafeRawBufferPointer) -> TextValue? {
        guard isAutomatic, let state = TextValue.plain(text, other: .invalidJSON), state != .refused(.invalidJSON)
        else { return nil }
        return state
    }

    private func add(
        _ leaf: JSONScanner.Leaf, _ text: UnsafeRawBufferPointer, _ unixNanoseconds: Int64, _ sink: inout SampleSink
    ) {
        let series = seriesOfPlace[leaf.place]
        guard series >= 0 else {
            if series == JSONSamples.nameless { sink.refuse(.tooManySeries, series: nil) }
            return
        }
        sink.add(JSONSamples.value(of: leaf.slot, text), series: series, at: unixNanoseconds)
    }

    @inline(__always)
    private static func value(of slot: JSONSlot, _ text: UnsafeRawBufferPointer) -> TextValue {
        switch slot.kind {
        case .number:
            // States in strings are numbers too.
            return TextValue.number(slot.value, UnsafeRawBufferPointer(rebasing: text[slot.start..<slot.end]))
        case .boolean: return .number(slot.value, isRounded: false)
        case .missing: return .refused(.missingSeries)
        case .null: return .refused(.nullValue)
        case .notFinite: return .refused(.notFinite)
        case .object, .array: return .refused(.wrongType)
        case .string:
            // A number that was not asked for is of the wrong type; words for "no value" say more.
            let string = UnsafeRawBufferPointer(rebasing: text[slot.start..<slot.end])
            let value = TextValue.read(string, other: .wrongType)
            if case .number = value { return .refused(.wrongType) }
            return value
        }
    }

    private func moment(
        of leaves: Range<Int>, _ text: UnsafeRawBufferPointer, _ receivedAt: Instant, _ sink: inout SampleSink
    ) -> Int64 {
        guard let time else { return receivedAt.unixNanoseconds }
        var slot = JSONSlot()
        for leaf in leaves where scanner.leaves[leaf].place == 0 { slot = scanner.leaves[leaf].slot }
        var reading = Timestamp.Reading.refused(.badTimestamp)
        if slot.kind == .number || slot.kind == .string && !slot.hasEscapes {
            reading = Timestamp.read(UnsafeRawBufferPointer(rebasing: text[slot.start..<slot.end]), time)
        }
        switch reading {
        case .unixNanoseconds(let time): return time
        case .refused(let reason):
            sink.note(reason, series: nil)
            return receivedAt.unixNanoseconds
        }
    }
}
