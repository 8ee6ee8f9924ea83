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
                Prints CSV with the columns timestamp, value and score, a row per row of the file. The score is one \
                minus the probability of a value at least as unusual, 0...1, from that row and those before it. Rows \
                whose value is empty or no number (nan, inf) get score 0 and are not learned from.

                Timestamps: 2014-04-10 00:04:00, RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since \
                1970.
                """)

        @Argument(help: "A CSV file with a header line; - for standard input.") var file: String
        @Option(help: "Name of the column with the time.") var timestamp: String
        @Option(help: "Name of the column with the value.") var value: String

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
            let source = file == "-" ? STDIN_FILENO : open(file, O_RDONLY)
            guard source >= 0 else { throw InputFault("cannot be opened: \(String(cString: strerror(errno)))") }
            defer { if file != "-" { close(source) } }
            var reader = CSVReader { buffer in
                // Whoever reads along sees the scores of all rows that came, before more are waited for.
                fflush(nil)
                let count = read(source, buffer.baseAddress, buffer.count)
                guard count >= 0 else { throw InputFault("cannot be read: \(String(cString: strerror(errno)))") }
                return count
            }
            // The budget matters for alarms only, which are not printed.
            var detector = SeriesDetector(budget: FalseAlarmBudget(count: 1, per: .seconds(86400)))
            guard try advance(&reader) else { throw InputFault("is empty; a header line is needed") }
            let header = (0..<reader.fieldCount).map { text(reader.field($0)) }
            let timeColumn = try column(timestamp, in: header)
            let valueColumn = try column(value, in: header)
            print("timestamp,value,score")
            while try advance(&reader) {
                guard reader.fieldCount == header.count else {
                    throw InputFault(
                        "has \(reader.fieldCount) fields where the header has \(header.count)", line: reader.line)
                }
                let timeText = text(reader.field(timeColumn))
                let valueText = text(reader.field(valueColumn))
                guard let time = Timestamp.parse(timeText.trimmingCharacters(in: .whitespaces), zoneRequired: false)
                else { throw InputFault("\"\(timeText.prefix(60))\" is no timestamp", line: reader.line) }
                guard let number = number(valueText.trimmingCharacters(in: .whitespaces)) else {
                    throw InputFault("\"\(valueText.prefix(60))\" is no number", line: reader.line)
                }
                let score = detector.score(number, at: time).score
                print("\(CSVReader.quoted(timeText)),\(CSVReader.quoted(valueText)),\(score)")
            }
        }

        private func advance(_ reader: inout CSVReader) throws -> Bool {
            do {
                return try reader.next()
            } catch let fault as CSVReader.Fault {
                switch fault {
                case .recordTooLong(let line):
                    throw InputFault("the record is longer than \(CSVReader.maximumRecordBytes) bytes", line: line)
                case .openQuote(let line): throw InputFault("a quote is not closed", line: line)
                case .misplacedQuote(let line):
                    throw InputFault("a quote stands where none may; quote the field and double the quote", line: line)
                }
            }
        }

        private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

        private func column(_ name: String, in header: [String]) throws -> Int {
            guard let index = header.firstIndex(of: name) else {
                throw InputFault("has no column \"\(name)\"; it has \(header.joined(separator: ", "))", line: 1)
            }
            return index
        }

        /// NaN for a missing value; nil for what is no number.
        private func number(_ text: String) -> Double? {
            if ["", "nan", "inf", "-inf", "+inf"].contains(text.lowercased()) { return .nan }
            var copy = text
            return copy.withUTF8 { DecimalNumber.parse(UnsafeRawBufferPointer($0)) }
        }
    }
}

/// What is wrong with an input file.
private struct InputFault: Error, CustomStringConvertible {
    let description: String

    init(_ text: String, line: Int? = nil) { description = (line.map { "line \($0): " } ?? "") + text }
}
