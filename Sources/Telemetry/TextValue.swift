// SPDX-License-Identifier: Apache-2.0

/// What a text means as a value of a series.
enum TextValue: Equatable {
    /// Finite. `isRounded`: an integer that the number does not hold exactly.
    case number(Double, isRounded: Bool)
    case refused(TelemetryFault)

    /// Reads a number or a state; upper and lower case are the same.
    ///
    ///     on true yes open online       1
    ///     off false no closed offline   0
    ///
    /// - Parameter other: what any other text is refused as.
    static func read(_ text: UnsafeRawBufferPointer, other: TelemetryFault) -> TextValue {
        if let value = DecimalNumber.parse(text) { return number(value, text) }
        guard text.count <= longestWord else { return .refused(other) }
        return withUnsafeTemporaryAllocation(byteCount: longestWord, alignment: 1) { lower in
            for index in 0..<text.count {
                let byte = text[index]
                lower[index] = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
            }
            let word = UnsafeRawBufferPointer(rebasing: lower[..<text.count])
            func isOne(of words: [StaticString]) -> Bool { words.contains { matches($0, word) } }
            if isOne(of: ones) { return .number(1, isRounded: false) }
            if isOne(of: zeros) { return .number(0, isRounded: false) }
            if isOne(of: notFinite) { return .refused(.notFinite) }
            if isOne(of: unavailable) { return .refused(.unavailable) }
            return .refused(other)
        }
    }

    /// The same of a whole payload, with white space around; nil if there is nothing else in it.
    static func plain(_ payload: UnsafeRawBufferPointer, other: TelemetryFault) -> TextValue? {
        func isWhiteSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let start = payload.firstIndex(where: { !isWhiteSpace($0) }),
            let last = payload.lastIndex(where: { !isWhiteSpace($0) })
        else { return nil }
        return read(UnsafeRawBufferPointer(rebasing: payload[start...last]), other: other)
    }

    /// The value of a number that stands in `text`.
    @inline(__always)
    static func number(_ value: Double, _ text: UnsafeRawBufferPointer) -> TextValue {
        guard value.isFinite else { return .refused(.outOfRange) }
        return .number(value, isRounded: value.magnitude >= 0x1p53 && DecimalNumber.isRounded(text, value))
    }

    private static let ones: [StaticString] = ["on", "true", "yes", "open", "online"]
    private static let zeros: [StaticString] = ["off", "false", "no", "closed", "offline"]
    private static let notFinite: [StaticString] = ["nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"]
    private static let unavailable: [StaticString] = [
        "unavailable", "unknown", "none", "null", "n/a", "na", "undefined", "-", "--", "",
    ]
    private static let longestWord = 11

    private static func matches(_ word: StaticString, _ text: UnsafeRawBufferPointer) -> Bool {
        guard word.utf8CodeUnitCount == text.count else { return false }
        for index in 0..<text.count where word.utf8Start[index] != text[index] { return false }
        return true
    }
}
