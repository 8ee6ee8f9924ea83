// SPDX-License-Identifier: Apache-2.0

import Testing
import Vision

struct FrameAnnotatorTests {
    @Test func detectionsAreDrawn() {
        var pixels = [UInt8](repeating: 0, count: 100 * 80 * 3)
        let box = Box(x: 20, y: 30, width: 40, height: 20)
        FrameAnnotator.draw(
            [Detection(classIndex: 0, score: 0.9, box: box)], labels: ["cat"], into: &pixels, width: 100, height: 80)
        func isSet(_ x: Int, _ y: Int) -> Bool { pixels[(y * 100 + x) * 3] != 0 }
        #expect(isSet(20, 40) && isSet(59, 40) && isSet(40, 30) && isSet(40, 49))
        #expect(!isSet(40, 40) && !isSet(10, 40) && !isSet(70, 40))
        #expect(isSet(20, 29))  // the strip of the label
    }

    @Test func drawingStaysInsideThePicture() {
        var pixels = [UInt8](repeating: 0, count: 9 * 7 * 3)
        let boxes = [Box(x: 0, y: 0, width: 9, height: 7), Box(x: 8, y: 6, width: 0, height: 1)]
        let detections = boxes.map { Detection(classIndex: 99, score: 1, box: $0) }
        FrameAnnotator.draw(detections, labels: [], into: &pixels, width: 9, height: 7)
        #expect(pixels.count == 9 * 7 * 3)
    }

    @Test func annotatedFramesAreJPEG() throws {
        let file = Picture.smooth(64, 48).encoded().inserting(exif(6), at: 2)
        let detection = Detection(classIndex: 0, score: 1, box: Box(x: 5, y: 20, width: 30, height: 30))
        let annotated = try file.withUnsafeBytes {
            try FrameAnnotator().annotate($0, with: [detection], labels: ["a"])
        }
        let picture = try decode(annotated)
        #expect(picture.width == 48 && picture.height == 64)
    }
}
