// SPDX-License-Identifier: Apache-2.0

/// How fast alerts followed faults, and which followed none.
package struct AlertScore: Sendable, Equatable {
    /// An alert that opens this long after a fault's end still belongs to it: what was normal is learned anew.
    package static let graceSeconds: Double = 4

    /// An alert about a machine was opened.
    package struct Opened: Sendable, Equatable {
        package let machine: MachineKind
        /// Seconds since the start, on the clock of the faults.
        package let time: Double

        package init(machine: MachineKind, time: Double) {
            self.machine = machine
            self.time = time
        }
    }

    package struct Outcome: Sendable, Equatable {
        package let fault: Fault
        /// Seconds from the fault's start to the first alert; nil when there was none.
        package let delaySeconds: Double?
    }

    package let outcomes: [Outcome]
    /// Alerts that were opened while their machine had no fault.
    package let falseAlarms: [Opened]

    package init(faults: [Fault], alerts: [Opened]) {
        func belongs(_ alert: Opened, to fault: Fault) -> Bool {
            alert.machine == fault.machine && alert.time >= fault.start
                && alert.time <= fault.end + AlertScore.graceSeconds
        }
        outcomes = faults.map { fault in
            let first = alerts.filter { belongs($0, to: fault) }.map(\.time).min()
            return Outcome(fault: fault, delaySeconds: first.map { $0 - fault.start })
        }
        falseAlarms = alerts.filter { alert in !faults.contains { belongs(alert, to: $0) } }
    }
}
