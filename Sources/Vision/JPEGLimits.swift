// SPDX-License-Identifier: Apache-2.0

/// What a decoder accepts. Everything but the scans is checked on the header, before memory is taken.
package struct JPEGLimits: Hashable, Sendable {
    /// Size of the file.
    package var bytes = 32 << 20
    package var width = 16_384
    package var height = 16_384
    /// width * height. At one byte per channel a frame of this size takes 150 MB unless it is scaled down.
    package var pixels = 50_000_000
    /// Scans of a progressive or non-interleaved picture; encoders write about ten.
    package var scans = 64
    /// scans * pixels: a small file can ask for a lot of work, about 1 ns per pixel and scan.
    package var scanPixels = 500_000_000
    /// Coefficients that libjpeg holds for multi-scan pictures: 2 bytes per sample, so 3 per pixel of a 4:2:0 picture.
    /// Per decoder, and given back after each frame; baseline pictures in one scan need none.
    package var workingBytes = 96 << 20

    package init() {}
}
