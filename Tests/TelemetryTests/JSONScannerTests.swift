// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Telemetry

@Suite struct JSONScannerTests {
    @Test(arguments: [
        "{}", "[]", "0", "-0", "1.5e-3", "1E+2", "true", "false", "null", "\"\"", " [1 , 2]\r\n\t",
        "{\"a\":{\"b\":[[],{}]}}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", "\"é漢😀\"", "\u{FEFF}1",
        "[1,2,3,\"12345678901234567890\"]",
    ])
    func acceptsValidTexts(text: String) throws { _ = try scan(text) }

    @Test(arguments: [
        "", " ", "{", "[", "\"", "\"a", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "[1,]", "[,1]",
        "[1 2]",
        "{\"a\" 1}", "{\"a\":1 \"b\":2}", "01", "+1", "1.", ".5", "-", "1e", "1e+", "0x1", "nan", "infinity",
        "-Infinit",
        "tru", "truee", "nul", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "\"\t\"", "1 1", "{} {}", "[]]", "}",
        "]",
        "\"\\ud800\"", "\"\\ud800x\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "/**/1", "\u{FEFF}", "1\u{FEFF}", "é",
    ])
    func refusesInvalidTexts(text: String) {
        #expect(throws: TelemetryFault.invalidJSON) { try scan(text) }
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xED, 0xA0, 0x80],
            [0xE2, 0x82], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80],
            [0xFF],
        ] as [[UInt8]])
    func refusesInvalidUTF8(bytes: [UInt8]) {
        #expect(throws: TelemetryFault.invalidUTF8) { try scan([0x22] + bytes + [0x22]) }
        #expect(throws: TelemetryFault.invalidUTF8) { try scan(Array("{\"name of a member".utf8) + bytes + [0x22]) }
    }

    @Test func acceptsDepthUpToTheLimit() throws {
        let depth = JSONScanner.maximumDepth
        _ = try scan(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        #expect(throws: TelemetryFault.tooDeep) { try scan(String(repeating: "[", count: depth + 1)) }
        #expect(throws: TelemetryFault.tooDeep) { try scan(String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test func findsMembersAndElements() throws {
        let text = #"{"a":{"b":1,"a":[2,{"c":3}]},"b":4,"":5,"a/b":6,"m~n":7}"#
        let pointers = ["/a/b", "/a/a/0", "/a/a/1/c", "/b", "/", "/a~1b", "/m~0n"]
        #expect(try scan(text, pointers).map(\.value) == [1, 2, 3, 4, 5, 6, 7])
    }

    @Test func findsEscapedNames() throws {
        let text = #"{"t\u0065mp":1,"\ud83d\ude00":2,"a\/b":3,"\u00e9":4,"te":5}"#
        #expect(try scan(text, ["/temp", "/😀", "/a~1b", "/é", "/te"]).map(\.value) == [1, 2, 3, 4, 5])
    }

    @Test func distinguishesPrefixesAndIndices() throws {
        let slots = try scan(#"{"ab":1,"abc":2,"0":3}"#, ["/a", "/ab", "/abcd", "/0", "/00"])
        #expect(slots.map(\.kind) == [.missing, .number, .missing, .number, .missing])
        #expect(try scan("[1,2]", ["/00", "/-", "/1"]).map(\.kind) == [.missing, .missing, .number])
    }

    @Test func lastOfRepeatedNamesCounts() throws {
        #expect(try scan(#"{"a":1,"a":2}"#, ["/a"])[0].value == 2)
        #expect(try scan(#"{"a":{"b":1},"a":{}}"#, ["/a/b"])[0].kind == .missing)
        #expect(try scan(#"{"a":{"b":1},"a":3}"#, ["/a/b", "/a"]).map(\.kind) == [.missing, .number])
    }

    @Test func namesKindsOfValues() throws {
        let text = #"[1, true, "1", null, {"x":1}, [1]]"#
        let slots = try scan(text, ["/0", "/1", "/2", "/3", "/4", "/5", "/6", ""])
        #expect(
            slots.map(\.kind) == [.number, .boolean, .string, .null, .object, .array, .missing, .array])
    }

    @Test func everyTruncationIsRefused() throws {
        let text = Array(#"{"a":[1.5e3,"é\u00e9",{"b":[true,null,false]}],"c":{"d":-0.25}}"#.utf8)
        _ = try scan(text)
        for count in 0..<text.count {
            #expect(throws: TelemetryFault.self) { try scan(Array(text[..<count])) }
        }
    }
}
