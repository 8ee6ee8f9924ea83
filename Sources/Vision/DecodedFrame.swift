// SPDX-License-Identifier: Apache-2.0

/// Pixels of a frame as they are stored: perhaps reduced, not yet turned upright.
///
/// The memory belongs to the decoder, which the frame keeps alive; it is valid until that decodes the next frame.
package struct DecodedFrame {
    /// Size of the full frame in pixels, upright. Boxes of detections refer to it.
    package var width: Int
    package var height: Int
    /// Rows top to bottom as stored.
    package var pixels: UnsafePointer<UInt8>
    package var storedWidth: Int
    package var storedHeight: Int
    /// 1 (gray) or 3 (red, green, blue).
    package var channels: Int
    package var rowBytes: Int
    package var orientation: Orientation
    /// Faults of the file that left the picture usable; such frames are counted.
    package var warnings: Int
    private let owner: AnyObject?

    /// A frame of upright pixels in memory: `width` * `height` * `channels` bytes without gaps.
    package init(pixels: UnsafePointer<UInt8>, width: Int, height: Int, channels: Int = 3) {
        self.init(
            pixels: pixels, storedWidth: width, storedHeight: height, channels: channels, rowBytes: width * channels,
            orientation: .upright, warnings: 0, fullStoredWidth: width, fullStoredHeight: height, owner: nil)
    }

    init(
        pixels: UnsafePointer<UInt8>, storedWidth: Int, storedHeight: Int, channels: Int, rowBytes: Int,
        orientation: Orientation, warnings: Int, fullStoredWidth: Int, fullStoredHeight: Int,
        owner: AnyObject?
    ) {
        precondition(storedWidth > 0 && storedHeight > 0 && (channels == 1 || channels == 3))
        width = orientation.swapsAxes ? fullStoredHeight : fullStoredWidth
        height = orientation.swapsAxes ? fullStoredWidth : fullStoredHeight
        self.pixels = pixels
        self.storedWidth = storedWidth
        self.storedHeight = storedHeight
        self.channels = channels
        self.rowBytes = rowBytes
        self.orientation = orientation
        self.warnings = warnings
        self.owner = owner
    }
}
