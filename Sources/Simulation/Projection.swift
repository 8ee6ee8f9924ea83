// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Metres: x to the right of the camera, y up from the ground, z forward.
typealias Position = SIMD3<Float>

/// A pinhole camera above the ground plane that looks forward and down.
struct Projection {
    let heightMetres: Float
    let focalPixels: Float
    /// Where the optical axis meets the image.
    var centre: Point
    private let sine: Float
    private let cosine: Float

    /// Points nearer than this are not drawn.
    static let nearestMetres: Float = 0.6

    init(width: Int, height: Int, heightMetres: Float, pitchDegrees: Float, horizontalFieldDegrees: Float) {
        self.heightMetres = heightMetres
        focalPixels = Float(width) / 2 / tanf(horizontalFieldDegrees * .pi / 360)
        centre = Point(Float(width) / 2, Float(height) / 2)
        sine = sinf(pitchDegrees * .pi / 180)
        cosine = cosf(pitchDegrees * .pi / 180)
    }

    /// Distance along the optical axis.
    func depth(_ position: Position) -> Float { (heightMetres - position.y) * sine + position.z * cosine }

    /// The pixel that shows `position`, nil behind or close to the camera.
    func project(_ position: Position) -> Point? {
        let depth = depth(position)
        guard depth > Projection.nearestMetres else { return nil }
        let up = (position.y - heightMetres) * cosine + position.z * sine
        return Point(centre.x + focalPixels * position.x / depth, centre.y - focalPixels * up / depth)
    }

    /// Pixels of the corners, nil when one of them is behind the camera.
    func project(_ positions: [Position]) -> [Point]? {
        var points: [Point] = []
        points.reserveCapacity(positions.count)
        for position in positions {
            guard let point = project(position) else { return nil }
            points.append(point)
        }
        return points
    }

    func pixelsPerMetre(at position: Position) -> Float { focalPixels / max(depth(position), Projection.nearestMetres) }

    /// Where the ray through a pixel meets the ground; nil at and above the horizon.
    func ground(at pixel: Point) -> Position? {
        let across = (pixel.x - centre.x) / focalPixels
        let up = (centre.y - pixel.y) / focalPixels
        let directionY = -sine + up * cosine
        let directionZ = cosine + up * sine
        guard directionY < -1e-4 else { return nil }
        let length = -heightMetres / directionY
        return Position(across * length, 0, directionZ * length)
    }
}

func dot(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> Float { (a * b).sum() }

func cross(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> SIMD3<Float> {
    SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
}

func normalized(_ a: SIMD3<Float>) -> SIMD3<Float> { a / max(dot(a, a).squareRoot(), 1e-9) }

func mix(_ a: Colour, _ b: Colour, _ t: Float) -> Colour { a + (b - a) * t }

/// Smallest convex polygon around the points (Andrew's monotone chain).
func convexHull(_ points: [Point]) -> [Point] {
    guard points.count > 3 else { return points }
    let sorted = points.sorted { $0.x < $1.x || ($0.x == $1.x && $0.y < $1.y) }
    func chain(_ points: some Sequence<Point>) -> [Point] {
        var hull: [Point] = []
        for point in points {
            while hull.count >= 2 {
                let a = hull[hull.count - 1] - hull[hull.count - 2]
                let b = point - hull[hull.count - 1]
                if a.x * b.y - a.y * b.x > 0 { break }
                hull.removeLast()
            }
            hull.append(point)
        }
        return hull
    }
    return chain(sorted).dropLast() + chain(sorted.reversed()).dropLast()
}
