// SPDX-License-Identifier: Apache-2.0

/// The life of the alerts of one rule for one key, one alert at a time. Time comes from outside.
///
///     idle --raises--> pending --minimum duration--> open --clears, then the clear delay--> idle
///                      pending --clears--> idle      open --raises within the clear delay--> open
///
/// Each call returns at most one change. With a minimum duration of zero the first raise opens.
struct AlertLifeCycle: Sendable {
    private enum Phase { case idle, pending, open }

    private var phase = Phase.idle
    private var alert = Alert(since: 0, openedAt: 0, lastRaisedAt: 0, value: 0, peak: 0, count: 0)
    private var worst = -Double.infinity
    private var clearingSince: Int64?
    private var lastFactAt: Int64 = 0
    private var lastReportAt: Int64 = 0
    private var hasNews = false

    var isOpen: Bool { phase == .open }
    var isIdle: Bool { phase == .idle }
    var isIdleOrClearing: Bool { phase == .idle || clearingSince != nil }
    /// Of a life cycle that is open.
    var current: Alert { alert }

    /// `since`: when the condition began to hold, if that was before the fact.
    mutating func take(
        _ reading: Condition.Reading, since: Int64? = nil, at now: Int64, timing: AlertTiming
    ) -> (AlertChange.Kind, Alert)? {
        lastFactAt = now
        switch reading.verdict {
        case .holds: break
        case .raises: raise(reading, since: since ?? now, at: now)
        case .clears:
            if phase == .pending { phase = .idle }
            if phase == .open, clearingSince == nil { clearingSince = now }
        }
        return advance(to: now, timing: timing)
    }

    private mutating func raise(_ reading: Condition.Reading, since: Int64, at now: Int64) {
        if phase == .idle {
            phase = .pending
            alert = Alert(
                since: since, openedAt: now, lastRaisedAt: now, value: reading.value, peak: reading.value, count: 0)
            worst = -.infinity
        }
        clearingSince = nil
        alert.lastRaisedAt = now
        alert.value = reading.value
        alert.expected = reading.expected
        alert.score = reading.score
        alert.count += 1
        if reading.extremity > worst {
            worst = reading.extremity
            alert.peak = reading.value
        }
        hasNews = true
    }

    /// What time alone brings.
    mutating func advance(to now: Int64, timing: AlertTiming) -> (AlertChange.Kind, Alert)? {
        if phase != .idle, let staleAfter = timing.staleAfter, clearingSince == nil, now - lastFactAt >= staleAfter {
            if phase == .pending { phase = .idle } else { clearingSince = lastFactAt + staleAfter }
        }
        switch phase {
        case .idle: return nil
        case .pending:
            guard now - alert.since >= timing.minimumDuration else { return nil }
            phase = .open
            alert.openedAt = now
            return report(.opened, at: now)
        case .open:
            if let clearingSince, now - clearingSince >= timing.clearDelay {
                phase = .idle
                self.clearingSince = nil
                alert.closedAt = now
                return report(.closed, at: now)
            }
            guard hasNews, now - lastReportAt >= timing.updateInterval else { return nil }
            return report(.updated, at: now)
        }
    }

    private mutating func report(_ kind: AlertChange.Kind, at now: Int64) -> (AlertChange.Kind, Alert) {
        lastReportAt = now
        hasNews = false
        return (kind, alert)
    }
}

/// The durations of a rule, in nanoseconds.
struct AlertTiming: Sendable {
    var minimumDuration: Int64
    var clearDelay: Int64
    var staleAfter: Int64?
    var updateInterval: Int64

    init(_ rule: AlertRule, updateInterval: Duration) {
        minimumDuration = rule.minimumDuration.nanoseconds
        clearDelay = rule.clearDelay.nanoseconds
        staleAfter = rule.staleAfter?.nanoseconds
        // Silence is what this condition is about.
        if case .noData = rule.condition { staleAfter = nil }
        self.updateInterval = updateInterval.nanoseconds
    }
}

extension Duration {
    /// Between zero and 292 years; what lies beyond counts as these.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 0 }
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowed) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || overflowed ? .max : sum
    }
}
