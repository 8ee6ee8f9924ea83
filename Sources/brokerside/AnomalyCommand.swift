// SPDX-License-Identifier: Apache-2.0

import Anomaly
import ArgumentParser
import Foundation
import Telemetry

struct AnomalyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "anomaly", abstract: "Find what is unusual in recorded series.", subcommands: [Score.self])

    struct Score: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Score each row of a CSV file by the rows before it.",
            discussion: """
                With --value, prints CSV with the columns timestamp, value and score, a row per row of the file. With \
                --series, several columns are those of one device and scored together: timestamp, the columns by their \
                names, score and alarm (0 or 1). --false-alarms adds the alarm to one value, too.

                The score is one minus the probability of a row at least as unusual, 0...1, from that row and those \
                before it. An alarm lasts until the device is as usual again, or until that is the new normal; \
                --false-alarms says how many that are false are acceptable, in the time of the file: 1/day, 2/week.

                Fields are separated by commas, semicolons or tabs, whichever the header line has most of. Between \
                semicolons or tabs numbers may have a decimal comma. What is empty or no number (nan, inf, null, NA) is \
                missing and not learned from; a row in which all is missing gets score 0.

                Timestamps: 2014-04-10 00:04:00, RFC 3339, 2014/04/10 or 10.04.2014 with a time, a date alone, or \
                seconds, milliseconds, microseconds or nanoseconds since 1970, or a small number of seconds since some \
                beginning.
                """)

        @Argument(help: "A CSV file with a header line; - for standard input.") var file: String
        @Option(help: "Name of the column with the time.") var timestamp: String
        @Option(help: "Name of the column with the value.") var value: String?
        @Option(help: "Names of the columns of one device, as a,b,c.") var series: String?
        @Option(help: "How many false alarms are acceptable, like 1/day; the default with --series.")
        var falseAlarms: FalseAlarmBudget?

        func validate() throws {
            guard (value == nil) != (series == nil) else { throw ValidationError("give one of --value and --series") }
        }

        func run() throws {
            do {
                try scoreRows()
            } catch let fault as InputFault {
                let name = file == "-" ? "standard input" : file
                FileHandle.standardError.write(Data("error: \(name): \(fault.description)\n".utf8))
                throw ExitCode(1)
            }
        }

        private func scoreRows() throws {
            var table = try SeriesTable(file: file)
            let timeColumn = try table.column(timestamp)
            let names = try value.map { [$0] } ?? table.columns(listed: series ?? "")
            let columns = try names.map { try table.column($0) }
            let budget = falseAlarms ?? FalseAlarmBudget(count: 1, per: .seconds(86400))
            var detector = Detector(seriesCount: value == nil ? columns.count : nil, budget: budget)
            let printsAlarm = value == nil || falseAlarms != nil
            let titles = value == nil ? names.map(CSVReader.quoted).joined(separator: ",") : "value"
            print("timestamp,\(titles),score\(printsAlarm ? ",alarm" : "")")
            var values = [Double](repeating: .nan, count: columns.count)
            while try table.advance() {
                let timeText = table.text(timeColumn)
                guard let time = TableTime.parse(timeText) else {
                    throw InputFault("\"\(timeText.prefix(60))\" is no timestamp", line: table.line)
                }
                for (index, column) in columns.enumerated() { values[index] = try table.number(column) }
                let score = detector.score(values, at: time)
                let fields = columns.map { CSVReader.quoted(table.text($0)) }.joined(separator: ",")
                let alarm = printsAlarm ? (score.isAlarm ? ",1" : ",0") : ""
                print("\(CSVReader.quoted(timeText)),\(fields),\(score.score)\(alarm)")
            }
        }
    }

    /// One series by itself, or those of a device.
    private enum Detector {
        case one(SeriesDetector)
        case device(DeviceDetector)

        init(seriesCount: Int?, budget: FalseAlarmBudget) {
            self =
                seriesCount.map { .device(DeviceDetector(seriesCount: $0, budget: budget)) }
                ?? .one(SeriesDetector(budget: budget))
        }

        mutating func score(_ values: [Double], at time: Int64) -> AnomalyScore {
            switch self {
            case .one(var detector):
                defer { self = .one(detector) }
                return detector.score(values[0], at: time)
            case .device(var detector):
                defer { self = .device(detector) }
                return detector.score(values, at: time)
            }
        }
    }
}

extension FalseAlarmBudget: ExpressibleByArgument {
    public init?(argument: String) {
        guard let budget = try? FalseAlarmBudget(argument) else { return nil }
        self = budget
    }
}
