// SPDX-License-Identifier: Apache-2.0

/// Letters of 3 x 5 dots, enough to read a label in a picture. Lower case is drawn as upper case.
enum BitmapFont {
    static let width = 3
    static let height = 5

    /// Whether the dot at column 0...2, row 0...4 is set. Characters without a glyph show as a question mark.
    static func isSet(_ character: UInt8, column: Int, row: Int) -> Bool {
        let isLower = character >= UInt8(ascii: "a") && character <= UInt8(ascii: "z")
        let upper = isLower ? character - 32 : character
        let glyph = glyphs[upper] ?? 0o71202
        return glyph >> (3 * (height - 1 - row) + (width - 1 - column)) & 1 == 1
    }

    /// An octal digit per row, top first; its bits are the dots, left first.
    private static let glyphs: [UInt8: Int] = {
        let letters = [
            0o25755, 0o65656, 0o34443, 0o65556, 0o74647, 0o74644, 0o34553, 0o55755, 0o72227, 0o11152, 0o55655, 0o44447,
            0o57755, 0o65555, 0o25552, 0o65644, 0o25573, 0o65655, 0o34216, 0o72222, 0o55557, 0o55552, 0o55775, 0o55255,
            0o55222, 0o71247,
        ]
        let digits = [
            0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71122, 0o75757, 0o75717,
        ]
        var glyphs: [UInt8: Int] = [
            UInt8(ascii: " "): 0, UInt8(ascii: "."): 0o00002, UInt8(ascii: "%"): 0o51245, UInt8(ascii: "-"): 0o00700,
            UInt8(ascii: "_"): 0o00007, UInt8(ascii: ":"): 0o02020, UInt8(ascii: "/"): 0o11244,
        ]
        for (index, glyph) in letters.enumerated() { glyphs[UInt8(ascii: "A") + UInt8(index)] = glyph }
        for (index, glyph) in digits.enumerated() { glyphs[UInt8(ascii: "0") + UInt8(index)] = glyph }
        return glyphs
    }()
}
