// SPDX-License-Identifier: Apache-2.0

import Alerts
import Anomaly

/// Rules as the configuration states them, in the numbers that conditions work with and in the words of explanations.
struct AlertRules {
    var rules: [AlertRule] = []
    var subjects: [AlertSubject] = []

    struct UnknownName: Error, CustomStringConvertible {
        var rule: String
        var name: String
        var known: [String]

        var description: String {
            "alert '\(rule)': there is no '\(name)', only: \(known.isEmpty ? "(no names)" : known.joined(separator: ", "))"
        }
    }

    init() {}

    /// The rule that each series of a detector has: its alarm.
    static func anomalies(severity: Severity) -> AlertRules {
        var rules = AlertRules()
        rules.rules = [
            AlertRule(
                id: "anomaly", condition: .anomaly(series: 0), clearDelay: .seconds(5), staleAfter: .seconds(300),
                severity: severity)
        ]
        rules.subjects = [AlertSubject(condition: "is unusual", leaves: [.init(words: "is unusual", kind: .value)])]
        return rules
    }

    /// The rules of a device: of each method that judges its series together, by its place in `PipelineDesks.together`.
    static func together(_ methods: Set<DetectionMethod>, severity: Severity) -> AlertRules {
        var rules = AlertRules()
        let words: [(DetectionMethod, String)] = [
            (.multivariate, "the series together are unusual"), (.network, "unusual for the network"),
        ]
        for (position, (method, words)) in words.enumerated() where methods.contains(method) {
            rules.rules.append(
                AlertRule(
                    id: method.rawValue, condition: .anomaly(series: position), clearDelay: .seconds(5),
                    staleAfter: .seconds(300), severity: severity))
            rules.subjects.append(AlertSubject(condition: words, leaves: [.init(words: words, kind: .value)]))
        }
        return rules
    }

    /// The rule that each device, and each series of one, has: that it is not silent for longer than it ever is.
    static func silences(severity: Severity) -> AlertRules {
        var rules = AlertRules()
        let words = "nothing came for longer than usual"
        rules.rules = [
            // No series has such a name.
            AlertRule(id: "~silence", condition: .tooSilent, clearDelay: .zero, severity: severity)
        ]
        var subject = AlertSubject(condition: words, leaves: [.init(words: words, kind: .silence)])
        subject.method = DetectionMethod.silence.rawValue
        rules.subjects = [subject]
        return rules
    }

    /// - Parameters:
    ///   - classes: labels of the model, for conditions on classes.
    ///   - series: names of the series, for conditions on values.
    /// - Throws: `UnknownName` for a class or series that is not there.
    init(_ sections: [Configuration.AlertSection], classes: [String], series: [String]) throws {
        for section in sections {
            let names = Names(rule: section.rule, classes: classes, series: series)
            let condition = try names.condition(section.condition)
            var rule = AlertRule(
                id: section.rule, condition: condition, minimumDuration: section.minimumDuration,
                clearDelay: section.clearAfter, staleAfter: staleAfter(section), severity: section.severity)
            rule.coolDown = section.coolDown
            rule.escalation = section.escalation
            rule.flapping = section.flapping
            rules.append(rule)
            subjects.append(AlertSubject(section))
        }
    }

    /// A camera that sends nothing any more shows nobody: after a while without frames nothing is known of it.
    private func staleAfter(_ section: Configuration.AlertSection) -> Duration? {
        let isAboutFrames = section.condition.leaves.contains { if case .classCount = $0 { true } else { false } }
        return isAboutFrames ? max(section.clearAfter, .seconds(10)) : nil
    }

    private struct Names {
        var rule: String
        var classes: [String]
        var series: [String]

