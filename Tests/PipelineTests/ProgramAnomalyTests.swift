// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// `anomaly score` as scripts use it.
@Suite(.serialized) struct ProgramAnomalyTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func score(_ table: String, _ options: [String]) async throws -> ProgramRun {
        let file = try folder.write("table.csv", table)
        let program = try ProgramRun("brokerside", ["anomaly", "score", file] + options)
        _ = await program.wait()
        return program
    }

    private func rows(_ program: ProgramRun) -> [[Substring]] {
        program.output.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    }

    /// Two series with a step of both at row 150.
    private func table(rows: Int, separator: String = ",", decimal: String = ".") -> String {
        (["time", "a", "b"].joined(separator: separator) + "\n")
            + (0..<rows).map { index in
                let noise = (index * 7919 % 101) - 50
                let values = [
                    Double(noise) / 10 + (index < 150 ? 0 : 60), Double(noise * 13 % 37) + (index < 150 ? 0 : 300),
                ]
                let time = "2024-03-09 10:\(String(format: "%02d:%02d", index / 60, index % 60))"
                return ([time] + values.map { "\($0)".replacing(".", with: decimal) }).joined(separator: separator)
                    + "\n"
            }
            .joined()
    }

    @Test func severalSeriesGetOneScoreAndAnAlarm() async throws {
        let program = try await score(
            table(rows: 200), ["--timestamp", "time", "--series", "a,b", "--false-alarms", "1/hour"])
        #expect(program.end == .exit(0) && program.errors.isEmpty)
        let rows = rows(program)
        #expect(rows[0] == ["timestamp", "a", "b", "score", "alarm"])
        #expect(rows.count == 201 && rows.allSatisfy { $0.count == 5 })
        #expect(rows[1...150].allSatisfy { $0[4] == "0" } && rows[151...160].contains { $0[4] == "1" })
    }

    @Test(arguments: [[], ["--false-alarms", "1/hour"]], ["--value", "--series"])
    func rowsDependOnEarlierOnesOnly(budget: [String], option: String) async throws {
        let options = ["--timestamp", "time", option, "a"] + budget
        let all = try await score(table(rows: 200), options).output
        for count in [1, 60, 155] {
            #expect(all.hasPrefix(try await score(table(rows: count), options).output))
        }
    }

    @Test(arguments: [(";", "."), (";", ","), ("\t", ",")])
    func otherSeparatorsAndDecimalCommasGiveTheSame(separator: String, decimal: String) async throws {
        let options = ["--timestamp", "time", "--series", "a,b"]
        let expected = rows(try await score(table(rows: 170), options)).map { $0.suffix(2) }
        let program = try await score(table(rows: 170, separator: separator, decimal: decimal), options)
        #expect(rows(program).map { $0.suffix(2) } == expected)
    }

    @Test(arguments: [
        "10.03.2024 10:00:00", "2024/03/10 10:00", "2024-03-10", "10-03-2024 10:00:00,250", "2024-03-10T10:00:00.5Z",
        "1710064800", "1.7100648e9", "12.5", "2024-3-10 9:05:00",
    ])
    func readsMoments(text: String) async throws {
        let program = try await score("t;v\n\(text);1\n", ["--timestamp", "t", "--value", "v"])
        #expect(program.end == .exit(0), "\(program.errors)")
    }

    @Test func blankCellsAreMissing() async throws {
        let program = try await score(
            "t,a,b\n1710064800,1,\n1710064801,,2\n1710064802,,\n1710064803,NaN,3\n",
            ["--timestamp", "t", "--series", "a,b"])
        #expect(program.end == .exit(0))
        #expect(rows(program)[3] == ["1710064802", "", "", "0.0", "0"])
    }

    @Test(arguments: [
        ("t,a\n1710064800,x\n", ["--value", "a"], "line 2: \"x\" is no number"),
        ("t,a\nsoon,1\n", ["--value", "a"], "line 2: \"soon\" is no timestamp"),
        ("t,a\n10/04/2014 10:00,1\n", ["--value", "a"], "is no timestamp"),
        ("t,a\n", ["--series", "a,c"], "has no column \"c\"; it has t, a"),
        ("t,a\n", ["--series", "a,a"], "column \"a\" is named twice"),
        ("t,a\n1710064800\n", ["--value", "a"], "line 2: has 1 fields where the header has 2"),
    ])
    func saysWhatIsWrong(table: String, options: [String], message: String) async throws {
        let program = try await score(table, ["--timestamp", "t"] + options)
        #expect(program.end == .exit(1))
        #expect(program.errors.contains(message), "\(program.errors)")
    }

    @Test(arguments: [[], ["--value", "a", "--series", "a"], ["--value", "a", "--false-alarms", "often"]])
    func refusesOtherUsage(options: [String]) async throws {
        #expect(try await score("t,a\n", ["--timestamp", "t"] + options).end == .exit(64))
    }
}
