// SPDX-License-Identifier: Apache-2.0

/// Quantities as people write them in a configuration.
enum Quantities {
    private static let durationUnits: [(suffix: String, nanoseconds: Double)] = [
        ("ms", 1e6), ("us", 1e3), ("min", 60e9), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86400e9),
    ]

    /// `5ms`, `2s`, `1.5h`, `1d`: a number >= 0 and a unit. Nil when it is not one, or longer than a century.
    static func duration(_ text: String) -> Duration? {
        for unit in durationUnits where text.hasSuffix(unit.suffix) {
            guard let number = number(text.dropLast(unit.suffix.count)) else { continue }
            let nanoseconds = number * unit.nanoseconds
            guard nanoseconds <= 3.2e18 else { return nil }
            return .nanoseconds(Int64(nanoseconds.rounded()))
        }
        return text == "0" ? .zero : nil
    }

    /// `512`, `64KB`, `2MB`, `1GB`: powers of 1024. Nil when it is not one, or above 2^40.
    static func size(_ text: String) -> Int? {
        let units: [(suffix: String, bytes: Double)] = [
            ("KB", 1024), ("MB", 1_048_576), ("GB", 1_073_741_824), ("B", 1),
        ]
        let match = units.first { text.uppercased().hasSuffix($0.suffix) }
        guard let number = number(text.dropLast(match?.suffix.count ?? 0)) else { return nil }
        let bytes = number * (match?.bytes ?? 1)
        return bytes <= 1_099_511_627_776 ? Int(bytes) : nil
    }

    /// The shortest way to write a duration that reads back as the same.
    static func text(_ duration: Duration) -> String {
        let nanoseconds = duration.wholeNanoseconds
        for (suffix, unit) in [
            ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000),
        ]
            as [(String, Int64)] where nanoseconds % unit == 0
        {
            return "\(nanoseconds / unit)\(suffix)"
        }
        return "\(nanoseconds / 1000)us"
    }

    private static func number(_ text: some StringProtocol) -> Double? {
        guard (1...20).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) || $0 == 46 }),
            let value = Double(text)
        else { return nil }
        return value
    }
}

extension Duration {
    /// Rounded towards zero; saturated at what an `Int64` holds, about 292 years.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return product + attoseconds / 1_000_000_000
    }
}
