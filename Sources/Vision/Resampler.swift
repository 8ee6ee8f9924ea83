// SPDX-License-Identifier: Apache-2.0

import CJPEG
import Tensors

/// Lays decoded frames into a network's input: scaled, turned upright, padded, in the network's channel order, in one
/// pass over the input. One per worker; its memory stays from frame to frame.
///
/// Bilinear, centre on centre (pixel i covers i...i + 1), in integer arithmetic: within 1 of exact arithmetic, and the
/// same bits on every machine. Axes that shrink to less than half are averaged over whole blocks of pixels first, so that
/// nothing is skipped; the decoder's own scaling makes that rare.
package struct Resampler: ~Copyable {
    private var columns: [cjpeg_position] = []
    private var rows: [cjpeg_position] = []
    private var blended: [Int16] = []
    private var reduced: [UInt8] = []

    package init() {}

    /// Writes all of the input: `input.height` rows of `input.width` pixels.
    ///
    /// - Parameters:
    ///   - target: first pixel, one byte per channel in the order of `input`.
    ///   - pixelStride: bytes from pixel to pixel: 1 for gray; 3 or 4 else, the fourth byte is written 0.
    ///   - rowStride: bytes from row to row, at least `input.width * pixelStride`.
    /// - Returns: the way back from the input's pixels to the frame's.
    @discardableResult
    package mutating func resample(
        _ frame: DecodedFrame, into target: UnsafeMutablePointer<UInt8>, pixelStride: Int, rowStride: Int,
        input: ImageInput
    ) -> FrameGeometry {
        let isGray = input.channelOrder == .gray
        precondition(isGray ? pixelStride == 1 : pixelStride == 3 || pixelStride == 4, "bytes per pixel and channels")
        precondition(rowStride >= input.width * pixelStride, "rows overlap")
        let geometry = FrameGeometry(frameWidth: frame.width, frameHeight: frame.height, input: input)
        let layout = Layout(target: target, pixelStride: pixelStride, rowStride: rowStride)
        pad(layout, around: geometry, input: input)

        // From here on everything is in the frame's stored rows and columns; only the steps know what is upright.
        let orientation = frame.orientation
        let swaps = orientation.swapsAxes
        let columnCount = swaps ? geometry.contentHeight : geometry.contentWidth
        let rowCount = swaps ? geometry.contentWidth : geometry.contentHeight
        let firstX = geometry.contentX + (orientation.reversesX ? geometry.contentWidth - 1 : 0)
        let firstY = geometry.contentY + (orientation.reversesY ? geometry.contentHeight - 1 : 0)
        let stepX = orientation.reversesX ? -pixelStride : pixelStride
        let stepY = orientation.reversesY ? -rowStride : rowStride
        var task = cjpeg_resampling()
        task.source_channels = UInt32(frame.channels)
        task.target = target + firstY * rowStride + firstX * pixelStride
        task.column_step = swaps ? stepY : stepX
        task.row_step = swaps ? stepX : stepY
        task.columns = UInt32(columnCount)
        task.rows = UInt32(rowCount)
        task.target_pixel_bytes = UInt32(pixelStride)
        task.order = isGray ? CJPEG_TO_GRAY : input.channelOrder == .bgr ? CJPEG_TO_BGR : CJPEG_TO_RGB

        let across = min(max(1, frame.storedWidth / (2 * columnCount)), 256)
        let down = min(max(1, frame.storedHeight / (2 * rowCount)), 256)
        if across == 1 && down == 1 {
            task.source = frame.pixels
            task.source_width = UInt32(frame.storedWidth)
            task.source_height = UInt32(frame.storedHeight)
            task.source_row_bytes = frame.rowBytes
            run(task)
        } else {
            let width = (frame.storedWidth + across - 1) / across
            let height = (frame.storedHeight + down - 1) / down
            Self.grow(&reduced, to: width * height * frame.channels)
            task.source_width = UInt32(width)
            task.source_height = UInt32(height)
            task.source_row_bytes = width * frame.channels
            var pixels: [UInt8] = []
            swap(&pixels, &reduced)
            pixels.withUnsafeMutableBufferPointer { pixels in
                guard let base = pixels.baseAddress else { return }
                cjpeg_box_reduce(
                    frame.pixels, UInt32(frame.storedWidth), UInt32(frame.storedHeight), UInt32(frame.channels),
                    frame.rowBytes, UInt32(across), UInt32(down), base)
                task.source = UnsafePointer(base)
                run(task)
            }
            swap(&pixels, &reduced)
        }
        return geometry
    }

    private mutating func run(_ task: cjpeg_resampling) {
        var task = task
        Self.grow(&columns, to: Int(task.columns))
        Self.grow(&rows, to: Int(task.rows))
        Self.grow(&blended, to: (Int(task.source_width) + 2) * Int(task.source_channels))
        columns.withUnsafeMutableBufferPointer { columns in
            rows.withUnsafeMutableBufferPointer { rows in
                blended.withUnsafeMutableBufferPointer { blended in
                    cjpeg_sample_positions(task.source_width, task.columns, columns.baseAddress)
                    cjpeg_sample_positions(task.source_height, task.rows, rows.baseAddress)
                    task.column_positions = UnsafePointer(columns.baseAddress)
                    task.row_positions = UnsafePointer(rows.baseAddress)
                    task.row = blended.baseAddress
                    cjpeg_resample(&task)
                }
            }
        }
    }

    private struct Layout {
        var target: UnsafeMutablePointer<UInt8>
        var pixelStride: Int
        var rowStride: Int

        func fill(x: Range<Int>, y: Range<Int>, with value: UInt8) {
            guard !x.isEmpty, !y.isEmpty else { return }
            for row in y {
                let start = target + row * rowStride + x.lowerBound * pixelStride
                start.update(repeating: value, count: x.count * pixelStride)
                if pixelStride == 4 { for pixel in 0..<x.count { start[4 * pixel + 3] = 0 } }
            }
        }
    }

    private func pad(_ layout: Layout, around content: FrameGeometry, input: ImageInput) {
        let bottom = content.contentY + content.contentHeight
        let right = content.contentX + content.contentWidth
        layout.fill(x: 0..<input.width, y: 0..<content.contentY, with: input.padding)
        layout.fill(x: 0..<input.width, y: bottom..<input.height, with: input.padding)
        layout.fill(x: 0..<content.contentX, y: content.contentY..<bottom, with: input.padding)
        layout.fill(x: right..<input.width, y: content.contentY..<bottom, with: input.padding)
    }

    private static func grow<Element: ExpressibleByIntegerLiteral>(_ array: inout [Element], to count: Int) {
        if array.count < count { array = Array(repeating: 0, count: count) }
    }

    private static func grow(_ array: inout [cjpeg_position], to count: Int) {
        if array.count < count { array = Array(repeating: cjpeg_position(), count: count) }
    }
}