        func condition(_ stated: Configuration.AlertSection.Condition) throws -> Condition {
            switch stated {
            case .classCount(let name, let count): .classCount(class: try index(name, classes), count: count, score: 0)
            case .anomaly(let name): .anomaly(series: try index(name, series))
            case .above(let name, let limit, let clear):
                .above(series: try index(name, series), threshold: limit, clear: clear)
            case .below(let name, let limit, let clear):
                .below(series: try index(name, series), threshold: limit, clear: clear)
            case .outside(let name, let low, let high, let margin):
                .outside(series: try index(name, series), range: low...high, margin: margin)
            case .change(let name, let direction, let amount, let within):
                .change(series: try index(name, series), direction: direction, amount: amount, within: within)
            case .silence(let name, let duration):
                .noData(series: try name.map { try index($0, series) }, after: duration)
            case .all(let parts): .all(try parts.map(condition))
            case .any(let parts): .any(try parts.map(condition))
            case .not(let part): .not(try condition(part))
            }
        }

        private func index(_ name: String, _ known: [String]) throws -> Int {
            guard let index = known.firstIndex(of: name) else {
                throw UnknownName(rule: rule, name: name, known: known)
            }
            return index
        }
    }
}

/// What a rule is about, in words.
package struct AlertSubject: Sendable {
    /// The whole condition. Where a rule exists once for each series, what is said of the series.
    package var condition: String
    /// The leaves of the condition, in their order.
    package var leaves: [Leaf]
    /// Where a rule exists once for each device and each of its series: the name of the rule of a device, and the first part
    /// of those of its series, before a dot.
    package var method: String?

    package struct Leaf: Sendable {
        package enum Kind: Sendable { case value, change, silence, count }

        package var words: String
        package var kind: Kind
        package var series: String?
        package var `class`: String?
    }

    init(condition: String, leaves: [Leaf]) {
        self.condition = condition
        self.leaves = leaves
    }

    /// Of a rule of which nothing but its name is known.
    static func unknown(_ condition: String = "a rule that is not configured any more") -> AlertSubject {
        AlertSubject(condition: condition, leaves: [])
    }

    /// The series that a name of a rule that exists for each is about; nil for a device as a whole.
    func series(ofRule name: String) -> String? {
        guard let method else { return name }
        return name == method ? nil : String(name.dropFirst(method.count + 1))
    }

    init(_ section: Configuration.AlertSection) {
        condition = AlertSubject.words(section.condition, isPart: false)
        if section.minimumDuration > .zero { condition += " for \(Quantities.text(section.minimumDuration))" }
        leaves = section.condition.leaves.map(AlertSubject.leaf)
    }

    private static func words(_ condition: Configuration.AlertSection.Condition, isPart: Bool) -> String {
        func joined(_ parts: [Configuration.AlertSection.Condition], _ word: String) -> String {
            let text = parts.map { words($0, isPart: true) }.joined(separator: " \(word) ")
            return isPart && parts.count > 1 ? "(\(text))" : text
        }
        switch condition {
        case .all(let parts): return joined(parts, "and")
        case .any(let parts): return joined(parts, "or")
        case .not(let part): return "not (\(words(part, isPart: false)))"
        default: return leaf(condition).words
        }
    }

    private static func leaf(_ condition: Configuration.AlertSection.Condition) -> Leaf {
        func about(_ series: String, _ words: String, _ kind: Leaf.Kind = .value) -> Leaf {
            Leaf(words: "\(series) \(words)", kind: kind, series: series)
        }
        switch condition {
        case .classCount(let name, let count):
            let most = Configuration.AlertSection.mostDetections
            let number =
                count.upperBound == most
                ? "at least \(count.lowerBound)"
                : count.lowerBound == 0 ? "at most \(count.upperBound)" : "\(count.lowerBound) to \(count.upperBound)"
            return Leaf(words: "\(number) \(name)", kind: .count, class: name)
        case .anomaly(let series): return about(series, "is unusual")
        case .above(let series, let limit, _): return about(series, "above \(limit)")
        case .below(let series, let limit, _): return about(series, "below \(limit)")
        case .outside(let series, let low, let high, _): return about(series, "outside \(low) to \(high)")
        case .change(let series, let direction, let amount, let within):
            return about(series, "\(direction.rawValue) by \(amount) within \(Quantities.text(within))", .change)
        case .silence(let series, let duration):
            let what = series.map { "no sample of \($0)" } ?? "no message"
            return Leaf(words: "\(what) for \(Quantities.text(duration))", kind: .silence, series: series)
        case .all, .any, .not: return Leaf(words: "", kind: .value)
        }
    }
}
