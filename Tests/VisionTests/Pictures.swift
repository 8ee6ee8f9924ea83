// SPDX-License-Identifier: Apache-2.0

import Tensors
import Vision

/// A picture in memory and ways to make files of it.
struct Picture {
    var width: Int
    var height: Int
    var pixels: [UInt8]

    /// Smooth in both directions, different in each corner, so that compression changes little and no turn goes unseen.
    static func smooth(_ width: Int, _ height: Int) -> Picture {
        var pixels: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                pixels.append(UInt8(20 + 200 * x / width))
                pixels.append(UInt8(30 + 180 * y / height))
                pixels.append(UInt8(40 + 90 * x / width + 100 * (height - y) / height))
            }
        }
        return Picture(width: width, height: height, pixels: pixels)
    }

    static func noise(_ width: Int, _ height: Int, channels: Int = 3) -> Picture {
        var state: UInt32 = 12345
        let pixels = (0..<width * height * channels).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        return Picture(width: width, height: height, pixels: pixels)
    }

    func encoded(_ change: (inout JPEGEncoder.Options) -> Void = { _ in }) -> [UInt8] {
        var options = JPEGEncoder.Options()
        options.quality = 95
        change(&options)
        return pixels.withUnsafeBufferPointer {
            JPEGEncoder().encode($0, width: width, height: height, options: options)
        }
    }
}

/// Full-size upright pixels of a file.
func decode(_ file: [UInt8], limits: JPEGLimits = JPEGLimits(), with decoder: JPEGDecoder? = nil) throws -> Picture {
    try file.withUnsafeBytes { bytes in
        let frame = try (decoder ?? JPEGDecoder(limits: limits)).decode(bytes)
        return Picture(width: frame.width, height: frame.height, pixels: frame.uprightRGB())
    }
}

/// The stable reason of a failure, or how many warnings a picture came with.
func outcome(_ file: [UInt8], limits: JPEGLimits = JPEGLimits()) -> String {
    file.withUnsafeBytes { bytes in
        do throws(JPEGError) {
            return try JPEGDecoder(limits: limits).decode(bytes).warnings == 0 ? "decoded" : "warned"
        } catch {
            return error.reason
        }
    }
}

func largestDifference(_ a: [UInt8], _ b: [UInt8]) -> Int {
    guard a.count == b.count else { return .max }
    return zip(a, b).map { abs(Int($0) - Int($1)) }.max() ?? 0
}

/// Position of each marker segment before the first scan: its marker, where it starts, and its bytes with the marker.
func segments(of file: [UInt8]) -> [(marker: UInt8, range: Range<Int>)] {
    var found: [(UInt8, Range<Int>)] = []
    var at = 2
    while at + 4 <= file.count, file[at] == 0xFF {
        let length = Int(file[at + 2]) << 8 | Int(file[at + 3])
        found.append((file[at + 1], at..<at + 2 + length))
        if file[at + 1] == 0xDA { break }
        at += 2 + length
    }
    return found
}

/// An APP1 segment with an EXIF orientation.
func exif(_ orientation: UInt8, littleEndian: Bool = true) -> [UInt8] {
    let payload: [UInt8] =
        littleEndian
        ? [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0]
        : [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]
    let length = payload.count + 8
    return [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 255)] + Array("Exif".utf8) + [0, 0] + payload
}

extension Array<UInt8> {
    func inserting(_ bytes: [UInt8], at position: Int) -> [UInt8] {
        Array(self[..<position]) + bytes + Array(self[position...])
    }
}
