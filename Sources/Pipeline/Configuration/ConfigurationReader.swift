// SPDX-License-Identifier: Apache-2.0

import Yams

/// Reads values out of YAML nodes and keeps a list of everything that is wrong with them, so that all faults are reported
/// together. Readers return nil after they noted a fault.
struct ConfigurationReader {
    private(set) var faults: [ConfigurationFault] = []
    /// For `${NAME}` in strings.
    let environment: [String: String]

    init(environment: [String: String]) { self.environment = environment }

    /// A node with the way that led to it.
    struct Place {
        var node: Node
        var path: String
    }

    mutating func fault(at node: Node, path: String, _ message: String) {
        faults.append(
            ConfigurationFault(
                line: node.mark?.line ?? 1, column: node.mark?.column ?? 1, path: path, message: message))
    }

    mutating func fault(_ place: Place, _ message: String) { fault(at: place.node, path: place.path, message) }

    mutating func add(_ fault: ConfigurationFault) { faults.append(fault) }

    /// The entries of a mapping in their order. Keys that are not strings, or come twice, are faults.
    mutating func entries(_ place: Place) -> [(key: String, keyNode: Node, place: Place)]? {
        guard case .mapping(let mapping) = place.node else {
            fault(place, "expected a mapping (key: value), found \(kind(of: place.node))")
            return nil
        }
        var seen: Set<String> = []
        var result: [(String, Node, Place)] = []
        for (keyNode, value) in mapping {
            guard case .scalar(let scalar) = keyNode else {
                fault(at: keyNode, path: place.path, "a key must be a plain word")
                continue
            }
            let path = place.path.isEmpty ? scalar.string : "\(place.path).\(scalar.string)"
            guard seen.insert(scalar.string).inserted else {
                fault(at: keyNode, path: path, "given twice")
                continue
            }
            result.append((scalar.string, keyNode, Place(node: value, path: path)))
        }
        return result
    }

    /// A mapping whose keys are all known; unknown keys are faults and left out.
    mutating func fields(_ place: Place, known: [String]) -> Fields? {
        guard let entries = entries(place) else { return nil }
        var fields = Fields(place: place, values: [:])
        for entry in entries {
            if known.contains(entry.key) {
                fields.values[entry.key] = entry.place
            } else {
                fault(at: entry.keyNode, path: entry.place.path, unknown(entry.key, known: known, what: "key"))
            }
        }
        return fields
    }

    struct Fields {
        let place: Place
        fileprivate(set) var values: [String: Place]

        subscript(key: String) -> Place? { values[key] }
    }

    mutating func required(_ fields: Fields, _ key: String) -> Place? {
        if let place = fields[key] { return place }
        fault(fields.place, "'\(key)' is missing")
        return nil
    }

    // MARK: Scalars

    /// A string; `${NAME}` in it is replaced by the variable of the environment.
    mutating func string(_ place: Place?) -> String? {
        guard let place else { return nil }
        guard case .scalar(let scalar) = place.node, !isNull(scalar) else {
            fault(place, "expected a text, found \(kind(of: place.node))")
            return nil
        }
        return substituted(scalar.string, place)
    }

    mutating func strings(_ place: Place?) -> [String]? {
        guard let place else { return nil }
        return elements(place)?.compactMap { string($0) }
    }

    /// The elements of a sequence; one scalar counts as a sequence of one.
    mutating func elements(_ place: Place) -> [Place]? {
        switch place.node {
        case .sequence(let sequence):
            return sequence.enumerated().map { Place(node: $0.element, path: "\(place.path)[\($0.offset)]") }
        case .scalar(let scalar) where !isNull(scalar): return [place]
        default:
            fault(place, "expected a list, found \(kind(of: place.node))")
            return nil
        }
    }

    mutating func integer(_ place: Place?, in range: ClosedRange<Int>) -> Int? {
        guard let place, let text = string(place) else { return nil }
        guard let value = Int(text) else {
            fault(place, "expected a whole number, found '\(text)'")
            return nil
        }
        return checked(value, place, range)
    }

    mutating func number(_ place: Place?, in range: ClosedRange<Double> = -1e300...1e300) -> Double? {
        guard let place, let text = string(place) else { return nil }
        guard let value = Double(text), value.isFinite else {
            fault(place, "expected a number, found '\(text)'")
            return nil
        }
        return checked(value, place, range)
    }

    mutating func boolean(_ place: Place?) -> Bool? {
        guard let place, let text = string(place) else { return nil }
        switch text {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default:
            fault(place, "expected true or false, found '\(text)'")
            return nil
        }
    }

    mutating func choice<Choice: CaseIterable & RawRepresentable>(_ place: Place?, _: Choice.Type) -> Choice?
    where Choice.RawValue == String {
        guard let place, let text = string(place) else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        fault(place, unknown(text, known: Choice.allCases.map(\.rawValue), what: "value"))
        return nil
    }

    mutating func duration(_ place: Place?, atMost maximum: Duration = .seconds(31_536_000)) -> Duration? {
        guard let place, let text = string(place) else { return nil }
        guard let value = Quantities.duration(text) else {
            fault(place, "expected a duration such as 500ms, 2s, 5min, 1h or 1d, found '\(text)'")
            return nil
        }
        guard value <= maximum else {
            fault(place, "must be at most \(Quantities.text(maximum)), is \(text)")
            return nil
        }
        return value
    }

    mutating func size(_ place: Place?, in range: ClosedRange<Int>) -> Int? {
        guard let place, let text = string(place) else { return nil }
        guard let value = Quantities.size(text) else {
            fault(place, "expected a size such as 512, 64KB or 2MB, found '\(text)'")
            return nil
        }
        return checked(value, place, range)
    }

    // MARK: Words

    func unknown(_ word: String, known: [String], what: String) -> String {
        let near = known.min { distance($0, word) < distance($1, word) }
        let hint = near.flatMap { distance($0, word) <= max(1, word.count / 3) ? "; did you mean '\($0)'?" : nil }
        let choice = known.isEmpty ? ", none is known here" : ", expected one of: \(known.joined(separator: ", "))"
        return "unknown \(what) '\(word)'\(hint ?? choice)"
    }

    private mutating func checked<Value: Comparable>(
        _ value: Value, _ place: Place, _ range: ClosedRange<Value>
    ) -> Value? {
        if range.contains(value) { return value }
        fault(place, "must be \(range.lowerBound) to \(range.upperBound), is \(value)")
        return nil
    }

    private mutating func substituted(_ text: String, _ place: Place) -> String? {
        var result = ""
        var rest = text[...]
        while let start = rest.range(of: "${") {
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else { break }
            let name = String(rest[start.upperBound..<end])
            guard let value = environment[name] else {
                fault(place, "the environment variable \(name) is not set")
                return nil
            }
            result += rest[..<start.lowerBound] + value
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private func isNull(_ scalar: Node.Scalar) -> Bool {
        scalar.style == .plain && (scalar.string.isEmpty || scalar.string == "null" || scalar.string == "~")
    }

    private func kind(of node: Node) -> String {
        switch node {
        case .scalar(let scalar): isNull(scalar) ? "nothing" : "'\(scalar.string)'"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    /// Levenshtein distance.
    private func distance(_ a: String, _ b: String) -> Int {
        let target = Array(b.unicodeScalars)
        var row = Array(0...target.count)
        for (i, x) in a.unicodeScalars.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in target.enumerated() {
                let substitution = diagonal + (x == y ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substitution, diagonal + 1, row[j] + 1)
            }
        }
        return row[target.count]
    }
}
