// SPDX-License-Identifier: Apache-2.0

/// The life of the alerts of one rule for one key, one alert at a time. Time comes from outside.
///
///     idle --holds--> pending --minimum duration, no cool-down, not silenced--> open --no more, clear delay--> idle
///                     pending --no more--> idle          open --acknowledge--> open, acknowledged
///
/// An alert that opens too often becomes flapping: it closes only after the condition has not changed for the time of
/// `AlertRule.Flapping`. Each call gives the changes in their order. Without durations the first raise opens.
struct AlertLifeCycle: Sendable {
    enum Phase: String, Sendable, Codable { case idle, pending, open }

    private(set) var phase = Phase.idle
    /// Of a life cycle that is not idle.
    private(set) var alert: Alert
    private var worst = -Double.infinity
    private var clearingSince: Int64?
    private var coolDownUntil = Int64.min
    /// When alerts opened, as far back as flapping looks.
    private var openings: [Int64] = []
    /// When the condition last began or ceased to hold.
    private var lastToggleAt = Int64.min
    private var lastReportAt = Int64.min
    private var hasNews = false
    /// Taken over from another run of which only the alert is known: what the condition says counts from the first fact
    /// on.
    var awaitsFacts = false

    /// What a condition that holds has to say, beside the moment.
    struct Reading {
        var leaf: Int
        var state: LeafState
        var since: Moment
        var evidence: String?
        /// A fact has just shown it; else it still holds by time alone.
        var isNew: Bool
    }

    init(at now: Moment) { alert = Alert(since: now, severity: .info, value: 0) }

    var isOpen: Bool { phase == .open }
    /// It is open, and its condition holds no more.
    var isClearing: Bool { clearingSince != nil }

    /// Nothing has to be remembered any more.
    func isForgettable(at now: Moment, timing: AlertTiming) -> Bool {
        guard phase == .idle, now.steady >= coolDownUntil else { return false }
        guard let flapping = timing.flapping, let last = openings.last else { return true }
        return now.steady &- last >= flapping.within
    }

    /// - Parameters:
    ///   - reading: nil when the condition does not hold.
    ///   - silencedUntil: nothing opens, escalates or is updated until then; nanoseconds since 1970.
    mutating func take(
        _ reading: Reading?, at now: Moment, timing: AlertTiming, silencedUntil: Int64?,
        into changes: inout [AlertChange.Kind]
    ) {
        if let reading {
            raise(reading, at: now, timing: timing)
        } else if phase == .pending {
            phase = .idle
        } else if phase == .open, clearingSince == nil {
            clearingSince = now.steady
            lastToggleAt = now.steady
        }
        advance(to: now, timing: timing, silencedUntil: silencedUntil, into: &changes)
    }

    private mutating func raise(_ reading: Reading, at now: Moment, timing: AlertTiming) {
        let isBeginning = phase == .idle
        if isBeginning {
            phase = .pending
            alert = Alert(since: reading.since, severity: timing.severity, value: reading.state.value)
            worst = -.infinity
            lastToggleAt = now.steady
        }
        let isReturning = clearingSince != nil
        if isReturning {
            clearingSince = nil
            lastToggleAt = now.steady
        }
        guard reading.isNew || isBeginning || isReturning else { return }
        if alert.leaf != reading.leaf { worst = -.infinity }
        alert.leaf = reading.leaf
        alert.lastRaisedAt = now
        alert.value = reading.state.value
        alert.expected = reading.state.expected
        alert.score = reading.state.score
        alert.series = reading.state.series
        alert.evidence = reading.evidence ?? alert.evidence
        alert.count += 1
        if reading.state.extremity > worst {
            worst = reading.state.extremity
            alert.peak = reading.state.value
        }
        hasNews = true
    }

    /// What time alone brings.
    private mutating func advance(
        to now: Moment, timing: AlertTiming, silencedUntil: Int64?, into changes: inout [AlertChange.Kind]
    ) {
        switch phase {
        case .idle: break
        case .pending:
            guard now.steady &- alert.since.steady >= timing.minimumDuration, now.steady >= coolDownUntil,
                silencedUntil == nil
            else { return }
            open(at: now, timing: timing, into: &changes)
        case .open:
            if let clearingSince {
                let delay = alert.isFlapping ? max(timing.flapping?.within ?? 0, timing.clearDelay) : timing.clearDelay
                if now.steady &- clearingSince >= delay { return close(at: now, timing: timing, into: &changes) }
            } else if alert.isFlapping, now.steady &- lastToggleAt >= timing.flapping?.within ?? 0 {
                alert.isFlapping = false
                openings.removeAll()
                report(.steady, at: now, into: &changes)
            }
            follow(silencedUntil, at: now, into: &changes)
            guard silencedUntil == nil else { return }
            escalate(at: now, timing: timing, into: &changes)
            if hasNews, now.steady &- lastReportAt >= timing.updateInterval {
                report(.updated, at: now, into: &changes)
            }
        }
    }

