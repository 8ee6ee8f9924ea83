// SPDX-License-Identifier: Apache-2.0

import Vision

/// Draws boxes into a copy of a frame, for people to look at.
package struct TruthAnnotator {
    private let width: Int
    private let height: Int
    /// RGB, [height, width, 3]
    package private(set) var pixels: [UInt8]

    /// `pixels` holds `width * height` RGB pixels.
    package init(pixels: UnsafeBufferPointer<UInt8>, width: Int, height: Int) {
        precondition(pixels.count == width * height * 3)
        self.pixels = Array(pixels)
        self.width = width
        self.height = height
    }

    /// The truth as thin grey boxes; those that do not count are darker.
    package mutating func draw(_ truth: [TrueObject]) {
        for object in truth { outline(object.box, object.isIgnored ? (90, 90, 90) : (230, 230, 230), thickness: 1) }
    }

    /// Detections as coloured boxes with class and score in percent.
    package mutating func draw(_ detections: [Detection]) {
        for detection in detections {
            guard let object = ObjectClass(rawValue: detection.classIndex) else { continue }
            let colour: (UInt8, UInt8, UInt8) =
                switch object {
                case .person: (70, 240, 90)
                case .vehicle: (80, 170, 255)
                case .parcel: (255, 90, 70)
                }
            outline(detection.box, colour, thickness: 2)
            let percent = Int(max(0, min(1, detection.score)) * 100)
            write("\(object.label) \(percent)", Int(detection.box.x), Int(detection.box.y) - 13, colour)
        }
    }

    private mutating func fill(_ x: Range<Int>, _ y: Range<Int>, _ colour: (UInt8, UInt8, UInt8)) {
        for row in y.clamped(to: 0..<height) {
            for column in x.clamped(to: 0..<width) {
                let index = (row * width + column) * 3
                (pixels[index], pixels[index + 1], pixels[index + 2]) = colour
            }
        }
    }

    private mutating func outline(_ box: Box, _ colour: (UInt8, UInt8, UInt8), thickness: Int) {
        let left = Int(box.x)
        let top = Int(box.y)
        let right = max(left + 1, Int(box.x + box.width))
        let bottom = max(top + 1, Int(box.y + box.height))
        fill(left..<right, top..<(top + thickness), colour)
        fill(left..<right, (bottom - thickness)..<bottom, colour)
        fill(left..<(left + thickness), top..<bottom, colour)
        fill((right - thickness)..<right, top..<bottom, colour)
    }

    /// Letters of 3 x 5 dots, each dot 2 x 2 pixels, on black.
    private mutating func write(_ text: String, _ x: Int, _ y: Int, _ colour: (UInt8, UInt8, UInt8)) {
        let top = max(0, y)
        fill(x..<(x + text.count * 8 + 2), top..<(top + 13), (0, 0, 0))
        for (position, letter) in text.enumerated() {
            guard let glyph = TruthAnnotator.glyphs[letter] else { continue }
            for dot in 0..<15 where glyph & (1 << (14 - dot)) != 0 {
                let column = x + 2 + position * 8 + (dot % 3) * 2
                let row = top + 2 + (dot / 3) * 2
                fill(column..<(column + 2), row..<(row + 2), colour)
            }
        }
    }

    /// Five rows of three dots each, the top row first.
    private static let glyphs: [Character: UInt16] = [
        "0": 0b111_101_101_101_111, "1": 0b010_110_010_010_111, "2": 0b111_001_111_100_111,
        "3": 0b111_001_111_001_111, "4": 0b101_101_111_001_001, "5": 0b111_100_111_001_111,
        "6": 0b111_100_111_101_111, "7": 0b111_001_010_010_010, "8": 0b111_101_111_101_111,
        "9": 0b111_101_111_001_111, "a": 0b010_101_111_101_101, "c": 0b011_100_100_100_011,
        "e": 0b111_100_110_100_111, "h": 0b101_101_111_101_101, "i": 0b111_010_010_010_111,
        "l": 0b100_100_100_100_111, "n": 0b110_101_101_101_101, "o": 0b010_101_101_101_010,
        "p": 0b110_101_110_100_100, "r": 0b110_101_110_101_101, "s": 0b011_100_010_001_110,
        "v": 0b101_101_101_101_010,
    ]
}
