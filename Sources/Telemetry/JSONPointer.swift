// SPDX-License-Identifier: Apache-2.0

/// Where a value stands in a JSON text, RFC 6901: `/temp`, `/sensors/0/value`, `/a~1b` for the name `a/b`; the empty
/// pointer is the whole text. `-` (past the end of an array) never leads to a value.
package struct JSONPointer: Sendable, Hashable, CustomStringConvertible {
    package enum Fault: Error, Equatable, CustomStringConvertible {
        case noLeadingSlash(String)
        case badEscape(String)
        case tooDeep(String)

        package var description: String {
            switch self {
            case .noLeadingSlash(let text): "the JSON pointer \"\(text)\" must begin with \"/\""
            case .badEscape(let text): "in the JSON pointer \"\(text)\" each \"~\" must be followed by 0 or 1"
            case .tooDeep(let text):
                "the JSON pointer \"\(text)\" has more than \(JSONScanner.maximumDepth) levels"
            }
        }
    }

    package let description: String
    /// The reference tokens, unescaped, as UTF-8.
    let tokens: [[UInt8]]

    package var levelCount: Int { tokens.count }

    package init(_ text: String) throws(Fault) {
        description = text
        guard !text.isEmpty else {
            tokens = []
            return
        }
        guard text.utf8.first == UInt8(ascii: "/") else { throw .noLeadingSlash(text) }
        var tokens: [[UInt8]] = []
        var afterTilde = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "0") where afterTilde: tokens[tokens.count - 1].append(UInt8(ascii: "~"))
            case UInt8(ascii: "1") where afterTilde: tokens[tokens.count - 1].append(UInt8(ascii: "/"))
            case _ where afterTilde: throw .badEscape(text)
            case UInt8(ascii: "/"): tokens.append([])
            case UInt8(ascii: "~"): break
            default: tokens[tokens.count - 1].append(byte)
            }
            afterTilde = byte == UInt8(ascii: "~") && !afterTilde
        }
        if afterTilde { throw .badEscape(text) }
        guard tokens.count <= JSONScanner.maximumDepth else { throw .tooDeep(text) }
        self.tokens = tokens
    }
}
