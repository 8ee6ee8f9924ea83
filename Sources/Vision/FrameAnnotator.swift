// SPDX-License-Identifier: Apache-2.0

/// Draws detections into pictures, for people to look at. Not for the stream: it takes memory per frame.
package struct FrameAnnotator {
    private let decoder = JPEGDecoder()
    private let encoder = JPEGEncoder()

    package init() {}

    /// The frame upright with a rectangle, the label and the score of each detection, as JPEG.
    package func annotate(
        _ data: UnsafeRawBufferPointer, with detections: [Detection], labels: [String], quality: Int = 90
    ) throws(JPEGError) -> [UInt8] {
        let frame = try decoder.decode(data)
        var pixels = frame.uprightRGB()
        Self.draw(detections, labels: labels, into: &pixels, width: frame.width, height: frame.height)
        return encoder.encode(rgb: pixels, width: frame.width, height: frame.height, quality: quality)
    }

    /// Draws into rows of `width` RGB pixels without gaps.
    package static func draw(
        _ detections: [Detection], labels: [String], into pixels: inout [UInt8], width: Int, height: Int
    ) {
        precondition(pixels.count == width * height * 3)
        var canvas = Canvas(pixels: pixels, width: width, height: height)
        pixels = []
        let dot = max(1, min(width, height) / 200)
        for detection in detections {
            let color = palette[detection.classIndex % palette.count]
            let box = detection.box
            let (left, top) = (Int(box.x), Int(box.y))
            let (right, bottom) = (Int(box.x + box.width), Int(box.y + box.height))
            canvas.fill(left..<max(left, right), top..<top + dot, color)
            canvas.fill(left..<max(left, right), max(0, bottom - dot)..<max(0, bottom), color)
            canvas.fill(left..<left + dot, top..<max(top, bottom), color)
            canvas.fill(max(0, right - dot)..<max(0, right), top..<max(top, bottom), color)
            let isNamed = labels.indices.contains(detection.classIndex)
            let name = isNamed ? labels[detection.classIndex] : String(detection.classIndex)
            let text = "\(name) \(Int((detection.score * 100).rounded()))%"
            let textHeight = (BitmapFont.height + 2) * dot
            canvas.write(text, x: left, y: top >= textHeight ? top - textHeight : top, dot: dot, color)
        }
        pixels = canvas.pixels
    }

    fileprivate typealias Color = (red: UInt8, green: UInt8, blue: UInt8)

    /// Bright enough for black letters.
    private static let palette: [Color] = [
        (80, 220, 100), (255, 170, 60), (90, 180, 255), (255, 120, 150), (230, 230, 80), (190, 150, 255),
    ]

    private struct Canvas {
        var pixels: [UInt8]
        let width: Int
        let height: Int

        mutating func fill(_ x: Range<Int>, _ y: Range<Int>, _ color: Color) {
            for row in y.clamped(to: 0..<height) {
                for column in x.clamped(to: 0..<width) {
                    let at = (row * width + column) * 3
                    (pixels[at], pixels[at + 1], pixels[at + 2]) = color
                }
            }
        }

        /// Black on a strip of `color`, each dot of a letter `dot` pixels wide and high.
        mutating func write(_ text: String, x: Int, y: Int, dot: Int, _ color: Color) {
            let advance = (BitmapFont.width + 1) * dot
            fill(x..<x + text.utf8.count * advance + dot, y..<y + (BitmapFont.height + 2) * dot, color)
            for (index, character) in text.utf8.enumerated() {
                for row in 0..<BitmapFont.height {
                    for column in 0..<BitmapFont.width
                    where BitmapFont.isSet(character, column: column, row: row) {
                        let left = x + index * advance + (column + 1) * dot
                        let top = y + (row + 1) * dot
                        fill(left..<left + dot, top..<top + dot, (0, 0, 0))
                    }
                }
            }
        }
    }
}

extension DecodedFrame {
    /// A copy of the frame at its full size, upright: red, green, blue, rows without gaps.
    package func uprightRGB() -> [UInt8] {
        var resampler = Resampler()
        let input = ImageInput(width: width, height: height)
        return Array(unsafeUninitializedCapacity: width * height * 3) { pixels, count in
            guard let base = pixels.baseAddress else { return }
            resampler.resample(self, into: base, pixelStride: 3, rowStride: width * 3, input: input)
            count = width * height * 3
        }
    }
}
