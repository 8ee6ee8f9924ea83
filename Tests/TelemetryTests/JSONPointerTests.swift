// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Telemetry

@Suite struct JSONPointerTests {
    /// The examples of RFC 6901 section 5.
    @Test(
        arguments: [
            ("", []), ("/foo", ["foo"]), ("/foo/0", ["foo", "0"]), ("/", [""]), ("/a~1b", ["a/b"]), ("/c%d", ["c%d"]),
            ("/k\"l", ["k\"l"]), ("/ ", [" "]), ("/m~0n", ["m~n"]), ("/~01", ["~1"]), ("//", ["", ""]),
        ] as [(String, [String])])
    func readsTokens(text: String, tokens: [String]) throws {
        #expect(try JSONPointer(text).tokens == tokens.map { Array($0.utf8) })
    }

    @Test func refusesWhatIsNoPointer() {
        #expect(throws: JSONPointer.Fault.noLeadingSlash("temp")) { try JSONPointer("temp") }
        #expect(throws: JSONPointer.Fault.badEscape("/a~2")) { try JSONPointer("/a~2") }
        #expect(throws: JSONPointer.Fault.badEscape("/a~")) { try JSONPointer("/a~") }
        #expect(throws: JSONPointer.Fault.badEscape("/a~~0")) { try JSONPointer("/a~~0") }
        let deep = String(repeating: "/a", count: 65)
        #expect(throws: JSONPointer.Fault.tooDeep(deep)) { try JSONPointer(deep) }
    }
}
