// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Where a frame lies in a network's input, and the way back from there. Frames are upright here.
package struct FrameGeometry: Hashable, Sendable {
    package let frameWidth: Int
    package let frameHeight: Int
    /// The part of the input that the frame covers, in input pixels.
    package let contentX: Int
    package let contentY: Int
    package let contentWidth: Int
    package let contentHeight: Int

    /// The letterbox forms keep the aspect ratio: ratio = min(input / frame) over both axes, each covered extent is
    /// the frame's times ratio, rounded to nearest, at least 1.
    package init(frameWidth: Int, frameHeight: Int, input: ImageInput) {
        precondition(frameWidth > 0 && frameHeight > 0)
        self.frameWidth = frameWidth
        self.frameHeight = frameHeight
        var (width, height) = (input.width, input.height)
        if input.fit != .stretch {
            if input.width * frameHeight <= input.height * frameWidth {
                height = max(1, (2 * frameHeight * input.width + frameWidth) / (2 * frameWidth))
            } else {
                width = max(1, (2 * frameWidth * input.height + frameHeight) / (2 * frameHeight))
            }
        }
        contentWidth = width
        contentHeight = height
        contentX = input.fit == .letterbox ? (input.width - width) / 2 : 0
        contentY = input.fit == .letterbox ? (input.height - height) / 2 : 0
    }

    /// Corners in input pixels to a box in frame pixels, clipped to the frame. Nil when nothing of it lies in the frame
    /// or a corner is not finite.
    package func frameBox(x0: Float, y0: Float, x1: Float, y1: Float) -> Box? {
        guard x0.isFinite, y0.isFinite, x1.isFinite, y1.isFinite else { return nil }
        let (scaleX, scaleY) = (Float(frameWidth) / Float(contentWidth), Float(frameHeight) / Float(contentHeight))
        let (width, height) = (Float(frameWidth), Float(frameHeight))
        let left = min(max((x0 - Float(contentX)) * scaleX, 0), width)
        let top = min(max((y0 - Float(contentY)) * scaleY, 0), height)
        let right = min(max((x1 - Float(contentX)) * scaleX, 0), width)
        let bottom = min(max((y1 - Float(contentY)) * scaleY, 0), height)
        guard right > left, bottom > top else { return nil }
        return Box(x: left, y: top, width: right - left, height: bottom - top)
    }

    /// The other way: corners of a box of the frame in input pixels.
    package func inputCorners(of box: Box) -> (x0: Float, y0: Float, x1: Float, y1: Float) {
        let (scaleX, scaleY) = (Float(contentWidth) / Float(frameWidth), Float(contentHeight) / Float(frameHeight))
        return (
            box.x * scaleX + Float(contentX), box.y * scaleY + Float(contentY),
            (box.x + box.width) * scaleX + Float(contentX), (box.y + box.height) * scaleY + Float(contentY)
        )
    }
}
