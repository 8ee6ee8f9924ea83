// SPDX-License-Identifier: Apache-2.0

/// Red, green, blue, each 0...255.
typealias Colour = SIMD3<Float>

/// Pixels: x to the right, y down.
typealias Point = SIMD2<Float>

/// What a shape is filled with: a linear gradient from `first` at `from` to `second` at `to`, with surface grain.
struct Paint {
    var first: Colour
    var second: Colour
    var from: Point
    var to: Point
    /// 0 (nothing is drawn) ... 1 (covers).
    var alpha: Float = 1
    /// Amplitude of the surface grain, in pixel values.
    var grain: Float = 0

    init(_ colour: Colour, alpha: Float = 1, grain: Float = 0) {
        first = colour
        second = colour
        from = .zero
        to = Point(0, 1)
        self.alpha = alpha
        self.grain = grain
    }

    init(_ first: Colour, at from: Point, _ second: Colour, at to: Point, grain: Float = 0) {
        self.first = first
        self.second = second
        self.from = from
        self.to = to
        self.grain = grain
    }
}

/// Interleaved RGB pixels, and per pixel which object was drawn there last.
///
/// Everything is drawn as convex polygons, with antialiased edges. Not `Sendable`: one owner draws.
final class Canvas {
    let width: Int
    let height: Int
    /// [height, width, 3]
    let pixels: UnsafeMutablePointer<UInt8>
    /// [height, width]; 0 is the backdrop.
    let owners: UnsafeMutablePointer<UInt8>
    /// 64 x 64 values, -127...127.
    private let grain: UnsafeMutablePointer<Int8>

    init(width: Int, height: Int) {
        precondition(width > 0 && height > 0)
        self.width = width
        self.height = height
        pixels = .allocate(capacity: width * height * 3)
        pixels.initialize(repeating: 0, count: width * height * 3)
        owners = .allocate(capacity: width * height)
        owners.initialize(repeating: 0, count: width * height)
        grain = .allocate(capacity: 64 * 64)
        var random = SplitMix64(seed: 0x6772_6169)
        for index in 0..<64 * 64 { grain[index] = Int8(max(-127, min(127, random.gaussian() * 42))) }
    }

    deinit {
        pixels.deallocate()
        owners.deallocate()
        grain.deallocate()
    }

    /// Fills a convex polygon of at least three corners, in either orientation.
    ///
    /// Coverage of a pixel is 0.5 - d clamped to 0...1, d the largest signed distance of its centre to the edges' lines.
    /// Pixels covered by more than half then belong to `owner`, unless it is 0.
    /// `grainOrigin` pins the grain to what moves.
    func fill(_ polygon: [Point], _ paint: Paint, owner: UInt8 = 0, grainOrigin: Point = .zero) {
        guard polygon.count >= 3 else { return }
        var low = polygon[0]
        var high = polygon[0]
        var doubleArea: Float = 0
        for (index, point) in polygon.enumerated() {
            let next = polygon[index + 1 == polygon.count ? 0 : index + 1]
            low = pointwiseMin(low, point)
            high = pointwiseMax(high, point)
            doubleArea += point.x * next.y - next.x * point.y
        }
        guard abs(doubleArea) > 0.2, high.x > -1, high.y > -1, low.x < Float(width + 1), low.y < Float(height + 1),
            (high - low).max() < 1e5
        else { return }
        let firstRow = max(0, Int(low.y - 1))
        let lastRow = min(height - 1, Int(high.y + 1))
        guard firstRow <= lastRow else { return }
        let orientation: Float = doubleArea > 0 ? 1 : -1
        withUnsafeTemporaryAllocation(of: SIMD3<Float>.self, capacity: polygon.count) { edges in
            var edgeCount = 0
            for (index, point) in polygon.enumerated() {
                let next = polygon[index + 1 == polygon.count ? 0 : index + 1]
                let along = next - point
                let length = (along * along).sum().squareRoot()
                if length < 1e-4 { continue }
                let normal = Point(along.y, -along.x) * (orientation / length)
                edges[edgeCount] = SIMD3(normal.x, normal.y, -(normal * point).sum())
                edgeCount += 1
            }
            let shade = Shade(paint, grainOrigin: grainOrigin)
            for row in firstRow...lastRow {
                fillRow(row, UnsafeBufferPointer(rebasing: edges[0..<edgeCount]), shade, owner)
            }
        }
    }

    /// A `Paint` in 16.16 fixed point, linear in x and y: colour = base + x * dx + y * dy, clamped to `lower...upper`.
    private struct Shade {
        let first: Colour
        let delta: Colour
        let gradient: SIMD3<Float>
        let alpha: Int32
        let grain: Int32
        let grainX: Int
        let grainY: Int

        init(_ paint: Paint, grainOrigin: Point) {
            first = paint.first
            delta = paint.second - paint.first
            let along = paint.to - paint.from
            let squared = max((along * along).sum(), 1e-6)
            gradient = SIMD3(along.x / squared, along.y / squared, -(along * paint.from).sum() / squared)
            alpha = Int32(max(0, min(1, paint.alpha)) * 256)
            grain = Int32(paint.grain * 256 / 42)
            grainX = Int(max(-1e5, min(1e5, grainOrigin.x)))
            grainY = Int(max(-1e5, min(1e5, grainOrigin.y)))
        }
    }

