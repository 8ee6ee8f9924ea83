// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct FrameGeometryTests {
    @Test(arguments: ImagePreprocessing.Fit.allCases, [(640, 480), (480, 640), (1280, 720), (17, 301), (320, 320)])
    func boxesComeBackThroughTheInput(fit: ImagePreprocessing.Fit, size: (Int, Int)) throws {
        let input = ImageInput(width: 416, height: 320, fit: fit)
        let geometry = FrameGeometry(frameWidth: size.0, frameHeight: size.1, input: input)
        let box = Box(x: 3, y: 5, width: Float(size.0) / 2, height: Float(size.1) / 3)
        let corners = geometry.inputCorners(of: box)
        let back = try #require(
            geometry.frameBox(x0: corners.x0, y0: corners.y0, x1: corners.x1, y1: corners.y1))
        #expect(back.overlap(with: box) > 0.9999)
    }

    @Test func letterboxIsCentred() {
        let input = ImageInput(width: 320, height: 320, fit: .letterbox)
        let geometry = FrameGeometry(frameWidth: 640, frameHeight: 360, input: input)
        #expect(geometry.contentX == 0 && geometry.contentWidth == 320)
        #expect(geometry.contentY == 70 && geometry.contentHeight == 180)
    }

    @Test func topLeftLetterboxStartsInTheCorner() {
        let input = ImageInput(width: 320, height: 320, fit: .letterboxTopLeft)
        let geometry = FrameGeometry(frameWidth: 300, frameHeight: 600, input: input)
        #expect(geometry.contentX == 0 && geometry.contentY == 0)
        #expect(geometry.contentWidth == 160 && geometry.contentHeight == 320)
    }

    @Test func extremeAspectRatiosKeepOnePixel() {
        let input = ImageInput(width: 320, height: 320, fit: .letterbox)
        #expect(FrameGeometry(frameWidth: 16_000, frameHeight: 1, input: input).contentHeight == 1)
        #expect(FrameGeometry(frameWidth: 1, frameHeight: 16_000, input: input).contentWidth == 1)
    }

    @Test func boxesAreClippedToTheFrame() {
        let geometry = FrameGeometry(frameWidth: 100, frameHeight: 50, input: ImageInput(width: 100, height: 50))
        #expect(
            geometry.frameBox(x0: -10, y0: -10, x1: 200, y1: 20) == Box(x: 0, y: 0, width: 100, height: 20))
    }

    @Test func boxesOutsideOrNotFiniteAreNone() {
        let geometry = FrameGeometry(frameWidth: 100, frameHeight: 50, input: ImageInput(width: 100, height: 50))
        #expect(geometry.frameBox(x0: 101, y0: 0, x1: 120, y1: 20) == nil)
        #expect(geometry.frameBox(x0: 20, y0: 0, x1: 10, y1: 20) == nil)
        #expect(geometry.frameBox(x0: 0, y0: 0, x1: .infinity, y1: 20) == nil)
        #expect(geometry.frameBox(x0: .nan, y0: 0, x1: 10, y1: 20) == nil)
    }
}
