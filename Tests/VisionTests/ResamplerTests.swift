// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing
import Vision

struct ResamplerTests {
    /// Bilinear interpolation in double precision, after averaging whole blocks where an axis shrinks below half.
    private func reference(_ picture: Picture, channels: Int, width: Int, height: Int) -> [UInt8] {
        let (across, down) = (max(1, picture.width / (2 * width)), max(1, picture.height / (2 * height)))
        let reducedWidth = (picture.width + across - 1) / across
        let reducedHeight = (picture.height + down - 1) / down
        func block(_ x: Int, _ y: Int, _ channel: Int) -> Double {
            var (sum, count) = (0, 0)
            for v in y * down..<min((y + 1) * down, picture.height) {
                for u in x * across..<min((x + 1) * across, picture.width) {
                    sum += Int(picture.pixels[(v * picture.width + u) * channels + channel])
                    count += 1
                }
            }
            return (Double(sum) / Double(count)).rounded()
        }
        func position(_ index: Int, _ source: Int, _ target: Int) -> (Int, Double) {
            let exact = (Double(index) + 0.5) * Double(source) / Double(target) - 0.5
            let clamped = min(max(exact, 0), Double(source - 1))
            let low = min(Int(clamped), max(0, source - 2))
            return (low, clamped - Double(low))
        }
        var result: [UInt8] = []
        for y in 0..<height {
            let (y0, fy) = position(y, reducedHeight, height)
            for x in 0..<width {
                let (x0, fx) = position(x, reducedWidth, width)
                for c in 0..<channels {
                    let (x1, y1) = (min(x0 + 1, reducedWidth - 1), min(y0 + 1, reducedHeight - 1))
                    let top = block(x0, y0, c) * (1 - fx) + block(x1, y0, c) * fx
                    let bottom = block(x0, y1, c) * (1 - fx) + block(x1, y1, c) * fx
                    result.append(UInt8((top * (1 - fy) + bottom * fy).rounded()))
                }
            }
        }
        return result
    }

    private func resampled(_ picture: Picture, channels: Int = 3, input: ImageInput, pixelStride: Int) -> [UInt8] {
        var target = [UInt8](repeating: 77, count: input.width * input.height * pixelStride)
        var resampler = Resampler()
        picture.pixels.withUnsafeBufferPointer { pixels in
            target.withUnsafeMutableBufferPointer { target in
                guard let source = pixels.baseAddress, let target = target.baseAddress else { return }
                let frame = DecodedFrame(
                    pixels: source, width: picture.width, height: picture.height, channels: channels)
                resampler.resample(
                    frame, into: target, pixelStride: pixelStride, rowStride: input.width * pixelStride, input: input)
            }
        }
        return target
    }

    @Test(arguments: [(40, 30), (40, 31), (23, 17), (61, 45), (80, 60), (120, 100), (1, 1), (7, 90), (90, 7), (11, 8)])
    func matchesDoublePrecisionWithinOne(size: (Int, Int)) {
        for channels in [1, 3] {
            let picture = Picture.noise(80, 60, channels: channels)
            let order: ImagePreprocessing.ChannelOrder = channels == 1 ? .gray : .rgb
            let input = ImageInput(width: size.0, height: size.1, channelOrder: order)
            let result = resampled(picture, channels: channels, input: input, pixelStride: channels)
            let expected = reference(picture, channels: channels, width: size.0, height: size.1)
            #expect(largestDifference(result, expected) <= 1)
        }
    }

    @Test func equalSizesAreACopy() {
        let picture = Picture.noise(33, 21)
        #expect(resampled(picture, input: ImageInput(width: 33, height: 21), pixelStride: 3) == picture.pixels)
    }

    @Test func onePixelFillsTheInput() {
        let picture = Picture(width: 1, height: 1, pixels: [9, 8, 7])
        let result = resampled(picture, input: ImageInput(width: 5, height: 4), pixelStride: 3)
        #expect(result == Array(repeating: [9, 8, 7], count: 20).flatMap { $0 })
    }

    @Test(arguments: [3, 4])
    func channelsComeInTheInputsOrder(pixelStride: Int) {
        let picture = Picture(width: 2, height: 2, pixels: [10, 20, 30, 10, 20, 30, 10, 20, 30, 10, 20, 30])
        let rgb = resampled(picture, input: ImageInput(width: 3, height: 1), pixelStride: pixelStride)
        let bgr = resampled(
            picture, input: ImageInput(width: 3, height: 1, channelOrder: .bgr), pixelStride: pixelStride)
        let tail: [UInt8] = pixelStride == 4 ? [0] : []
        #expect(rgb == Array(repeating: [10, 20, 30] + tail, count: 3).flatMap { $0 })
        #expect(bgr == Array(repeating: [30, 20, 10] + tail, count: 3).flatMap { $0 })
    }

    @Test func grayInputsTakeTheLumaOfColour() {
        let picture = Picture(width: 2, height: 1, pixels: [200, 100, 50, 200, 100, 50])
        let input = ImageInput(width: 2, height: 1, channelOrder: .gray)
        #expect(resampled(picture, input: input, pixelStride: 1) == [124, 124])
    }

    @Test func colourInputsRepeatGray() {
        let picture = Picture(width: 2, height: 1, pixels: [50, 60])
        let result = resampled(picture, channels: 1, input: ImageInput(width: 2, height: 1), pixelStride: 4)
        #expect(result == [50, 50, 50, 0, 60, 60, 60, 0])
    }

    @Test(arguments: [3, 4])
    func letterboxPadsAround(pixelStride: Int) {
        let picture = Picture(width: 4, height: 2, pixels: [UInt8](repeating: 200, count: 24))
        let input = ImageInput(width: 4, height: 4, fit: .letterbox, padding: 114)
        let tail: [UInt8] = pixelStride == 4 ? [0] : []
        let pad = Array(repeating: [114, 114, 114] + tail, count: 4).flatMap { $0 }
        let row = Array(repeating: [200, 200, 200] + tail, count: 4).flatMap { $0 }
        #expect(resampled(picture, input: input, pixelStride: pixelStride) == pad + row + row + pad)
    }

    @Test func topLeftLetterboxPadsRightOfTallFrames() {
        let picture = Picture(width: 1, height: 2, pixels: [UInt8](repeating: 200, count: 6))
        let input = ImageInput(width: 2, height: 2, channelOrder: .rgb, fit: .letterboxTopLeft, padding: 1)
        let row: [UInt8] = [200, 200, 200, 1, 1, 1]
        #expect(resampled(picture, input: input, pixelStride: 3) == row + row)
    }

    @Test func rowsMayHaveGaps() {
        let picture = Picture(width: 2, height: 2, pixels: [UInt8](repeating: 5, count: 12))
        var target = [UInt8](repeating: 77, count: 20)
        var resampler = Resampler()
        picture.pixels.withUnsafeBufferPointer { pixels in
            target.withUnsafeMutableBufferPointer { target in
                guard let source = pixels.baseAddress, let target = target.baseAddress else { return }
                resampler.resample(
                    DecodedFrame(pixels: source, width: 2, height: 2), into: target, pixelStride: 3, rowStride: 10,
                    input: ImageInput(width: 2, height: 2))
            }
        }
        #expect(target == [5, 5, 5, 5, 5, 5, 77, 77, 77, 77, 5, 5, 5, 5, 5, 5, 77, 77, 77, 77])
    }
}