    private mutating func open(at now: Moment, timing: AlertTiming, into changes: inout [AlertChange.Kind]) {
        phase = .open
        alert.openedAt = now
        if let flapping = timing.flapping {
            openings.removeAll { now.steady &- $0 >= flapping.within }
            openings.append(now.steady)
            alert.openings = openings.count
        } else {
            alert.openings = 1
        }
        report(.opened, at: now, into: &changes)
        if let flapping = timing.flapping, openings.count >= flapping.openings {
            alert.isFlapping = true
            report(.flapping, at: now, into: &changes)
        }
        escalate(at: now, timing: timing, into: &changes)
    }

    private mutating func close(at now: Moment, timing: AlertTiming, into changes: inout [AlertChange.Kind]) {
        phase = .idle
        clearingSince = nil
        alert.closedAt = now
        alert.silencedUntil = nil
        if alert.isFlapping { openings.removeAll() }
        let (end, overflow) = now.steady.addingReportingOverflow(timing.coolDown)
        coolDownUntil = overflow ? .max : end
        report(.closed, at: now, into: &changes)
    }

    private mutating func escalate(at now: Moment, timing: AlertTiming, into changes: inout [AlertChange.Kind]) {
        guard alert.acknowledgement == nil else { return }
        let lasted = now.steady &- alert.since.steady
        for step in timing.escalation where lasted >= step.after && step.severity > alert.severity {
            alert.severity = step.severity
            report(.escalated, at: now, into: &changes)
        }
    }

    /// Marks an open alert as silenced, or as heard again.
    private mutating func follow(_ silencedUntil: Int64?, at now: Moment, into changes: inout [AlertChange.Kind]) {
        guard alert.silencedUntil != silencedUntil else { return }
        alert.silencedUntil = silencedUntil
        report(silencedUntil == nil ? .unsilenced : .silenced, at: now, into: &changes)
    }

    /// False if it is not open, or was acknowledged before.
    mutating func acknowledge(by: String?, note: String?, at now: Moment) -> Bool {
        guard phase == .open, alert.acknowledgement == nil else { return false }
        alert.acknowledgement = Alert.Acknowledgement(at: now, by: by, note: note)
        lastReportAt = now.steady
        return true
    }

    private mutating func report(_ kind: AlertChange.Kind, at now: Moment, into changes: inout [AlertChange.Kind]) {
        lastReportAt = now.steady
        hasNews = false
        changes.append(kind)
    }
}

extension AlertLifeCycle {
    /// What of it outlives the program. Clearing begins anew after a restart.
    struct Stored: Sendable, Equatable, Codable {
        var phase: Phase
        var alert: Alert
        /// Nil before anything raised it: JSON has no infinity.
        var worst: Double?
        var coolDownUntil: Moment?
        var openings: [Moment]
    }

    func stored(at now: Moment) -> Stored {
        func moment(_ steady: Int64) -> Moment { Moment(steady: steady, unix: now.unix &- (now.steady &- steady)) }
        return Stored(
            phase: phase, alert: alert, worst: worst.isFinite ? worst : nil,
            coolDownUntil: coolDownUntil == .min ? nil : moment(coolDownUntil), openings: openings.map(moment))
    }

    /// Goes on with an alert that is open.
    init(adopting alert: Alert, at now: Moment) {
        self.init(at: now)
        phase = .open
        self.alert = alert.rebased(to: now)
        awaitsFacts = true
        lastToggleAt = now.steady
        lastReportAt = now.steady
    }

    init(_ stored: Stored, at now: Moment) {
        self.init(at: now)
        phase = stored.phase
        alert = stored.alert.rebased(to: now)
        worst = stored.worst ?? -.infinity
        openings = stored.openings.suffix(100).map { $0.rebased(to: now).steady }
        // In the future, so it cannot be rebased as what is past.
        if let until = stored.coolDownUntil { coolDownUntil = now.steady &+ max(until.unix &- now.unix, 0) }
        lastToggleAt = now.steady
        lastReportAt = now.steady
    }
}
