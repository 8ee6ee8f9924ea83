// SPDX-License-Identifier: Apache-2.0

/// The names of the series of a pipeline, by `Sample.series`. A name keeps its number; there is place for `capacity`, about
/// 150 bytes each.
///
/// A name that is found in a payload (`/ENERGY/Power`) is one level of a topic (`ENERGY.Power`), and tells where the value
/// stands: what cannot be in a name is written as in a JSON Pointer,
///
///     ~  ~0      /  ~1      .  ~2      +  ~3      #  ~4      control characters  ~5XX      no character at all  ~6
///
/// and, since brokers refuse them in topics, code points that are no characters as `~8XXXXXX`; X is a hexadecimal digit. A
/// name that is the whole of a topic level with a meaning of its own has `~7` before it. So different places have different
/// names, whoever comes first, and the name of a place never changes.
package struct SeriesNames: Sendable {
    static let capacity = 16384
    /// Levels of topics beside those of the series.
    package static let reserved: Set<String> = ["events", "silence", "multivariate", "network"]
    /// Longer names are cut off in nobody's interest: such a series is not read.
    static let maximumBytes = 512

    private(set) var names: [String]
    private var numbers: [String: Int] = [:]

    init(_ names: [String]) {
        self.names = names
        for (number, name) in names.enumerated() { numbers[name] = number }
    }

    /// The number of a name, given to it now if need be; nil if there are too many or it is too long.
    mutating func number(of name: String) -> Int? {
        if let number = numbers[name] { return number }
        guard names.count < SeriesNames.capacity, name.utf8.count <= SeriesNames.maximumBytes else { return nil }
        numbers[name] = names.count
        names.append(name)
        return names.count - 1
    }

    /// The name of a place, from the outermost level to the innermost. Bytes that are not UTF-8 are replaced.
    static func name<Levels: Sequence>(_ levels: Levels) -> String where Levels.Element: Collection<UInt8> {
        let parts = levels.map { escaped($0) }
        return parts.isEmpty ? "value" : distinct(parts.joined(separator: "."))
    }

    /// A name that does not mean something else.
    static func distinct(_ name: String) -> String { reserved.contains(name) ? "~7" + name : name }

    static func escaped(_ level: some Collection<UInt8>) -> String {
        if level.isEmpty { return "~6" }
        var text = ""
        for scalar in String(decoding: level, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "~": text += "~0"
            case "/": text += "~1"
            case ".": text += "~2"
            case "+": text += "~3"
            case "#": text += "~4"
            default:
                if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
                    text += "~5" + hexadecimal(scalar.value, digits: 2)
                } else if (0xFDD0...0xFDEF).contains(scalar.value) || scalar.value & 0xFFFE == 0xFFFE {
                    text += "~8" + hexadecimal(scalar.value, digits: 6)
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        return text
    }

    private static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