    private func fillRow(_ row: Int, _ edges: UnsafeBufferPointer<SIMD3<Float>>, _ shade: Shade, _ owner: UInt8) {
        let y = Float(row) + 0.5
        // Centres x with every distance below 0.5 (touched), and below -0.5 (covered).
        var outerLow: Float = 0.5
        var outerHigh = Float(width) - 0.5
        var innerLow = outerLow
        var innerHigh = outerHigh
        for edge in edges {
            let offset = edge.y * y + edge.z
            if edge.x > 1e-5 {
                outerHigh = min(outerHigh, (0.5 - offset) / edge.x)
                innerHigh = min(innerHigh, (-0.5 - offset) / edge.x)
            } else if edge.x < -1e-5 {
                outerLow = max(outerLow, (0.5 - offset) / edge.x)
                innerLow = max(innerLow, (-0.5 - offset) / edge.x)
            } else if offset > 0.5 {
                return
            } else if offset > -0.5 {
                innerHigh = -1
            }
        }
        guard outerLow <= outerHigh else { return }
        let start = Int((outerLow - 0.5).rounded(.up))
        let end = min(width, Int((outerHigh - 0.5).rounded(.down)) + 1)
        guard start < end else { return }
        var coveredStart = start
        var coveredEnd = start
        if innerLow <= innerHigh {
            coveredStart = max(start, Int((innerLow - 0.5).rounded(.up)))
            coveredEnd = max(coveredStart, min(end, Int((innerHigh - 0.5).rounded(.down)) + 1))
        }
        for x in start..<coveredStart { edgePixel(x, row, edges, shade, owner) }
        cover(from: coveredStart, to: coveredEnd, row, shade, 256, owner)
        for x in coveredEnd..<end { edgePixel(x, row, edges, shade, owner) }
    }

    private func edgePixel(
        _ x: Int, _ row: Int, _ edges: UnsafeBufferPointer<SIMD3<Float>>, _ shade: Shade, _ owner: UInt8
    ) {
        var distance = -Float.greatestFiniteMagnitude
        for edge in edges { distance = max(distance, edge.x * (Float(x) + 0.5) + edge.y * (Float(row) + 0.5) + edge.z) }
        let coverage = Int32(max(0, min(1, 0.5 - distance)) * 256)
        if coverage > 0 { cover(from: x, to: x + 1, row, shade, coverage, coverage > 128 ? owner : 0) }
    }

    /// Blends pixels `start..<end` of a row with the shade; `coverage` in 0...256.
    private func cover(from start: Int, to end: Int, _ row: Int, _ shade: Shade, _ coverage: Int32, _ owner: UInt8) {
        guard start < end else { return }
        let y = Float(row) + 0.5
        let tStart = shade.gradient.x * (Float(start) + 0.5) + shade.gradient.y * y + shade.gradient.z
        let tStep = shade.gradient.x
        let alpha = (shade.alpha * coverage) >> 8
        let grainRow = grain + ((row - shade.grainY) & 63) * 64
        var pixel = pixels + (row * width + start) * 3
        let flat = abs(tStep) < 1e-6
        var t = tStart
        var colour = toFixed(shade.first + shade.delta * max(0, min(1, t)))
        for x in start..<end {
            if !flat {
                colour = toFixed(shade.first + shade.delta * max(0, min(1, t)))
                t += tStep
            }
            let bump = (Int32(grainRow[(x - shade.grainX) & 63]) &* shade.grain) >> 8
            pixel[0] = blend(pixel[0], colour.x &+ bump, alpha)
            pixel[1] = blend(pixel[1], colour.y &+ bump, alpha)
            pixel[2] = blend(pixel[2], colour.z &+ bump, alpha)
            pixel += 3
        }
        if owner != 0 { (owners + row * width + start).update(repeating: owner, count: end - start) }
    }

    @inline(__always) private func toFixed(_ colour: Colour) -> SIMD3<Int32> {
        SIMD3(Int32(colour.x), Int32(colour.y), Int32(colour.z))
    }

    @inline(__always) private func blend(_ under: UInt8, _ over: Int32, _ alpha: Int32) -> UInt8 {
        let clamped = max(0, min(255, over))
        let old = Int32(under)
        return UInt8(truncatingIfNeeded: old &+ (((clamped &- old) &* alpha) >> 8))
    }

    /// Copies the window of `source` whose top left corner is (left, top), and forgets all owners.
    func restore(from source: Canvas, left: Int, top: Int) {
        precondition(left >= 0 && top >= 0 && left + width <= source.width && top + height <= source.height)
        for row in 0..<height {
            let line = source.pixels + ((row + top) * source.width + left) * 3
            (pixels + row * width * 3).update(from: line, count: width * 3)
        }
        owners.update(repeating: 0, count: width * height)
    }
}
