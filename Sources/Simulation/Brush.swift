// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Draws solids of the world onto a canvas, in one camera's view and one moment's light.
struct Brush {
    let canvas: Canvas
    let projection: Projection
    let light: Light
    /// Whom the pixels belong to; 0 draws scenery.
    var owner: UInt8 = 0
    var grainOrigin = Point.zero

    func fill(_ positions: [Position], _ colour: Colour, alpha: Float = 1, grain: Float = 4) {
        guard let points = projection.project(positions) else { return }
        canvas.fill(points, Paint(colour, alpha: alpha, grain: grain), owner: owner, grainOrigin: grainOrigin)
    }

    /// A four-cornered face, a little darker towards its last two corners.
    func fill(face: [Position], _ colour: Colour, fade: Float = 0.82, grain: Float = 5) {
        guard let points = projection.project(face) else { return }
        let top = (points[0] + points[1]) / 2
        let bottom = (points[2] + points[3]) / 2
        canvas.fill(
            points, Paint(colour, at: top, colour * fade, at: bottom, grain: grain), owner: owner,
            grainOrigin: grainOrigin)
    }

    /// A limb: the hull of two discs that face the camera, lit from one side.
    func limb(
        from a: Position, to b: Position, radius radiusA: Float, _ radiusB: Float, _ colour: Colour, grain: Float = 6
    ) {
        guard let start = projection.project(a), let end = projection.project(b) else { return }
        let startRadius = max(0.45, radiusA * projection.pixelsPerMetre(at: a))
        let endRadius = max(0.45, radiusB * projection.pixelsPerMetre(at: b))
        var points: [Point] = []
        points.reserveCapacity(20)
        for step in 0..<10 {
            let angle = Float(step) * .pi / 5
            let offset = Point(cosf(angle), sinf(angle))
            points.append(start + offset * startRadius)
            points.append(end + offset * endRadius)
        }
        let reach = max(startRadius, endRadius)
        let middle = (start + end) / 2
        let lit: Float = light.direction.x >= 0 ? 1 : -1
        let bright = colour * (light.ambient + light.diffuse * 0.9)
        canvas.fill(
            convexHull(points),
            Paint(
                bright, at: middle + Point(lit * reach, 0), bright * 0.62, at: middle - Point(lit * reach, 0),
                grain: grain), owner: owner, grainOrigin: grainOrigin)
    }

    /// The shadow on the ground of a solid with the given corners.
    func shadow(_ corners: [Position], strength: Float = 1) {
        guard let points = projection.project(corners.map(light.shadow(of:))) else { return }
        canvas.fill(convexHull(points), Paint(Colour(14, 16, 26), alpha: light.shadow * strength))
    }
}

/// A solid with two horizontal rectangles as bottom and top, which may differ in size: crates, car bodies, cabins.
struct Prism {
    /// Bottom then top, each counted around: front left, front right, back right, back left.
    let corners: [Position]

    /// `along` and `across` are the horizontal unit vectors of its length and width. Insets, in metres, make the top
    /// shorter at the front and back, and narrower at both sides.
    init(
        centre: Position, along: SIMD3<Float>, across: SIMD3<Float>, length: Float, width: Float, bottom: Float,
        top: Float, frontInset: Float = 0, backInset: Float = 0, sideInset: Float = 0
    ) {
        func corner(_ forward: Float, _ side: Float, _ y: Float) -> Position {
            let flat = centre + along * forward + across * side
            return Position(flat.x, centre.y + y, flat.z)
        }
        let front = length / 2
        let side = width / 2
        corners = [
            corner(front, -side, bottom), corner(front, side, bottom), corner(-front, side, bottom),
            corner(-front, -side, bottom),
            corner(front - frontInset, -side + sideInset, top), corner(front - frontInset, side - sideInset, top),
            corner(-front + backInset, side - sideInset, top), corner(-front + backInset, -side + sideInset, top),
        ]
    }

    enum Face: CaseIterable { case front, right, back, left, top }

    /// Upper edge first, then the lower one.
    func face(_ face: Face) -> [Position] {
        switch face {
        case .front: [corners[4], corners[5], corners[1], corners[0]]
        case .right: [corners[5], corners[6], corners[2], corners[1]]
        case .back: [corners[6], corners[7], corners[3], corners[2]]
        case .left: [corners[7], corners[4], corners[0], corners[3]]
        case .top: [corners[6], corners[5], corners[4], corners[7]]
        }
    }

    var centre: Position { corners.reduce(.zero, +) / Float(corners.count) }

    func normal(_ face: Face) -> SIMD3<Float> {
        let points = self.face(face)
        let normal = normalized(cross(points[1] - points[0], points[3] - points[0]))
        let outwards = (points[0] + points[1] + points[2] + points[3]) / 4 - centre
        return dot(normal, outwards) < 0 ? -normal : normal
    }

    func isVisible(_ face: Face, from projection: Projection) -> Bool {
        let eye = Position(0, projection.heightMetres, 0)
        return dot(normal(face), eye - self.face(face)[0]) > 0
    }

    /// A rectangle within a face: `u` from its first to its second corner, `v` from its upper to its lower edge, 0...1.
    func patch(_ face: Face, u: ClosedRange<Float>, v: ClosedRange<Float>) -> [Position] {
        let points = self.face(face)
        func at(_ u: Float, _ v: Float) -> Position {
            let upper = points[0] + (points[1] - points[0]) * u
            let lower = points[3] + (points[2] - points[3]) * u
            return upper + (lower - upper) * v
        }
        return [
            at(u.lowerBound, v.lowerBound), at(u.upperBound, v.lowerBound), at(u.upperBound, v.upperBound),
            at(u.lowerBound, v.upperBound),
        ]
    }

    func draw(_ colour: Colour, with brush: Brush, grain: Float = 5) {
        for face in Face.allCases where isVisible(face, from: brush.projection) {
            brush.fill(
                face: self.face(face), brush.light.shade(colour, normal: normal(face)),
                fade: face == .top ? 0.95 : 0.82, grain: grain)
        }
    }
}
