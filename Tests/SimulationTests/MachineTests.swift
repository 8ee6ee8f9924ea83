// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Simulation

@Suite struct FaultScheduleTests {
    @Test(arguments: 0..<40 as Range<UInt64>)
    func everyMachineFailsOnceInTwentySecondsAndNotEarly(seed: UInt64) {
        let faults = FaultSchedule(seconds: 20, seed: seed).faults
        #expect(Set(faults.map(\.machine)) == Set(MachineKind.allCases))
        for fault in faults {
            #expect(fault.start >= FaultSchedule.normalSeconds - 0.125)
            #expect(fault.start <= 20 - FaultSchedule.tailSeconds)
            #expect(fault.end > fault.start + 3 && fault.end <= 20)
            #expect(fault.machine.series.contains { $0.name == fault.series })
        }
    }

    @Test func faultsOfAMachineDoNotOverlap() {
        let faults = FaultSchedule(seconds: 300, seed: 4).faults
        for machine in MachineKind.allCases {
            let own = faults.filter { $0.machine == machine }
            #expect(own.count > 5)
            for (earlier, later) in zip(own, own.dropFirst()) { #expect(later.start - earlier.end > 10) }
        }
    }

    @Test func aLongRunShowsEveryKind() {
        let kinds = Set(FaultSchedule(seconds: 120, seed: 9).faults.map(\.kind))
        #expect(kinds == Set(Fault.Kind.allCases))
    }

    @Test func tooShortARunHasNoFault() {
        #expect(FaultSchedule(seconds: 10, seed: 1).faults.isEmpty)
    }
}

@Suite struct SimulatedMachineTests {
    private func run(_ kind: MachineKind, seed: UInt64, seconds: Double, faults: [Fault]) -> [SimulatedMachine.Sample] {
        var machine = SimulatedMachine(kind: kind, seed: seed, faults: faults)
        return (0..<Int(seconds * Double(MachineKind.samplesPerSecond))).map { _ in machine.next() }
    }

    private func fault(_ kind: Fault.Kind) -> Fault {
        Fault(machine: .pump, series: "flow", kind: kind, start: 10, end: 14, direction: 1)
    }

    @Test func sameSeedGivesTheSameValues() {
        let faults = FaultSchedule(seconds: 20, seed: 2).faults
        #expect(run(.press, seed: 2, seconds: 20, faults: faults) == run(.press, seed: 2, seconds: 20, faults: faults))
    }

    @Test(arguments: MachineKind.allCases)
    func normalValuesStayNearTheirLevel(kind: MachineKind) {
        for sample in run(kind, seed: 8, seconds: 60, faults: []) {
            for (series, value) in zip(kind.series, sample.values) {
                #expect(abs(value - series.level) < 5 * series.spread)
            }
        }
    }

    @Test(arguments: Fault.Kind.allCases)
    func aFaultChangesItsSeriesDuringItsTimeOnly(kind: Fault.Kind) {
        let normal = run(.pump, seed: 6, seconds: 20, faults: [])
        let faulty = run(.pump, seed: 6, seconds: 20, faults: [fault(kind)])
        var changed: [Double] = []
        for (a, b) in zip(normal, faulty) {
            #expect(Array(a.values.dropFirst()) == Array(b.values.dropFirst()))
            if a.values[0] != b.values[0] { changed.append(a.time) }
        }
        #expect(changed.allSatisfy { $0 >= 10 && $0 < 14 })
        #expect((changed.first ?? 99) < 10.7)
        #expect(changed.count >= 7)
    }

    @Test func aStuckSensorRepeatsOneValue() {
        let values = run(.pump, seed: 6, seconds: 20, faults: [fault(.stuck)]).filter { $0.time >= 10 && $0.time < 14 }
        #expect(Set(values.map { $0.values[0] }).count == 1)
    }

    @Test func payloadNestsByPointer() {

        let sample = SimulatedMachine.Sample(time: 0, values: [38.25, 5.125, 11.5])
        #expect(
            SimulatedMachine.payload(of: sample, from: .pump, timestamp: "2026-01-01T00:00:00.000Z")
                == #"{"machine":"pump","time":"2026-01-01T00:00:00.000Z","flow":38.25,"pressure":{"outlet":5.125},"motor":{"current":11.5}}"#
        )
    }
}
