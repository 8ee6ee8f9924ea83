// SPDX-License-Identifier: Apache-2.0

import Testing
import Vision

struct JPEGFaultTests {
    private let file = Picture.noise(48, 32).encoded()

    @Test func nothingIsEmpty() { #expect(outcome([]) == "empty") }

    @Test(arguments: [[0], [0x89, 0x50, 0x4E, 0x47], Array("hello".utf8), [0xFF, 0x00], [0xD8, 0xFF]] as [[UInt8]])
    func otherDataIsNotJPEG(bytes: [UInt8]) { #expect(outcome(bytes) == "not_jpeg") }

    @Test(arguments: [false, true])
    func everyTruncationIsNamed(progressive: Bool) {
        let file = Picture.noise(48, 32).encoded { $0.isProgressive = progressive }
        // The last two bytes are the end marker: without it the picture is whole.
        for count in 1..<file.count - 2 { #expect(outcome(Array(file[..<count])) == "truncated", "\(count)") }
        let withoutEnd = outcome(Array(file[..<(file.count - 2)]))
        #expect(withoutEnd == "decoded" || withoutEnd == "warned")
    }

    @Test func truncationWithAnEndMarkerIsNoticed() {
        #expect(outcome(Array(file[..<(file.count / 2)]) + [0xFF, 0xD9]) == "truncated")
    }

    @Test func hugeSizesAreRefusedByTheHeader() throws {
        var huge = file
        let frame = try #require(segments(of: file).first { $0.marker == 0xC0 }).range
        for offset in 5..<9 { huge[frame.lowerBound + offset] = 0xFF }
        #expect(outcome(huge) == "too_large")
        #expect(outcome(Array(huge[..<(frame.lowerBound + 12)])) == "too_large")
    }

    @Test func limitsAreKept() {
        var limits = JPEGLimits()
        limits.width = 47
        #expect(outcome(file, limits: limits) == "too_large")
        limits = JPEGLimits()
        limits.height = 31
        #expect(outcome(file, limits: limits) == "too_large")
        limits = JPEGLimits()
        limits.pixels = 48 * 32 - 1
        #expect(outcome(file, limits: limits) == "too_large")
        limits = JPEGLimits()
        limits.bytes = file.count - 1
        #expect(outcome(file, limits: limits) == "too_many_bytes")
        limits.bytes = file.count
        #expect(outcome(file, limits: limits) == "decoded")
    }

    @Test func scansAreLimited() {
        let progressive = Picture.noise(48, 32).encoded { $0.isProgressive = true }
        var limits = JPEGLimits()
        limits.scans = 9
        #expect(outcome(progressive, limits: limits) == "too_many_scans")
        limits.scans = 10
        #expect(outcome(progressive, limits: limits) == "decoded")
        limits.scanPixels = 48 * 32 * 10 - 1
        #expect(outcome(progressive, limits: limits) == "too_many_scans")
    }

    @Test func workingMemoryOfProgressivePicturesIsLimited() {
        let progressive = Picture.smooth(640, 480).encoded { $0.isProgressive = true }
        var limits = JPEGLimits()
        limits.workingBytes = 400_000
        #expect(outcome(progressive, limits: limits) == "too_large")
    }

    @Test func repeatedScansEnd() throws {
        let progressive = Picture.smooth(48, 32).encoded { $0.isProgressive = true }
        let scan = try #require(segments(of: progressive).first { $0.marker == 0xDA }).range
        let end = try #require(
            (scan.upperBound..<progressive.count - 1).first { progressive[$0] == 0xFF && progressive[$0 + 1] != 0 })
        let repeated = Array(progressive[scan.lowerBound..<end])
        let bomb = (0..<500).reduce(into: Array(progressive[..<end])) { file, _ in file += repeated }
        #expect(outcome(bomb + progressive[end...]) == "too_many_scans")
    }

    @Test func otherProcessesAreUnsupported() throws {
        let frame = try #require(segments(of: file).first { $0.marker == 0xC0 }).range.lowerBound
        var lossless = file
        lossless[frame + 1] = 0xC3
        #expect(outcome(lossless) == "unsupported")
        var deep = file
        deep[frame + 4] = 12
        #expect(outcome(deep) == "unsupported")
    }

    @Test func strayBytesBetweenSegmentsAreAWarning() {
        #expect(outcome(file.inserting([1, 2, 3], at: 2)) == "warned")
    }

    @Test func damageBetweenRestartMarkersIsLocal() throws {
        let file = Picture.noise(64, 256).encoded { $0.restartRows = 1 }
        let markers = file.indices.dropLast().filter { file[$0] == 0xFF && (0xD0...0xD7).contains(file[$0 + 1]) }
        var damaged = file
        damaged.removeSubrange(markers[3] + 2..<markers[3] + 60)  // the middle of one row of sixteen
        #expect(outcome(damaged) == "warned")
        damaged = file
        for marker in markers.reversed() where marker > file.count / 3 {
            damaged.removeSubrange(marker - 40..<marker)  // the end of two rows in three
        }
        #expect(["corrupt", "truncated"].contains(outcome(damaged)))
    }

    @Test func damageWithoutRestartMarkersIsCorrupt() throws {
        let scan = try #require(segments(of: file).first { $0.marker == 0xDA }).range.upperBound
        var damaged = file
        // All ones are no Huffman code; the zero bytes keep them from being markers.
        damaged.replaceSubrange(scan + 20..<scan + 28, with: [0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0])
        #expect(outcome(damaged) == "corrupt")
    }

    /// Ones are no Huffman code wherever one begins.
    private let ones = Array(repeating: [0xFF, 0] as [UInt8], count: 16).flatMap { $0 }

    @Test func damageInTheLastEighthIsAWarning() {
        let file = Picture.noise(64, 256).encoded()  // sixteen rows of blocks
        #expect(outcome(file.inserting(ones, at: file.count - file.count / 32)) == "warned")
    }

    @Test func damageLeavesATrace() {
        let file = Picture.noise(128, 128).encoded()
        for part in 2..<20 {
            let damaged = file.inserting(ones, at: file.count - file.count / part)
            #expect(["warned", "corrupt", "truncated"].contains(outcome(damaged)), "\(part)")
        }
    }

    @Test func everyOutcomeHasAKnownReason() {
        let known = Set(JPEGError.reasons + ["decoded", "warned"])
        var state: UInt32 = 7
        for _ in 0..<500 {
            var damaged = file
            for _ in 0..<3 {
                state = state &* 1_664_525 &+ 1_013_904_223
                damaged[Int(state >> 8) % damaged.count] = UInt8(truncatingIfNeeded: state >> 3)
            }
            #expect(known.contains(outcome(damaged)))
        }
    }

    @Test func aDecoderGoesOnAfterFaults() throws {
        let decoder = JPEGDecoder()
        let expected = try decode(file).pixels
        for bad in [[], [0xFF, 0xD8], Array(file[..<200]), Array(file[..<(file.count / 2)])] {
            #expect(throws: JPEGError.self) { try decode(bad, with: decoder) }
            #expect(try decode(file, with: decoder).pixels == expected)
        }
    }
}
