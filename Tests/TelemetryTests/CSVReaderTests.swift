// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Telemetry

@Suite struct CSVReaderTests {
    /// Reads `text` in pieces of `chunkBytes`.
    private func records(_ text: String, chunkBytes: Int = 1 << 16) throws -> [[String]] {
        var rest = Array(text.utf8)[...]
        var reader = CSVReader { buffer in
            let piece = rest.prefix(min(chunkBytes, buffer.count))
            buffer.copyBytes(from: piece)
            rest = rest.dropFirst(piece.count)
            return piece.count
        }
        var records: [[String]] = []
        while try reader.next() {
            records.append((0..<reader.fieldCount).map { String(decoding: reader.field($0), as: UTF8.self) })
        }
        return records
    }

    @Test(
        arguments: [
            ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]), ("a,b\r\n1,2", [["a", "b"], ["1", "2"]]), (",\n", [["", ""]]),
            ("\"a,b\",\"c\"\"d\"\n", [["a,b", "c\"d"]]), ("\"a\r\nb\",c\r\n", [["a\r\nb", "c"]]),
            ("\n\na\n\n", [["a"]]),
            ("\u{FEFF}a,b", [["a", "b"]]), ("", []), ("\"\"\n", [[""]]), ("a,\"\"\n,b\n", [["a", ""], ["", "b"]]),
        ] as [(String, [[String]])])
    func readsRecords(text: String, expected: [[String]]) throws {
        #expect(try records(text) == expected)
        if !text.hasPrefix("\u{FEFF}") { #expect(try records(text, chunkBytes: 1) == expected) }
    }

    @Test func namesTheLineOfAFault() {
        #expect(throws: CSVReader.Fault.openQuote(line: 4)) { _ = try records("a\n\"x\ny\"\n\"z") }
        #expect(throws: CSVReader.Fault.misplacedQuote(line: 2)) { _ = try records("a\nx\"y\n") }
        #expect(throws: CSVReader.Fault.misplacedQuote(line: 1)) { _ = try records("\"x\"y\n") }
        let long = String(repeating: "x", count: CSVReader.maximumRecordBytes + 1)
        #expect(throws: CSVReader.Fault.recordTooLong(line: 1)) { _ = try records(long) }
    }

    @Test(arguments: [("plain", "plain"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("", "")])
    func quotesWhereNeeded(field: String, expected: String) { #expect(CSVReader.quoted(field) == expected) }
}
