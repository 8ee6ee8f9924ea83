// SPDX-License-Identifier: Apache-2.0

import CJPEG

/// Compresses pictures to JPEG, one after another, in memory that it keeps. For one thread at a time.
package final class JPEGEncoder {
    /// What the pixels given are; rows without gaps, one byte per channel.
    package enum PixelFormat: UInt32, Sendable { case gray = 1, rgb = 3, cmyk = 4 }

    /// Resolution of colour against brightness.
    package enum Subsampling: Sendable {
        case full, halfWidth, half

        fileprivate var factors: (UInt32, UInt32) {
            switch self {
            case .full: (1, 1)  // 4:4:4
            case .halfWidth: (2, 1)  // 4:2:2
            case .half: (2, 2)  // 4:2:0
            }
        }
    }

    package struct Options: Sendable {
        package var format = PixelFormat.rgb
        /// 1...100
        package var quality = 80
        package var subsampling = Subsampling.half
        package var isProgressive = false
        /// A restart marker after every so many rows of blocks, so that damage stays local; 0 for none.
        package var restartRows = 0
        /// Store red, green and blue instead of brightness and colour.
        package var storesRGB = false

        package init() {}
    }

    private let handle: OpaquePointer

    package init() {
        guard let handle = cjpeg_encoder_create() else { preconditionFailure("no memory for an encoder's state") }
        self.handle = handle
    }

    deinit { cjpeg_encoder_destroy(handle) }

    package func encode(
        rgb pixels: UnsafeBufferPointer<UInt8>, width: Int, height: Int, quality: Int = 80,
        subsampling: Subsampling = .half
    ) -> [UInt8] {
        var options = Options()
        options.quality = quality
        options.subsampling = subsampling
        return encode(pixels, width: width, height: height, options: options)
    }

    package func encode(
        rgb pixels: [UInt8], width: Int, height: Int, quality: Int = 80, subsampling: Subsampling = .half
    ) -> [UInt8] {
        pixels.withUnsafeBufferPointer {
            encode(rgb: $0, width: width, height: height, quality: quality, subsampling: subsampling)
        }
    }

    /// - Parameters:
    ///   - pixels: `width * height` pixels of `options.format`.
    ///   - width: 1...65500, likewise `height`.
    package func encode(_ pixels: UnsafeBufferPointer<UInt8>, width: Int, height: Int, options: Options) -> [UInt8] {
        precondition(
            (1...65_500).contains(width) && (1...65_500).contains(height) && (1...100).contains(options.quality))
        precondition(pixels.count >= width * height * Int(options.format.rawValue), "fewer pixels than the size says")
        let factors = options.subsampling.factors
        var encoding = cjpeg_encoding(
            width: UInt32(width), height: UInt32(height), format: cjpeg_pixel_format(options.format.rawValue),
            quality: Int32(options.quality), horizontal_sampling: factors.0, vertical_sampling: factors.1,
            progressive: options.isProgressive ? 1 : 0, restart_rows: UInt32(options.restartRows),
            rgb: options.storesRGB ? 1 : 0)
        var data: UnsafePointer<UInt8>?
        var count = 0
        let status = cjpeg_encoder_encode(handle, pixels.baseAddress, &encoding, &data, &count)
        // The options are checked above, so only memory can be missing.
        precondition(status == CJPEG_OK, "the encoder failed: \(String(cString: cjpeg_encoder_message(handle)))")
        return Array(UnsafeBufferPointer(start: data, count: count))
    }
}
