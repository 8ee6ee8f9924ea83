// SPDX-License-Identifier: Apache-2.0

import CJPEG
import Tensors

/// Decodes JPEG frames one after another into memory that it keeps: one per worker.
///
/// Baseline, extended and progressive, Huffman or arithmetic, gray, YCbCr, RGB, CMYK and YCCK, motion JPEG without
/// Huffman tables. Pixels are decoded at the smallest of 1/8, 1/4, 1/2 and 1 of the size that still covers what is asked for. Its own
/// memory is the pixels of the largest frame of late; what libjpeg takes besides is given back with every frame.
package final class JPEGDecoder {
    private let handle: OpaquePointer
    private let limits: JPEGLimits
    private var cLimits: cjpeg_limits

    package init(limits: JPEGLimits = JPEGLimits()) {
        guard let handle = cjpeg_decoder_create() else { preconditionFailure("no memory for a decoder's state") }
        self.handle = handle
        self.limits = limits
        cLimits = cjpeg_limits(
            bytes: limits.bytes, width: UInt32(clamping: limits.width), height: UInt32(clamping: limits.height),
            pixels: UInt64(clamping: limits.pixels), scans: UInt32(clamping: limits.scans),
            scan_pixels: UInt64(clamping: limits.scanPixels), working_bytes: limits.workingBytes)
    }

    deinit { cjpeg_decoder_destroy(handle) }

    /// Decodes a frame that will be resampled into `input`: in its channels, and not larger than that needs.
    package func decode(_ data: UnsafeRawBufferPointer, for input: ImageInput) throws(JPEGError) -> DecodedFrame {
        try decode(data, gray: input.channelOrder == .gray) { width, height in
            let geometry = FrameGeometry(frameWidth: width, frameHeight: height, input: input)
            return (geometry.contentWidth, geometry.contentHeight)
        }
    }

    /// Decodes a frame at its full size.
    package func decode(_ data: UnsafeRawBufferPointer, gray: Bool = false) throws(JPEGError) -> DecodedFrame {
        try decode(data, gray: gray) { ($0, $1) }
    }

    /// - Parameter covered: upright size that is needed of an upright frame of the given size.
    private func decode(
        _ data: UnsafeRawBufferPointer, gray: Bool, covered: (_ width: Int, _ height: Int) -> (Int, Int)
    ) throws(JPEGError) -> DecodedFrame {
        var header = cjpeg_header()
        let bytes = data.baseAddress?.assumingMemoryBound(to: UInt8.self)
        try check(cjpeg_decoder_open(handle, bytes, data.count, &cLimits, &header), data)
        let orientation = Orientation(rawValue: UInt8(truncatingIfNeeded: header.orientation)) ?? .upright
        let (width, height) = (Int(header.width), Int(header.height))
        var needed = orientation.swapsAxes ? covered(height, width) : covered(width, height)
        if orientation.swapsAxes { needed = (needed.1, needed.0) }
        let numerator = Self.numerator(covering: needed, of: (width, height))
        var image = cjpeg_image()
        try check(cjpeg_decoder_decode(handle, UInt32(numerator), gray ? 1 : 3, &image), data)
        return DecodedFrame(
            pixels: image.pixels, storedWidth: Int(image.width), storedHeight: Int(image.height),
            channels: Int(image.channels), rowBytes: image.row_bytes, orientation: orientation,
            warnings: Int(image.warnings), fullStoredWidth: width, fullStoredHeight: height, owner: self)
    }

    /// The smallest n of 1, 2, 4 and 8 such that n/8 of the size, rounded up as libjpeg does, covers what is needed. For
    /// the other numerators libjpeg-turbo has no vector code: 6/8 takes twice as long as the full size.
    static func numerator(covering needed: (width: Int, height: Int), of size: (width: Int, height: Int)) -> Int {
        for numerator in [1, 2, 4]
        where (size.width * numerator + 7) / 8 >= needed.width && (size.height * numerator + 7) / 8 >= needed.height {
            return numerator
        }
        return 8
    }

    private func check(_ status: cjpeg_status, _ data: UnsafeRawBufferPointer) throws(JPEGError) {
        guard status != CJPEG_OK else { return }
        let message = String(cString: cjpeg_decoder_message(handle))
        throw JPEGError(status, message: message, byteCount: data.count, limits: limits)
    }
}
