// SPDX-License-Identifier: Apache-2.0

/// The conditions of a tracker's rules, laid out: their leaves side by side, and which facts concern them at all.
struct AlertPlan: Sendable {
    let leaves: [Condition]
    /// Per rule.
    let logic: [Logic]
    let isTimeDriven: [Bool]
    /// Per leaf, the position of its window if it is about change.
    let windows: [Int?]
    let windowCount: Int
    var waitsForData: Bool { isTimeDriven.contains(true) }
    /// Whether every key matters, also those that never raised anything.
    let remembersAll: Bool

    private let ranges: [Range<Int>]
    private let concernedSeries: Set<Int>
    private let concernsAnySample: Bool
    private let concernsDetections: Bool
    private let concernsSilence: Bool
    /// Only a detector's alarm can raise something.
    private let needsAlarm: Bool

    var leafCount: Int { leaves.count }

    init(_ rules: [AlertRule]) {
        var leaves: [Condition] = []
        var ranges: [Range<Int>] = []
        for rule in rules {
            let own = rule.condition.leaves
            ranges.append(leaves.count..<leaves.count + own.count)
            leaves += own
        }
        self.leaves = leaves
        self.ranges = ranges
        logic = rules.map { rule in
            var next = 0
            return Logic(rule.condition, next: &next)
        }
        isTimeDriven = rules.map(\.condition.isTimeDriven)
        var windows: [Int?] = []
        var windowCount = 0
        var series: Set<Int> = []
        var anySample = false
        var detections = false
        var silence = false
        for leaf in leaves {
            var window: Int?
            switch leaf {
            case .anomaly(let wanted), .above(let wanted, _, _), .below(let wanted, _, _), .outside(let wanted, _, _):
                series.insert(wanted)
            case .change(let wanted, _, _, _):
                series.insert(wanted)
                window = windowCount
                windowCount += 1
            case .noData(let wanted?, _): series.insert(wanted)
            case .noData(nil, _):
                anySample = true
                detections = true
            case .classCount: detections = true
            case .tooSilent: silence = true
            case .all, .any, .not: break
            }
            windows.append(window)
        }
        self.windows = windows
        self.windowCount = windowCount
        concernedSeries = series
        concernsAnySample = anySample
        concernsDetections = detections
        concernsSilence = silence
        needsAlarm = rules.allSatisfy { rule in
            switch rule.condition {
            case .anomaly, .tooSilent: true
            default: false
            }
        }
        remembersAll = !needsAlarm
    }

    func leaves(of rule: Int) -> Range<Int> { ranges[rule] }

    func concerns(_ fact: Fact) -> Bool {
        switch fact {
        case .sample(let series, _, _, _): concernsAnySample || concernedSeries.contains(series)
        case .detections: concernsDetections
        case .silence: concernsSilence
        }
    }

    func mightRaise(_ fact: Fact) -> Bool {
        guard needsAlarm else { return true }
        switch fact {
        case .sample(_, _, _, let judgement?): return judgement.isAlarm
        case .silence(_, let isTooLong): return isTooLong
        default: return false
        }
    }
}
