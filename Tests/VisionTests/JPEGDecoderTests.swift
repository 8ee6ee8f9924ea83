// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct JPEGDecoderTests {
    @Test(arguments: [JPEGEncoder.Subsampling.full, .halfWidth, .half], [false, true])
    func picturesComeBack(subsampling: JPEGEncoder.Subsampling, progressive: Bool) throws {
        let picture = Picture.smooth(83, 45)
        let file = picture.encoded {
            $0.subsampling = subsampling
            $0.isProgressive = progressive
        }
        let decoded = try decode(file)
        #expect(decoded.width == 83 && decoded.height == 45)
        #expect(largestDifference(decoded.pixels, picture.pixels) <= 12)
    }

    @Test func storedRGBComesBack() throws {
        let picture = Picture.smooth(40, 40)
        let decoded = try decode(picture.encoded { $0.storesRGB = true })
        #expect(largestDifference(decoded.pixels, picture.pixels) <= 6)
    }

    @Test func grayPicturesDecodeToEqualChannels() throws {
        let gray = Picture(width: 24, height: 16, pixels: (0..<24 * 16).map { UInt8($0 % 24 * 10) })
        let decoded = try decode(gray.encoded { $0.format = .gray })
        let expected = gray.pixels.flatMap { [$0, $0, $0] }
        #expect(largestDifference(decoded.pixels, expected) <= 6)
    }

    @Test func colourDecodesToGray() throws {
        let file = Picture(width: 16, height: 16, pixels: Array(repeating: [200, 100, 50], count: 256).flatMap { $0 })
            .encoded()
        try file.withUnsafeBytes { bytes in
            let decoder = JPEGDecoder()
            let frame = try decoder.decode(bytes, gray: true)
            #expect(frame.channels == 1)
            #expect(abs(Int(frame.pixels[100]) - 124) <= 2)  // 0.299 * 200 + 0.587 * 100 + 0.114 * 50
        }
    }

    @Test func invertedInksBecomeLight() throws {
        // Adobe's form, which the encoder marks: 255 is no ink. 200 * 128 / 255 = 100 and so on.
        let inks = Array(repeating: [200, 100, 50, 128] as [UInt8], count: 256).flatMap { $0 }
        let file = Picture(width: 16, height: 16, pixels: inks).encoded { $0.format = .cmyk }
        let decoded = try decode(file)
        for (channel, light) in [100, 50, 25].enumerated() {
            #expect(abs(Int(decoded.pixels[300 + channel]) - light) <= 2)
        }
    }

    @Test func motionJPEGFramesNeedNoTables() throws {
        let file = Picture.smooth(64, 48).encoded()
        var stripped = file
        for segment in segments(of: file).reversed() where segment.marker == 0xC4 {
            stripped.removeSubrange(segment.range)
        }
        #expect(stripped.count < file.count)
        #expect(try decode(stripped).pixels == decode(file).pixels)
    }

    @Test func tablesOfOneFrameDoNotReachTheNext() throws {
        let file = Picture.smooth(64, 48).encoded()
        var stripped = file
        for segment in segments(of: file).reversed() where segment.marker == 0xC4 {
            stripped.removeSubrange(segment.range)
        }
        let decoder = JPEGDecoder()
        _ = try decode(Picture.noise(64, 48).encoded { $0.isProgressive = true }, with: decoder)  // optimized tables
        #expect(try decode(stripped, with: decoder).pixels == decode(file).pixels)
        for segment in segments(of: file).reversed() where segment.marker == 0xDB {
            stripped.removeSubrange(segment.range)
        }
        #expect(throws: JPEGError.self) { try decode(stripped, with: decoder) }
    }

    @Test(arguments: Orientation.allCases, [true, false])
    func orientationsTurnUpright(orientation: Orientation, littleEndian: Bool) throws {
        let picture = Picture.smooth(40, 24)
        let plain = picture.encoded { $0.subsampling = .full }
        let stored = try decode(plain)
        let upright = try decode(plain.inserting(exif(orientation.rawValue, littleEndian: littleEndian), at: 2))
        let (width, height) = orientation.swapsAxes ? (24, 40) : (40, 24)
        #expect(upright.width == width && upright.height == height)
        for y in 0..<24 {
            for x in 0..<40 {
                // EXIF's table, stored to upright
                let (column, row) =
                    switch orientation {
                    case .upright: (x, y)
                    case .mirrored: (39 - x, y)
                    case .rotated180: (39 - x, 23 - y)
                    case .mirrored180: (x, 23 - y)
                    case .transposed: (y, x)
                    case .rotated90: (23 - y, x)
                    case .transversed: (23 - y, 39 - x)
                    case .rotated270: (y, 39 - x)
                    }
                let (from, to) = ((y * 40 + x) * 3, (row * width + column) * 3)
                try #require(Array(stored.pixels[from..<from + 3]) == Array(upright.pixels[to..<to + 3]))
            }
        }
    }

    @Test(arguments: [0, 9, 200] as [UInt8])
    func senselessOrientationsAreIgnored(value: UInt8) throws {
        let file = Picture.smooth(40, 24).encoded()
        #expect(try decode(file.inserting(exif(value), at: 2)).width == 40)
    }

    @Test func cutOffOrientationsAreIgnored() throws {
        let file = Picture.smooth(40, 24).encoded()
        let whole = exif(6)
        for count in 4..<whole.count - 4 {
            var part = Array(whole[..<count])
            part[2] = UInt8((count - 2) >> 8)
            part[3] = UInt8((count - 2) & 255)
            let width = try decode(file.inserting(part, at: 2)).width
            #expect(width == 40 || (count >= 32 && width == 24))
        }
    }

    @Test func framesAreReducedAsFarAsTheInputAllows() throws {
        let file = Picture.smooth(640, 480).encoded()
        try file.withUnsafeBytes { bytes in
            let decoder = JPEGDecoder()
            let expected = [(640, 640), (321, 640), (320, 320), (160, 160), (100, 160), (80, 80), (8, 80)]
            for (size, stored) in expected {
                let input = ImageInput(width: size, height: size, fit: .letterbox)
                let frame = try decoder.decode(bytes, for: input)
                #expect(frame.width == 640 && frame.height == 480)
                #expect(frame.storedWidth == stored, "\(size)")
            }
            // 480 rows halved would be fewer than 320.
            #expect(try decoder.decode(bytes, for: ImageInput(width: 320, height: 320)).storedWidth == 640)
        }
    }
}
