// SPDX-License-Identifier: Apache-2.0

/// The names of the series of a pipeline, by `Sample.series`. A name keeps its number; there is place for `capacity`, about
/// 150 bytes each.
///
/// A name that is found in a payload (`/ENERGY/Power`) is one level of a topic (`ENERGY.Power`), and tells where the value
/// stands: what cannot be in a name is written as in a JSON Pointer,
///
///     ~  ~0      /  ~1      .  ~2      +  ~3      #  ~4      control characters  ~5XX      no character at all  ~6
///
/// so that different places have different names, whoever comes first.
struct SeriesNames: Sendable {
    static let capacity = 16384
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
        return parts.isEmpty ? "value" : parts.joined(separator: ".")
    }

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
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    text += "~5" + (scalar.value < 0x10 ? "0" : "") + String(scalar.value, radix: 16)
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        return text
    }
}
