// SPDX-License-Identifier: Apache-2.0

/// What the demo shows while it runs.
package struct LiveTable: Sendable, Equatable {
    package struct Source: Sendable, Equatable {
        package var name: String
        package var received = 0
        package var processed = 0
        package var shed = 0
        package var failed = 0
        /// From arrival to publication of the last result.
        package var ageMilliseconds: Double?
        /// Results per second, the newest last.
        package var rates: [Double] = []

        package init(name: String) { self.name = name }
    }

    package struct Note: Sendable, Equatable {
        package var name: String
        package var text: String
        /// Shown in red.
        package var isAlarming: Bool

        package init(name: String, text: String, isAlarming: Bool = false) {
            self.name = name
            self.text = text
            self.isAlarming = isAlarming
        }
    }

    package var title = ""
    package var sources: [Source] = []
    /// Per camera, what was seen last.
    package var detections: [Note] = []
    /// The latest alerts, the newest first.
    package var alerts: [Note] = []
    package var footer = ""

    package static let alertRows = 6
    private static let sparkWidth = 24

    package init() {}

    /// Lines of at most `columns` characters. `isStyled`: with ANSI colours, which take no room.
    package func lines(columns: Int, isStyled: Bool) -> [String] {
        let style = Style(columns: max(columns, 20), isOn: isStyled)
        var lines = [style.bold(title), ""]
        lines.append(
            style.dim(
                pad("source", 10) + fields(["received", "processed", "shed", "failed", "age", "rate"]) + "  results"))
        for source in sources {
            let age = source.ageMilliseconds.map { "\(fixed($0, $0 < 10 ? 1 : 0)) ms" } ?? "-"
            let counts = [source.received, source.processed, source.shed, source.failed].map(String.init)
            let line =
                pad(source.name, 10) + fields(counts + [age, "\(fixed(source.rates.last ?? 0, 1))/s"]) + "  "
                + LiveTable.spark(source.rates.suffix(LiveTable.sparkWidth))
            lines.append(source.failed > 0 ? style.red(line) : style.plain(line))
        }
        lines += ["", style.dim("detections")] + detections.map { note($0, style) }
        lines += ["", style.dim("alerts")] + alerts.prefix(LiveTable.alertRows).map { note($0, style) }
        // The table keeps its height, so that it can be drawn over.
        lines += Array(repeating: "", count: max(0, LiveTable.alertRows - alerts.count))
        lines += ["", style.plain(footer)]
        return lines
    }

    private func note(_ note: Note, _ style: Style) -> String {
        let line = pad(note.name, 10) + note.text
        return note.isAlarming ? style.red(line) : style.plain(line)
    }

    private func fields(_ texts: [String]) -> String { texts.map { pad($0, 10, isRight: true) }.joined() }

    private func pad(_ text: String, _ width: Int, isRight: Bool = false) -> String {
        let space = String(repeating: " ", count: max(isRight ? 0 : 1, width - text.count))
        return isRight ? space + text : text + space
    }

    /// One bar per value, from 0 to the largest.
    static func spark(_ values: some Collection<Double>) -> String {
        let bars = Array("▁▂▃▄▅▆▇█")
        guard let largest = values.max(), largest > 0 else { return String(repeating: "▁", count: values.count) }
        return String(values.map { bars[max(0, min(7, Int($0 / largest * 7.99)))] })
    }

    private struct Style {
        let columns: Int
        let isOn: Bool

        func plain(_ text: String) -> String { String(text.prefix(columns)) }
        func bold(_ text: String) -> String { wrap(text, "1") }
        func dim(_ text: String) -> String { wrap(text, "2") }
        func red(_ text: String) -> String { wrap(text, "31") }

        private func wrap(_ text: String, _ code: String) -> String {
            isOn ? "\u{1B}[\(code)m\(plain(text))\u{1B}[0m" : plain(text)
        }
    }
}

/// `value` with so many decimals.
package func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int64((abs(value) * scale).rounded())
    let sign = value < 0 && scaled > 0 ? "-" : ""
    let whole = scaled / Int64(scale)
    guard decimals > 0 else { return "\(sign)\(whole)" }
    let digits = String(scaled % Int64(scale))
    return "\(sign)\(whole)." + String(repeating: "0", count: decimals - digits.count) + digits
}
