// SPDX-License-Identifier: Apache-2.0

import Alerts

/// Rules as the configuration states them, in the numbers that conditions work with.
struct AlertRules {
    var rules: [AlertRule] = []
    var subjects: [AlertDesk.Subject] = []

    struct UnknownName: Error, CustomStringConvertible {
        var rule: String
        var name: String
        var known: [String]

        var description: String {
            "alert '\(rule)': there is no '\(name)', only: \(known.isEmpty ? "(no names)" : known.joined(separator: ", "))"
        }
    }

    init() {}

    /// - Parameters:
    ///   - classes: labels of the model, for conditions on classes.
    ///   - series: names of the series, for conditions on values.
    /// - Throws: `UnknownName` for a class or series that is not there.
    init(_ sections: [Configuration.AlertSection], classes: [String], series: [String]) throws {
        for section in sections {
            func index(of name: String, in known: [String]) throws -> Int {
                guard let index = known.firstIndex(of: name) else {
                    throw UnknownName(rule: section.rule, name: name, known: known)
                }
                return index
            }
            let condition: Condition
            var subject: AlertDesk.Subject
            switch section.condition {
            case .classPresent(let name, let count):
                condition = .classPresent(class: try index(of: name, in: classes), count: count, score: 0)
                subject = AlertDesk.Subject(condition: "at least \(count) \(name)", class: name)
            case .above(let name, let limit, let clear):
                condition = .above(series: try index(of: name, in: series), threshold: limit, clear: clear)
                subject = AlertDesk.Subject(condition: "above \(limit)", series: name)
            case .below(let name, let limit, let clear):
                condition = .below(series: try index(of: name, in: series), threshold: limit, clear: clear)
                subject = AlertDesk.Subject(condition: "below \(limit)", series: name)
            case .outside(let name, let low, let high):
                condition = .outside(series: try index(of: name, in: series), range: low...high, margin: 0)
                subject = AlertDesk.Subject(condition: "outside \(low) to \(high)", series: name)
            case .silence(let duration):
                condition = .noData(series: nil, after: duration)
                subject = AlertDesk.Subject(condition: "no message for \(Quantities.text(duration))")
            }
            if section.minimumDuration > .zero {
                subject.condition += " for \(Quantities.text(section.minimumDuration))"
            }
            subjects.append(subject)
            rules.append(
                AlertRule(
                    id: section.rule, condition: condition, minimumDuration: section.minimumDuration,
                    clearDelay: section.clearAfter, staleAfter: staleAfter(section), severity: section.severity))
        }
    }

    /// A camera that sends nothing any more shows nobody: after a while without frames the condition no longer holds.
    private func staleAfter(_ section: Configuration.AlertSection) -> Duration? {
        if case .classPresent = section.condition { return max(section.clearAfter, .seconds(10)) }
        return nil
    }
}
